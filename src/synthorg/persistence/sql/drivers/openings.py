"""Opening connections: few at once, spread after an outage, and not where there is no room."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from synthorg.persistence.sql.drivers.faults import Diagnosis, refusal_of

AT_ONCE: Final = 3
"""How many connections a backend opens at the same time."""

TROUBLED_SECONDS: Final = 2.0
"""For how long after a loss or a failure connections are opened one by one, since the other
processes do so, too."""

SPACING_SECONDS: Final = 0.05
"""The mean pause between two of those."""

FIRST_PAUSE_SECONDS: Final = 0.02
LONGEST_PAUSE_SECONDS: Final = 0.25
"""The mean pause after the first attempt that failed, and after any."""

CROWDED_SECONDS: Final = 1.5
"""For how long, on the average, no connection is asked for where there was no room, if the work can
be done on one that is there."""


class Openings:
    """Opens all connections of one backend.

    Args:
        diagnose: Tells what an error means.
    """

    def __init__(self, diagnose: Callable[[BaseException], Diagnosis]) -> None:
        self._diagnose = diagnose
        self._lanes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lane] = WeakKeyDictionary()
        self._troubled_until = self._not_before = self._failed_at = self._crowded_until = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        self._failure: Diagnosis | None = None

    @property
    def crowd(self) -> Diagnosis | None:
        """Why there is no room for another connection, if one has been refused for that lately."""
        return self._failure if time.monotonic() < self._crowded_until else None

    def note_loss(self) -> None:
        """Take note that a connection was lost, as it happens to all at once in an outage."""
        self._troubled_until = time.monotonic() + TROUBLED_SECONDS

    def is_without_room(self, error: BaseException) -> bool:
        """Tell whether an error means that no further connection is allowed.

        Args:
            error: What came of asking for one.
        """
        diagnosis = self._diagnose(error)
        return diagnosis.is_crowd and diagnosis.may_pass

    async def open(self, connect: Callable[[], Awaitable[Any]]) -> Any:
        """Open a connection, when it is its turn.

        Args:
            connect: Opens it.

        Raises:
            UnusableError: If another attempt has failed meanwhile, so that none is made.
            Exception: What `connect` raised.
        """
        asked = time.monotonic()
        lane = self._lane
        async with lane.few:
            if time.monotonic() >= self._troubled_until:
                return await self._attempt(connect)
            async with lane.one:
                if self._failure is not None and self._failed_at >= asked:
                    raise refusal_of(self._failure)
                await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
                return await self._attempt(connect)

    async def _attempt(self, connect: Callable[[], Awaitable[Any]]) -> Any:
        try:
            connection = await connect()
        except Exception as error:
            diagnosis = self._diagnose(error)
            if diagnosis.may_pass:
                self._note_failure(diagnosis)
            raise
        self._pause = FIRST_PAUSE_SECONDS
        self._crowded_until = 0.0
        self._not_before = time.monotonic() + _about(SPACING_SECONDS)
        return connection

    def _note_failure(self, diagnosis: Diagnosis) -> None:
        now = time.monotonic()
        self._failure, self._failed_at = diagnosis, now
        self._troubled_until = now + TROUBLED_SECONDS
        self._not_before = now + _about(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        self._crowded_until = now + _about(CROWDED_SECONDS) if diagnosis.is_crowd else 0.0

    @property
    def _lane(self) -> "_Lane":
        # A backend may connect again in another event loop.
        return self._lanes.setdefault(asyncio.get_running_loop(), _Lane())


def watch_losses(engine: AsyncEngine, openings: Openings) -> None:
    """Have note taken of the connections that an engine loses.

    Args:
        engine: The engine.
        openings: Takes note.
    """

    def lost(_connection: object, _record: object, error: BaseException | None) -> None:
        if error is not None:
            openings.note_loss()

    event.listen(engine.sync_engine, "invalidate", lost)


class _Lane:
    """Where those wait who open connections in one event loop."""

    def __init__(self) -> None:
        self.few = asyncio.Semaphore(AT_ONCE)
        self.one = asyncio.Lock()


def _about(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311 (jitter)
