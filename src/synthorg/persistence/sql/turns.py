"""Turns: who may run a transaction now, on databases that cannot run any number at once."""

import asyncio

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

    async def __aenter__(self) -> None:
        """Wait for the turn and hold it.

        Raises:
            PersistenceConnectionError: If this task holds it already, or another for too long.
        """
        self.refuse_to_wait_for_oneself()
        if self._lock.locked():
            await self._wait()
        else:
            await self._lock.acquire()  # at once, without a timer
        self._taken += 1
        self._holder = asyncio.current_task()

    async def __aexit__(self, *_: object) -> None:
        self._holder = None
        self._lock.release()

    def refuse_to_wait_for_oneself(self) -> None:
        """Refuse a turn to the task that has it.

        Raises:
            PersistenceConnectionError: If this task holds the turn.
        """
        if self._holder is not None and asyncio.current_task() is self._holder:
            raise PersistenceConnectionError(
                "this task has a transaction open on the same database and would wait for itself; "
                "use the repositories of that transaction"
            )

    async def _wait(self) -> None:
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
