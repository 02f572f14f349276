"""Batching: calls that wait for a connection share a trip to the driver and, to write, a commit.

The latter is known as group commit.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence
from time import perf_counter
from typing import Any, Final, Protocol

from synthorg.persistence.errors import PersistenceConnectionError
from synthorg.persistence.sql.drivers.base import Call
from synthorg.persistence.sql.drivers.observation import Observed, current, shared_trip
from synthorg.persistence.sql.drivers.write_lock import DISCONNECTED

CALLS_AT_ONCE: Final = 128
"""How many calls share a trip at most, so that the first is not kept waiting for the last."""

FEWEST_CALLS: Final = 16
"""How many calls one connection takes although others could take some of them."""

BYTES_AT_ONCE: Final = 8 * 2**20
"""How many bytes of large values are sent or held together, unless one row alone has more."""

Outcome = Any
"""The rows of a call that reads, the row count of one that writes, or an error."""


Waiting = tuple[Call, asyncio.Future[Outcome], Observed | None]


class BatchingConnection(Protocol):
    """A connection that runs calls, and is fit for the next ones whatever became of these."""

    async def run_one(self, call: Call) -> Outcome:
        """Run a call that is alone.

        Args:
            call: The call.

        Returns:
            Its rows or its row count; then it is durable.

        Raises:
            NotWritten: If nothing can be written.
            Exception: What the driver raised; then nothing is written, unless it is a connection
                that was lost.
        """
        ...

    async def run(self, calls: Sequence[Call]) -> Sequence[Outcome]:
        """Run calls, each with an outcome of its own.

        Args:
            calls: The calls; one that fails does not affect the others.

        Returns:
            The outcome of each: rows, a row count, or the error it raised. Writes that did not
            fail are durable.
        """
        ...


class Batcher:
    """Hands calls to whichever connection is free, in batches when none was.

    Args:
        connections: The connections, which this alone uses.
        slow_seconds: How long each of many calls on one trip has to take for others to be used
            beside the first, which costs more where the server itself has little to do.
    """

    def __init__(
        self, connections: Sequence[BatchingConnection], *, slow_seconds: float = 0
    ) -> None:
        self._connections = connections
        self._slow_seconds = slow_seconds
        self._seconds = 0.0
        self._idle = list(connections)
        self._waiting: deque[Waiting] = deque()
        self._services: set[asyncio.Task[None]] = set()
        self._closing = False
        self._freed = asyncio.Event()

    async def run(self, call: Call) -> Outcome:
        """Run a call as soon as a connection is free.

        Args:
            call: The call.

        Returns:
            Its rows or its row count.

        Raises:
            PersistenceConnectionError: If they are closed before it began.
            Exception: What the driver raised.
        """
        if self._closing:
            raise PersistenceConnectionError(DISCONNECTED)
        observed = current.get()
        if self._idle and (self._is_slow or self.in_use == 0):
            connection = self._idle.pop()
            try:
                trip = connection.run_one(call)
                if observed is not None:
                    observed.route, observed.trip_calls = "fast", 1
                    if observed.wants_trips:
                        trip = _told(trip, observed)
                return await trip
            finally:
                self._free(connection)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if observed is not None:
            observed.queued = perf_counter()
        self._waiting.append((call, future, observed))
        outcome = await future
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @property
    def _is_slow(self) -> bool:
        return self._seconds >= self._slow_seconds

    @property
    def in_use(self) -> int:
        """How many connections run calls."""
        return len(self._connections) - len(self._idle)

    @property
    def waiting(self) -> int:
        """How many calls wait for a connection."""
        return sum([not future.done() for _, future, _ in tuple(self._waiting)])

    async def finish(self) -> None:
        """Refuse the calls that have not begun, and wait for those that have."""
        self._closing = True
        while self._waiting:
            _, future, _ = self._waiting.popleft()
            if not future.done():
                future.set_result(PersistenceConnectionError(DISCONNECTED))
        while len(self._idle) < len(self._connections):
            self._freed.clear()
            await self._freed.wait()

    def _free(self, connection: BatchingConnection) -> None:
        if self._waiting:
            # A task of its own: no caller's cancellation may end a trip that others share.
            service = asyncio.get_running_loop().create_task(self._serve(connection))
            self._services.add(service)  # the loop itself would not keep it
            service.add_done_callback(self._services.discard)
        else:
            self._idle.append(connection)
            self._freed.set()

    async def _serve(self, connection: BatchingConnection) -> None:
        """Run whatever waits, until nothing does."""
        current.set(None)  # it began as a copy of the context of another call
        try:
            while batch := self._next_batch():
                began = perf_counter()
                await _run_together(connection, batch)
                if len(batch) >= FEWEST_CALLS:
                    self._seconds = (perf_counter() - began) / len(batch)
                # Whom that answered may come back at once, and shall not miss the next trip.
                await asyncio.sleep(0)
        finally:
            self._free(connection)

    def _next_batch(self) -> list[Waiting]:
        batch: list[Waiting] = []
        size = 0
        among = len(self._connections) if self._is_slow else 1
        share = -(-len(self._waiting) // among)
        most = min(CALLS_AT_ONCE, max(FEWEST_CALLS, share))
        # The drivers copy what they send together.
        while self._waiting and len(batch) < most and size < BYTES_AT_ONCE:
            call, future, observed = self._waiting.popleft()
            if not future.done():  # its caller was cancelled before it began
                batch.append((call, future, observed))
                size += sum([len(value) for value in call.values if isinstance(value, str)])
        return batch


async def _told(trip: Awaitable[Outcome], observed: Observed) -> Outcome:
    """Make a trip that no other call shares, and that observers are told of."""
    with shared_trip([observed], 1):
        return await trip


async def _run_together(connection: BatchingConnection, batch: Sequence[Waiting]) -> None:
    outcomes: Sequence[Outcome] = ()
    observed = [each for _, _, each in batch if each is not None]
    try:
        with shared_trip(observed, len(batch)):
            outcomes = await connection.run([call for call, _, _ in batch])
    except Exception as error:  # noqa: BLE001 (it goes to the callers)
        outcomes = [error] * len(batch)
    finally:
        for (_, future, _), outcome in zip(batch, outcomes, strict=False):
            if not future.done():
                future.set_result(outcome)
        for _, future, _ in batch[len(outcomes) :]:
            future.cancel()  # no outcome, since the loop is shutting down
