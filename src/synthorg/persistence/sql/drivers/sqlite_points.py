"""Single rows of a SQLite file on the event loop's own thread, while that is fast.

A row in the system's cache is read in less time than it takes to wake another thread.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

from synthorg.persistence.sql.drivers.base import Call
from synthorg.persistence.sql.drivers.forks import never_collect
from synthorg.persistence.sql.drivers.observation import current
from synthorg.persistence.sql.drivers.sqlite_file import FileConnection

if sys.platform == "linux":
    from resource import RUSAGE_THREAD, getrusage

SLOW_SECONDS: Final = 0.00025
"""From how long on a read is one that the event loop must not wait for: ten times what a row in
memory takes."""

LONG_SECONDS: Final = 0.0001
"""From how long on a read is the last one in its turn of the event loop."""

LONGEST_PAUSE: Final = 60.0

SHARE: Final = 0.01
"""The part of its time that the event loop may wait for slow reads."""

READS_IN_A_TURN: Final = 8
"""So that reads, and what comes of them, keep others waiting for half a millisecond or so."""

LONGEST_TEXT: Final = 2**16
"""The most characters of a value that is written on the event loop's thread."""

Switches = tuple[int, int]
"""How often a thread has waited, and how often it had to let others run though it did not."""


def switches() -> Switches:
    """Count how often this thread was switched away from; always the same where nobody counts."""
    if sys.platform != "linux":
        return 0, 0
    usage = getrusage(RUSAGE_THREAD)
    return usage.ru_nvcsw, usage.ru_nivcsw


class Pace:
    """Whether reads are fast: after a slow one, there is a pause, whose first read is a probe.

    The pause is as long as the read has cost: who waits a millisecond for a disk is asked again
    after 100, and who waits a second for a network after a minute.
    """

    def __init__(self) -> None:
        self._resumes = 0.0

    def allows(self, now: float) -> bool:
        """Tell whether a read may be tried.

        Args:
            now: The time.
        """
        return now >= self._resumes

    def note(self, began: float, ended: float, *, preempted: bool = False) -> None:
        """Note how long a read took.

        Args:
            began: When it began.
            ended: When it ended.
            preempted: Whether the time went to other threads of a busy machine, which says nothing
                of the reads, and could hit any other step of the event loop as well.
        """
        took = ended - began
        if took > SLOW_SECONDS and not preempted:
            self._resumes = ended + min(took / SHARE, LONGEST_PAUSE)


class Turns:
    """Lets few reads through in each turn of the event loop.

    A task that reads never has to wait for anything, and would keep all others waiting: it waits
    for the next turn. Many that read side by side gain more by sharing a trip to a thread.
    """

    def __init__(self) -> None:
        self._left = READS_IN_A_TURN
        self._is_next_due = False
        self._waiting: asyncio.Future[None] | None = None

    async def take(self) -> bool:
        """Have one read in this turn or, if nobody waits for it yet, in the next one.

        Returns:
            Whether there is room for it.
        """
        loop = asyncio.get_running_loop()
        if self._left:
            self._take(loop)
            return True
        if self._waiting is not None:
            return False
        self._waiting = loop.create_future()
        await self._waiting
        return True

    def end(self) -> None:
        """Let no more reads through in this turn."""
        self._left = 0

    def _take(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left -= 1
        if not self._is_next_due:
            self._is_next_due = True
            loop.call_soon(self._begin, loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left = READS_IN_A_TURN
        self._is_next_due = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():  # its task may have been cancelled
            waiting.set_result(None)
            self._take(loop)  # after that, so that the next turn begins after its read


class Guard:
    """Lets reads through while they are fast, and few in each turn of the event loop."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._turns = Turns()

    async def admits(self) -> bool:
        """Tell whether a read may be done now, which may be in the next turn."""
        return (
            self._pace.allows(perf_counter())
            and await self._turns.take()
            and self._pace.allows(perf_counter())
        )

    def note(self, before: Switches, began: float) -> None:
        """Note the end of a read.

        Args:
            before: What `switches` gave before it.
            began: When it began.
        """
        ended = perf_counter()
        if ended - began > LONG_SECONDS:
            self._turns.end()
        if ended - began > SLOW_SECONDS:
            self._pace.note(began, ended, preempted=_is_preempted(before, switches()))


def is_large(call: Call) -> bool:
    """Tell whether a value is so large that handling it alone takes too long for the loop."""
    return any(type(value) is str and len(value) > LONGEST_TEXT for value in call.values)


class PointReader:
    """Reads rows on the thread of the event loop, on a connection of its own that never waits.

    Args:
        connect: Opens the connection, which may be used in any thread.
    """

    def __init__(self, connect: Callable[[], FileConnection]) -> None:
        self._connect = connect
        self._connection: FileConnection | None = None
        self._process = os.getpid()
        self._guard = Guard()
        never_collect(self)

    def open(self) -> None:
        """Open the connection, for which the event loop should not wait."""
        self._connection = connection = self._connect()
        connection.execute("PRAGMA query_only=ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()  # reads the schema
        connection.execute("PRAGMA busy_timeout=0")

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, which is not that of a parent."""
        return self._connection is not None and os.getpid() == self._process

    def stop(self) -> None:
        """Close the connection, unless it is the parent's."""
        if self.is_open and self._connection is not None:
            self._connection.close()
            self._connection = None

    async def read(self, call: Call) -> list[Any] | None:
        """Read in this turn of the event loop or soon, unless a thread should.

        Args:
            call: A statement that reads a single row.

        Returns:
            The rows; None if a thread has to find out what they are, or what is wrong.
        """
        if not await self._guard.admits() or (connection := self._connection) is None:
            return None
        before, began = switches(), perf_counter()
        try:
            connection.refuse_other_file()
            rows = connection.execute(call.statement.sql, call.values).fetchall()
        except Exception:  # noqa: BLE001 (a thread meets the same, and may wait for a lock)
            rows = None
        self._guard.note(before, began)
        observed = current.get()
        if observed is not None and rows is not None:
            observed.route = "fast"
        return rows


def _is_preempted(before: Switches, after: Switches) -> bool:
    return after[0] == before[0] and after[1] > before[1]
