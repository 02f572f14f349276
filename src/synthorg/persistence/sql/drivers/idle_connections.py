"""Looking after pooled connections: whether they live, are given up, or wait in vain."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from synthorg.persistence.sql.drivers.answer_timeout import FAREWELL_SECONDS, AnswerTimeout, hang_up
from synthorg.persistence.sql.drivers.server_policy import ServerPolicy

IDLE_SECONDS: Final = 0.005
"""How long a connection may have been idle without being asked whether it is still alive: a loop
of calls never is, and to all others the trip does not matter."""

OPENED: Final = "synthorg_opened"
OPENING: Final = "synthorg_opening"
GIVEN_BACK: Final = "synthorg_given_back"


def replace_unfit(
    engine: AsyncEngine,
    policy: ServerPolicy,
    ping: Callable[[Any], Awaitable[None]],
    seconds: float,
) -> None:
    """Have the pool replace its connections when one shows no sign of life, or was given up.

    SQLAlchemy can ask for one itself (`pool_pre_ping`), but before every use, with three trips on
    asyncpg, and for ever.

    Args:
        engine: The engine.
        policy: What the driver raises, and since when connections are fit.
        ping: Asks a connection of the driver for a sign of life.
        seconds: How long to wait for it, and for what a new connection is told.
    """
    lost: tuple[type[Exception], ...] = (*policy.driver_errors, OSError)

    def opened(connection: AdaptedConnection, entry: ConnectionPoolEntry) -> None:
        entry.info[OPENED] = time.monotonic()
        loop = asyncio.get_running_loop()
        entry.info[OPENING] = loop.call_later(seconds, hang_up, connection.driver_connection)

    def given_back(_connection: object, entry: ConnectionPoolEntry) -> None:
        entry.info[GIVEN_BACK] = time.monotonic()

    def handed_out(
        connection: AdaptedConnection, entry: ConnectionPoolEntry, _proxy: object
    ) -> None:
        opening = entry.info.pop(OPENING, None)
        if opening is not None:
            opening.cancel()
        if entry.info[OPENED] < policy.fit_since:
            raise InvalidatePoolError
        last_used = entry.info.get(GIVEN_BACK)  # which a new connection has not
        if last_used is None or time.monotonic() - last_used < IDLE_SECONDS:
            return
        try:
            connection.run_async(ping_in_time)
        except lost as error:
            raise InvalidatePoolError from error

    async def ping_in_time(connection: Any) -> None:
        with AnswerTimeout(connection, seconds):
            await ping(connection)

    def closing(connection: AdaptedConnection, _entry: ConnectionPoolEntry) -> None:
        with suppress(RuntimeError):  # no event loop runs any more, so that nobody waits
            asyncio.get_running_loop().call_later(
                FAREWELL_SECONDS, hang_up, connection.driver_connection
            )

    # First of all, since SQLAlchemy itself asks the first connection a few things.
    event.listen(engine.sync_engine, "connect", opened, insert=True)
    event.listen(engine.sync_engine, "checkin", given_back)
    event.listen(engine.sync_engine, "checkout", handed_out)
    event.listen(engine.sync_engine, "close", closing)
