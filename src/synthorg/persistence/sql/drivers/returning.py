"""Connections on their way back to SQLAlchemy's pool: what is rolled back, what they remember."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

ENDED: Final = "synthorg_transaction_ended"
BEGUN_BY: Final = "synthorg_begun_by"
SHARED: Final = "synthorg_shared"


def note_end(connection: AsyncConnection) -> None:
    """Note that the transaction has ended that was begun on the driver's own connection.

    Args:
        connection: The connection of SQLAlchemy's around that.
    """
    _notes(connection)[ENDED] = True


def note_begin(connection: AsyncConnection, statements: Sequence[str]) -> None:
    """Note by what a transaction was begun on the driver's own connection.

    Args:
        connection: The connection of SQLAlchemy's around that.
        statements: What was sent, which the session may remember.
    """
    notes = _notes(connection)
    notes[BEGUN_BY] = statements
    notes.pop(SHARED, None)


def note_sharing(connection: AsyncConnection) -> None:
    """Note that somebody else is given a connection, and may set its session as they like.

    Args:
        connection: The connection.
    """
    _notes(connection)[SHARED] = True


def was_begun_by(connection: AsyncConnection, statements: Sequence[str]) -> bool:
    """Tell whether the last transaction was begun so, and nobody else had the connection since.

    Args:
        connection: The connection.
        statements: What would be sent.
    """
    notes = _notes(connection)
    return SHARED not in notes and notes.get(BEGUN_BY) == statements


def forget_begin(connection: Connection) -> bool:
    """Forget what the session may remember, and tell whether there was anything.

    Args:
        connection: The connection.
    """
    return connection.info.pop(BEGUN_BY, None) is not None


def has_ended(connection: AsyncConnection) -> bool:
    """Tell whether a transaction has ended on a connection, as noted.

    Args:
        connection: The connection of SQLAlchemy's.
    """
    proxy = connection.sync_connection
    if proxy is None or proxy.closed or proxy.invalidated:
        return False
    return bool(proxy.connection.info.get(ENDED, False))


def spare_rollbacks(engine: AsyncEngine) -> None:
    """Have a connection whose transaction is known to have ended go back without a rollback.

    The engine is to be made with `pool_reset_on_return=None`. Of use where a rollback is a trip to
    the server even if there is nothing to roll back.

    Args:
        engine: The engine.
    """

    def reset(connection: Any, entry: ConnectionPoolEntry | None, state: PoolResetState) -> None:
        has_ended = entry is not None and entry.info.pop(ENDED, False)
        if entry is not None and not has_ended:
            entry.info[SHARED] = True
        if state.asyncio_safe and not has_ended and not state.transaction_was_reset:
            connection.rollback()

    event.listen(engine.sync_engine, "reset", reset)


def _notes(connection: AsyncConnection) -> dict[Any, Any]:
    assert connection.sync_connection is not None
    return connection.sync_connection.connection.info
