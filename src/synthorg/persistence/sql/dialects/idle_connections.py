"""Asking pooled connections whether they are alive, unless they were used a moment ago."""

import time
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from synthorg.persistence.sql.dialects.server_driver import ServerDriver

IDLE_SECONDS: Final = 0.005
"""How long a connection may have been idle without being asked whether it is still alive: a loop
of calls never is, and to all others the trip does not matter."""

GIVEN_BACK: Final = "synthorg_given_back"


def ask_after_idleness(
    engine: AsyncEngine,
    driver_of: Callable[[Any], ServerDriver],
    driver_errors: tuple[type[Exception], ...],
) -> None:
    """Have the pool replace its connections when one that it hands out shows no sign of life.

    SQLAlchemy can do so itself (`pool_pre_ping`), but before every use, and with three trips on
    asyncpg.

    Args:
        engine: The engine.
        driver_of: Finds the driver of a connection.
        driver_errors: What the driver raises over a lost connection.
    """
    lost: tuple[type[Exception], ...] = (*driver_errors, OSError)

    def given_back(_connection: object, entry: ConnectionPoolEntry) -> None:
        entry.info[GIVEN_BACK] = time.monotonic()

    def handed_out(
        connection: AdaptedConnection, entry: ConnectionPoolEntry, _proxy: object
    ) -> None:
        last_used = entry.info.get(GIVEN_BACK)  # which a new connection has not
        if last_used is None or time.monotonic() - last_used < IDLE_SECONDS:
            return
        try:
            connection.run_async(lambda driver: driver_of(driver).ping())
        except lost as error:
            raise InvalidatePoolError from error

    event.listen(engine.sync_engine, "checkin", given_back)
    event.listen(engine.sync_engine, "checkout", handed_out)
