"""Callers that write and read all the time, and keep account of what was acknowledged."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count

from synthorg.persistence import (
    ManagedBackend,
    PersistenceConfig,
    PersistenceConnectionError,
    PersistenceError,
    UnitOfWork,
    create_backend,
)
from synthorg.persistence.testing.kinds import COST_RECORDS, TASKS

CALLERS = 12
PAUSE_SECONDS = 0.01
WARM_UP_SECONDS = 2.0
OUTAGE_SECONDS = 2.0
RECOVERY_SECONDS = 10.0

Write = Callable[[ManagedBackend, str], Awaitable[object]]


async def _save(backend: ManagedBackend, key: str) -> None:
    await backend.tasks.save(TASKS.make(id=key))


async def _save_many(backend: ManagedBackend, key: str) -> None:
    await backend.tasks.save_many([TASKS.make(id=key), TASKS.make(id=f"{key} again")])


async def _unit(backend: ManagedBackend, key: str) -> None:
    async with backend.transaction() as unit:
        await unit.tasks.save(TASKS.make(id=f"{key} begun"))
        await unit.tasks.save(TASKS.make(id=key))


async def _run(backend: ManagedBackend, key: str) -> None:
    async def work(unit: UnitOfWork) -> None:
        await unit.tasks.save(TASKS.make(id=key))

    await backend.run_in_transaction(work)


async def _cost(backend: ManagedBackend, key: str) -> None:
    await backend.cost_records.save(COST_RECORDS.make(task_id=key))


WRITES: tuple[Write, ...] = (_save, _save_many, _unit, _run, _cost)


class Load:
    """Callers on one backend.

    Args:
        backend: The backend.
    """

    def __init__(self, backend: ManagedBackend) -> None:
        self._backend = backend
        self._tasks: set[str] = set()
        self._costs: set[str] = set()
        self._last: dict[int, float] = {}
        """When each caller began the last call that succeeded."""
        self._succeeded = asyncio.Event()
        self._is_over = False
        self.longest_call = 0.0
        self.errors: list[tuple[float, BaseException]] = []
        """What was raised, and when."""

    @property
    def acknowledged(self) -> int:
        """How many writes were."""
        return len(self._tasks) + len(self._costs)

    @property
    def errors_by_class(self) -> dict[str, int]:
        """How many errors there were of each class."""
        return dict(Counter(type(error).__name__ for _, error in self.errors))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have all callers write and read until the block ends."""
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(self._call(number))
            try:
                yield
            finally:
                self._is_over = True

    async def all_succeed_after(self, moment: float) -> float:
        """Wait until each caller has begun a call after a moment that succeeded.

        Args:
            moment: The moment, by the monotonic clock.

        Returns:
            How many seconds after it that was so.
        """
        while len(self._last) < CALLERS or min(self._last.values()) < moment:
            self._succeeded.clear()
            await self._succeeded.wait()
        return time.monotonic() - moment

    async def find_lost(self) -> list[str]:
        """Name what was acknowledged and is not there."""
        found = await self._backend.tasks.get_many(sorted(self._tasks))
        costs = {record.task_id for record in await self._backend.cost_records.query()}
        return sorted((self._tasks - set(found)) | (self._costs - costs))

    async def _call(self, number: int) -> None:
        write = WRITES[number % len(WRITES)]
        keys = self._costs if write is _cost else self._tasks
        for attempt in count():
            if self._is_over:
                return
            key, began = f"{number}-{attempt}", time.monotonic()
            try:
                await write(self._backend, key)
                keys.add(key)
                if write is not _cost:
                    assert await self._backend.tasks.get(key) is not None, "it reads older data"
            except PersistenceError as error:
                self.errors.append((time.monotonic(), error))
            else:
                self._last[number] = began
                self._succeeded.set()
            self.longest_call = max(self.longest_call, time.monotonic() - began)
            await asyncio.sleep(PAUSE_SECONDS)


async def fail_over(
    url: str, away: Callable[[], None], promote: Callable[[], None]
) -> tuple[Load, str]:
    """Fail over under load, and check what holds however the first server went away.

    Args:
        url: The database, with both hosts.
        away: What becomes of the server that took writes.
        promote: Has the other one take them.

    Returns:
        The load, and what was measured.
    """
    async with create_backend(PersistenceConfig.from_url(url)) as backend:
        await backend.migrate()
        load = Load(backend)
        async with load.running():
            await asyncio.sleep(WARM_UP_SECONDS)
            await asyncio.to_thread(away)
            before = load.acknowledged
            await asyncio.sleep(OUTAGE_SECONDS)
            promoted = time.monotonic()
            await asyncio.to_thread(promote)
            async with asyncio.timeout(RECOVERY_SECONDS):
                recovered = await load.all_succeed_after(promoted)
            recovery = time.monotonic()
            await asyncio.sleep(1)
        assert await load.find_lost() == []
    assert before > CALLERS
    for moment, error in load.errors:
        assert isinstance(error, PersistenceConnectionError), repr(error)
        assert moment < recovery, f"an error after the recovery: {error!r}"
    return load, (
        f"recovered in {recovered:.2f} s; {before} writes acknowledged before, "
        f"{load.acknowledged} in all; longest call {load.longest_call:.2f} s; "
        f"errors {load.errors_by_class}"
    )
