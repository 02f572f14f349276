"""Ending what runs on a connection of psycopg, without cancelling the driver in its midst.

Cancelled while it enters a pipeline, it stays there, and whoever gets the connection next fails.
"""

import time
from contextlib import suppress
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.sql.drivers.answer_timeout import driver_connection, hang_up

REQUEST_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 1.0
"""How long the server may take to stop what it is asked to stop."""


class Interruption:
    """Asks the server to stop what runs on a connection, and hangs up when it does not.

    Args:
        connection: The connection.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._began: float | None = None

    async def __call__(self) -> None:
        """Ask, or hang up."""
        driver = driver_connection(self._connection)
        if driver is None:  # it is lost, so that nothing runs there
            return
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        if now - self._began > PATIENCE_SECONDS:
            hang_up(driver)
            return
        with suppress(Exception):  # it is asked again a moment later
            await driver.cancel_safe(timeout=REQUEST_SECONDS)
