"""Turns: who may run a transaction now, on databases that cannot run any number at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from synthorg.persistence.errors import PersistenceConnectionError


class Turns:
    """One turn at a time, first come first served.

    SQLite itself makes writers wait by polling, which is slow and starves some; and transactions
    that share one connection would commit and roll back each other's work.

    Args:
        patience_seconds: How long a single holder may keep all others waiting.
    """

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._lock = asyncio.Lock()
        self._taken = 0
        self._holder: asyncio.Task[object] | None = None

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for the turn and hold it.

        Raises:
            PersistenceConnectionError: If this task holds it already, or another for too long.
        """
        task = asyncio.current_task()
        if task is self._holder and task is not None:
            raise PersistenceConnectionError(
                "this task has a transaction open on the same database and would wait for itself; "
                "use the repositories of that transaction"
            )
        await self._acquire()
        self._taken += 1
        self._holder = task
        try:
            yield
        finally:
            self._holder = None
            self._lock.release()

    async def _acquire(self) -> None:
        while True:
            seen = self._taken
            try:
                async with asyncio.timeout(self._patience_seconds):
                    await self._lock.acquire()
            except TimeoutError:
                if self._taken == seen:
                    raise PersistenceConnectionError(
                        "another transaction of this process has kept the database to itself for "
                        f"{self._patience_seconds:g} s"
                    ) from None
            else:
                return
