"""A program that migrates a database again and again, killed a little later each time.

Its children are forked, since starting Python for each would take most of the time. A child lets
all pass that earlier ones have sent, sends one or more changing statements more, and kills itself
before the next. Where nothing can be rolled back, each begins where the one before was stopped.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event

from synthorg.persistence import PersistenceConfig
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.execution.database import Database
from synthorg.persistence.sql.migrations import runner as migration
from synthorg.persistence.sql.owned_tables import LIBRARY
from tests.extensions.ledger import ledger

OF_EXTENSION: Final = "-extension"
"""How commands end that are about the tables of an extension, and leave the library's alone."""

HARMLESS: Final = ("SELECT", "SHOW", "PRAGMA", "SET", "DO", "BEGIN", "DESCRIBE")
"""How statements begin that change nothing that outlives their session."""


class Executioner:
    """Kills its own process when it has sent enough that no earlier process has.

    Args:
        journal: The file that keeps what was sent.
        stride: How many statements are enough.
    """

    def __init__(self, journal: Path, stride: int) -> None:
        self._journal = journal
        self._remaining = stride
        self._sent = set(journal.read_text().splitlines())
        self._last = ""

    def before_statement(self, _: object, __: object, statement: str, *___: object) -> None:
        """Judge a statement."""
        self._judge(" ".join(statement.split()))

    def before_commit(self, _: object) -> None:
        """Judge a COMMIT, of which there are several."""
        self._judge(f"COMMIT after {self._last}")

    def _judge(self, statement: str) -> None:
        if statement.startswith(HARMLESS):
            return
        self._last = statement
        if statement in self._sent:
            return
        if not self._remaining:
            os.kill(os.getpid(), signal.SIGKILL)
        self._remaining -= 1
        with self._journal.open("a") as journal:
            journal.write(f"{statement}\n")


async def migrate(url: str, command: str, executioner: Executioner) -> None:
    """Migrate under the eyes of the executioner."""
    dialect = create_dialect(PersistenceConfig.from_url(url))
    database = Database(dialect, migration.find_schema_problem)
    await database.open()
    owned = LIBRARY
    if command.endswith(OF_EXTENSION):
        owned = ledger.owned
        await migration.upgrade(database)
    listeners: dict[str, Any] = {
        "before_cursor_execute": executioner.before_statement,
        "commit": executioner.before_commit,
    }
    for name, listener in listeners.items():
        event.listen(database.engine.sync_engine, name, listener)
    if command.startswith("upgrade"):
        await migration.upgrade(database, owned=owned)
    else:
        await migration.downgrade(database, "base", owned=owned)
    await database.close()


def main(url: str, command: str, journal: str, stride: str) -> None:
    """Fork a child after the other until one lives to the end, and print how many were killed."""
    Path(journal).touch()
    killed = 0
    while True:
        child = os.fork()
        if child == 0:
            asyncio.run(migrate(url, command, Executioner(Path(journal), int(stride))))
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != -signal.SIGKILL:
            sys.stdout.write(str(killed))
            sys.exit(status)
        killed += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
