"""Connections on their way back to SQLAlchemy's pool, which rolls back what may be open there."""

from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

ENDED: Final = "synthorg_transaction_ended"


def note_end(connection: AsyncConnection) -> None:
    """Note that the transaction has ended that was begun on the driver's own connection.

    Args:
        connection: The connection of SQLAlchemy's around that.
    """
    assert connection.sync_connection is not None
    connection.sync_connection.connection.info[ENDED] = True


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
        if state.asyncio_safe and not has_ended and not state.transaction_was_reset:
            connection.rollback()

    event.listen(engine.sync_engine, "reset", reset)
