"""An application's own SQL on the engine of a backend, beside its units of work."""

import re
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only

from synthorg.persistence.sql.drivers.write_lock import (
    OWN_SQL_IN_UNIT,
    WAITS_FOR_OWN_SQL,
    OpenTransaction,
    WriteLock,
)
from synthorg.persistence.sql.execution.seen import Seen

LIBRARY: Final = "synthorg_library"
"""The execution option of the library's own connections."""

_NOISE: Final = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|^[\s(;]+", re.DOTALL)
_READS: Final = re.compile(
    r"(SELECT|VALUES|WITH|TABLE|EXPLAIN|SHOW|DESCRIBE|DESC|PRAGMA|SET|SAVEPOINT|RELEASE|ROLLBACK)\b",
    re.IGNORECASE,
)
_CHANGES_OR_LOCKS: Final = re.compile(
    r"\b((INSERT|REPLACE)\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM|MERGE\s+INTO|"
    r"FOR\s+(NO\s+KEY\s+)?UPDATE|FOR\s+(KEY\s+)?SHARE)\b",
    re.IGNORECASE,
)


def watch(
    engine: AsyncEngine,
    write_lock: WriteLock,
    *,
    one_writer: bool,
    readers_block: bool,
    seen: Seen,
) -> None:
    """Refuse own SQL at once where it would wait for itself, or escape its unit of work.

    Args:
        engine: The engine that applications get.
        write_lock: The lock of those that write.
        one_writer: Whether a transaction that has written keeps all other writers waiting.
        readers_block: Whether one that has only read does.
        seen: Where it is counted what is written.
    """
    transactions: WeakKeyDictionary[Connection, OpenTransaction] = WeakKeyDictionary()

    def about_to_run(connection: Connection, _cursor: Any, statement: str, *_: object) -> None:
        if _is_ours(connection):
            return
        writes = may_write(statement)
        if writes:
            await_only(write_lock.wait_for_own_unit(OWN_SQL_IN_UNIT))
            seen.note_own_sql(connection)
        if connection in transactions:
            transactions[connection].show_progress()
            transactions[connection].blocks |= writes

    event.listen(engine.sync_engine, "before_cursor_execute", about_to_run)
    if one_writer:
        _note_transactions(engine, write_lock, transactions, blocks=readers_block)


def _note_transactions(
    engine: AsyncEngine,
    write_lock: WriteLock,
    transactions: WeakKeyDictionary[Connection, OpenTransaction],
    *,
    blocks: bool,
) -> None:
    def begun(connection: Connection) -> None:
        if not _is_ours(connection):
            transactions[connection] = write_lock.note(WAITS_FOR_OWN_SQL, blocks=blocks)

    def ended(connection: Connection) -> None:
        transaction = transactions.pop(connection, None)
        if transaction is not None:
            transaction.close()

    event.listen(engine.sync_engine, "begin", begun)
    event.listen(engine.sync_engine, "commit", ended)
    event.listen(engine.sync_engine, "rollback", ended)


def may_write(statement: str) -> bool:
    """Tell whether a statement may change something, or lock what it reads.

    Args:
        statement: Its SQL.
    """
    bare = _NOISE.sub("", _NOISE.sub("", statement))
    return _READS.match(bare) is None or _CHANGES_OR_LOCKS.search(bare) is not None


def _is_ours(connection: Connection) -> bool:
    return LIBRARY in connection.get_execution_options()
