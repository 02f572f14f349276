"""`python -m benchmarks.numbering URL...`: what it costs that messages are numbered.

Each database gets the tables twice, under two prefixes: as they were before messages had numbers,
and as they are. Both are written in turns, so that only the ratio tells something.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from statistics import median
from typing import Final
from uuid import UUID

from alembic import command
from rich.console import Console
from sqlalchemy import Connection

from synthorg.entities import Message
from synthorg.persistence import PersistenceConfig
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.migrations.operations import DIALECT
from synthorg.persistence.sql.migrations.revisions import CONNECTION, alembic_config

BEFORE: Final = "0006_rollup_projects"
ROUNDS: Final = 7
CALLERS: Final = 64
CALLS: Final = 10
BULK: Final = 3_000
CHANNELS: Final = 10


class Contender:
    """A set of tables at one revision.

    Args:
        url: The database.
        prefix: Before the names of the tables.
        revision: The revision.
    """

    def __init__(self, url: str, prefix: str, revision: str) -> None:
        config = PersistenceConfig.from_url(
            f"{url}{'&' if '?' in url else '?'}table_prefix={prefix}"
        )
        self._dialect = create_dialect(config)
        self.backend = SQLPersistenceBackend(self._dialect)
        self._prefix = prefix
        self._revision = revision
        self._random = Random(1)
        self._numbers = count()

    async def prepare(self) -> None:
        """Make the tables."""
        await self.backend.connect()

        def migrate(connection: Connection) -> None:
            attributes: dict[str, object] = {CONNECTION: connection, DIALECT: self._dialect}
            command.upgrade(alembic_config(attributes=attributes), self._revision)

        async with self.backend.get_db().connect() as connection:
            await connection.run_sync(migrate)

    def message(self) -> Message:
        """Make a message of now, with a random id."""
        number = next(self._numbers)
        return Message(
            id=UUID(int=self._random.getrandbits(128), version=4),
            timestamp=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=number),
            sender="agent-1",
            to="agent-2",
            type="task_update",
            priority="normal",
            channel=f"#channel-{number % CHANNELS}",
            content="what is to be done next, and by whom " * 4,
        )

    async def save_at_once(self) -> float:
        """Save by many callers, and give the messages per second."""
        began = time.perf_counter()

        async def caller() -> None:
            for _ in range(CALLS):
                await self.backend.messages.save(self.message())

        await asyncio.gather(*[caller() for _ in range(CALLERS)])
        return CALLERS * CALLS / (time.perf_counter() - began)

    async def save_in_bulk(self) -> float:
        """Save many together, and give the messages per second."""
        messages = [self.message() for _ in range(BULK)]
        began = time.perf_counter()
        await self.backend.messages.save_many(messages)
        return BULK / (time.perf_counter() - began)

    async def size(self) -> int:
        """Give the bytes of the table with its indexes."""
        async with self.backend.get_db().connect() as connection:
            sizes = await connection.run_sync(self._dialect.inspection.table_sizes)
        return sizes[f"{self._prefix}messages"] or 0


async def measure(url: str, say: Callable[[str], None]) -> None:
    """Compare both on one database."""
    contenders = [Contender(url, "old_", BEFORE), Contender(url, "new_", "head")]
    for each in contenders:
        await each.prepare()
    name = contenders[0].backend.backend_name
    for title, attempt in (("save", "save_at_once"), ("save_many", "save_in_bulk")):
        speeds: list[list[float]] = [[], []]
        for number in range(ROUNDS):
            order = (0, 1) if number % 2 else (1, 0)
            for place in order:
                speeds[place].append(await getattr(contenders[place], attempt)())
        before, now = map(median, speeds)
        ratio = median(new / old for old, new in zip(*speeds, strict=True))
        say(f"{name} {title}: {before:.0f} before, {now:.0f} now, ratio {ratio:.2f}")
    sizes = [await each.size() for each in contenders]
    messages = ROUNDS * (CALLERS * CALLS + BULK)
    if sizes[0]:
        before, now = (size / messages for size in sizes)
        say(f"{name} bytes per message: {before:.0f} before, {now:.0f} now, {now / before:.2f}")
    for each in contenders:
        await each.backend.disconnect()


def main(urls: Sequence[str]) -> None:
    """Measure on each database."""
    console = Console()
    for url in urls:
        asyncio.run(measure(url, console.print))


if __name__ == "__main__":
    main(sys.argv[1:])
