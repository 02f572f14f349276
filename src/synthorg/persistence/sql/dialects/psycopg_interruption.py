"""Ending what runs on a connection of psycopg, without cancelling the driver in its midst.

Cancelled while it enters a pipeline, it stays there, and whoever gets the connection next fails.
"""

import os
import socket
import time
from contextlib import suppress
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

REQUEST_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 5.0
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
        try:
            driver: Any = (await self._connection.get_raw_connection()).driver_connection
        except SQLAlchemyError:  # it is lost, so that nothing runs there
            return
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        if now - self._began > PATIENCE_SECONDS:
            hang_up(driver)
            return
        with suppress(Exception):  # it is asked again a moment later
            await driver.cancel_safe(timeout=REQUEST_SECONDS)


def hang_up(driver: Any) -> None:
    """End a connection under whoever waits for its answer.

    Args:
        driver: The driver's connection.
    """
    with suppress(OSError), socket.socket(fileno=os.dup(driver.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)
