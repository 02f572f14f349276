"""Hanging up on a server that keeps silent, since no driver gives up waiting by itself.

Whoever waits for its answer is then told of a lost connection, by the driver's own means.
"""

import asyncio
import os
import socket
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

MARGIN_SECONDS: Final = 5.0
"""How long an answer may be on its way, beyond the time that the server itself may take."""

FAREWELL_SECONDS: Final = 1.0
"""How long a connection that is closed waits for the server to say so too."""


class AnswerTimeoutError(TimeoutError):
    """No answer came in time."""


class AnswerTimeouts:
    """Waits for one answer of a server after the other, and hangs up when one takes too long.

    Args:
        connection: The driver's connection; None is waited for however long it takes.
        seconds: How long an answer may take; None for any time.
    """

    __slots__ = ("_connection", "_due", "_is_over", "_loop", "_seconds", "_timer")

    def __init__(self, connection: Any, seconds: float | None) -> None:
        self._connection = connection
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._is_over = False

    def __enter__(self) -> None:
        if self._connection is not None and self._seconds is not None:
            self._due = self._loop.time() + self._seconds
            if self._timer is None:
                self._timer = self._loop.call_at(self._due, self._look)

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._due = None
        if self._is_over and isinstance(error, Exception):
            raise AnswerTimeoutError from None

    def end(self) -> None:
        """Wait for no more answers."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return  # the next answer that is waited for sets it anew
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._look)
            return
        self._is_over = True
        hang_up(self._connection)


class AnswerTimeout(AnswerTimeouts):
    """The same for a single answer."""

    __slots__ = ()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()
        super().__exit__(kind, error, traceback)


def hang_up(connection: Any) -> None:
    """End a connection under whoever waits for its answer.

    Args:
        connection: The driver's connection.
    """
    transport = getattr(connection, "_transport", None)
    with suppress(OSError, AttributeError):  # it has ended already
        if transport is not None:
            transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        elif not connection.closed:
            with socket.socket(fileno=os.dup(connection.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)


def driver_connection(connection: AsyncConnection) -> Any:
    """Give the driver's connection behind one of SQLAlchemy's, or None when it is lost.

    Args:
        connection: SQLAlchemy's.
    """
    proxy = connection.sync_connection
    if proxy is None or proxy.closed or proxy.invalidated:
        return None
    return proxy.connection.driver_connection


def answer_timeout_for(statement_timeout_seconds: float) -> float | None:
    """Tell how long to wait for the answer to one statement.

    Args:
        statement_timeout_seconds: How long the server works on it; 0 for no limit.
    """
    return statement_timeout_seconds + MARGIN_SECONDS if statement_timeout_seconds else None
