"""A fair write lock, for databases that cannot run any number of transactions at once."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Final

from synthorg.persistence.errors import PersistenceConnectionError, UsageError
from synthorg.persistence.sql.drivers.observation import waiting_for_lock

DISCONNECTED: Final = "not connected: this backend has been disconnected"

WAITS_FOR_ITS_UNIT: Final = (
    "this task has a transaction open on the same database, or was started inside one, and would "
    "wait for itself; use the repositories of that transaction, or start the task outside of it"
)
WAITS_FOR_OWN_SQL: Final = (
    "this task has a transaction of get_db() open on the same database, or was started inside "
    "one, and would wait for itself; end it first, or begin a unit of work and run your own SQL on "
    "its connection()"
)
OWN_SQL_IN_UNIT: Final = (
    "this task has a unit of work open, or was started inside one, and get_db() would write in a "
    "transaction beside it; run the statement on the unit's connection(), or outside of the unit"
)


STANDSTILL_SECONDS: Final = 1.0
"""How long a task waits for the transaction inside of which it was started, while nothing is done
in that: it may be over soon, or be waiting for the task."""


class OpenTransaction:
    """A transaction that the program has open.

    The task that began it knows of it, and so do the tasks that this one starts meanwhile.

    Args:
        write_lock: The lock of its database.
        reason: What to tell a call that would wait for it.
        blocks: Whether what needs the lock would wait until this has ended.
    """

    def __init__(self, write_lock: "WriteLock", reason: str, *, blocks: bool) -> None:
        self.write_lock = write_lock
        self.reason = reason
        self.blocks = blocks
        self._steps_begun = self._steps_ended = 0
        self._task = asyncio.current_task()
        self._closed = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether the transaction has not ended."""
        return not self._closed.is_set()

    def close(self) -> None:
        """Let those go on who wait for the end of the transaction."""
        self._closed.set()

    @contextmanager
    def step(self) -> Iterator[None]:
        """Show that something is done in the transaction."""
        self._steps_begun += 1
        try:
            yield
        finally:
            self._steps_ended += 1

    def show_progress(self) -> None:
        """Show that something was done in the transaction."""
        with self.step():
            pass

    async def end(self, reason: str) -> None:
        """Wait for the end of the transaction, unless it may be waiting for this task.

        Args:
            reason: What to tell otherwise.

        Raises:
            UsageError: If this is the task that began it, or nothing is done in it.
        """
        if asyncio.current_task() is self._task:
            raise UsageError(reason)
        while self.is_open:
            seen = self._steps_ended
            with suppress(TimeoutError):
                async with asyncio.timeout(STANDSTILL_SECONDS):
                    await self._closed.wait()
            if self._steps_begun == self._steps_ended == seen and not self._closed.is_set():
                raise UsageError(reason)


_known: ContextVar[tuple[OpenTransaction, ...]] = ContextVar(
    "synthorg_open_transactions", default=()
)


class WriteLock:
    """One holder at a time, first come first served.

    SQLite itself makes writers wait by polling, which is slow and starves some; and transactions
    that share one connection would commit and roll back each other's work.

    Args:
        lock_timeout_seconds: How long a single holder may keep all others waiting.
    """

    def __init__(self, lock_timeout_seconds: float) -> None:
        self._timeout_seconds = lock_timeout_seconds
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()
        self._is_taken = False
        self._taken = 0
        self._closed = False

    async def __aenter__(self) -> None:
        """Acquire it, as `acquire` says."""
        await self.acquire()

    async def __aexit__(self, *_: object) -> None:
        self.release()

    @property
    def is_held(self) -> bool:
        """Whether somebody has it."""
        return self._is_taken

    @property
    def waiting(self) -> int:
        """How many calls and transactions wait for it."""
        return sum([calls for future, calls in tuple(self._waiting) if not future.done()])

    async def acquire(self, calls: int = 1) -> None:
        """Wait for the lock and hold it until it is released.

        Args:
            calls: How many wait for it together.

        Raises:
            UsageError: If the holder would wait for this call to end.
            PersistenceConnectionError: If another holds it for too long, or it is closed.
        """
        await self.wait_for_own()
        if self._closed:
            raise PersistenceConnectionError(DISCONNECTED)
        if self._is_taken:
            with waiting_for_lock():
                await self._wait(calls)
        self._is_taken = True
        self._taken += 1

    def release(self) -> None:
        """Let the next one have it."""
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return
        self._is_taken = False

    def close(self) -> None:
        """Refuse all who wait, and all who come; who holds it keeps it."""
        self._closed = True
        for future, _ in self._waiting:
            if not future.done():
                future.set_exception(PersistenceConnectionError(DISCONNECTED))

    def note(self, reason: str, *, blocks: bool) -> OpenTransaction:
        """Let this task, and those it starts, know of a transaction until it is closed.

        Args:
            reason: What to tell a call that would wait for it.
            blocks: Whether calls that need the lock would.
        """
        transaction = OpenTransaction(self, reason, blocks=blocks)
        _known.set((*(each for each in _known.get() if each.is_open), transaction))
        return transaction

    @contextmanager
    def unit(self, *, blocks: bool) -> Iterator[OpenTransaction]:
        """Let this task, and those it starts, know of a unit of work.

        Args:
            blocks: Whether calls that need the lock would wait for it.
        """
        transaction = self.note(WAITS_FOR_ITS_UNIT, blocks=blocks)
        try:
            yield transaction
        finally:
            transaction.close()

    async def wait_for_own(self) -> None:
        """Wait for what keeps this call waiting and may be waiting for it.

        Raises:
            UsageError: If it is, as far as can be seen.
        """
        for transaction in self._own():
            if transaction.blocks:
                await transaction.end(transaction.reason)

    async def wait_for_own_unit(self, reason: str) -> None:
        """Wait for the unit of work inside which this was called, if any.

        Args:
            reason: What to tell if the unit is waiting for this call.

        Raises:
            UsageError: If it is, as far as can be seen.
        """
        for transaction in self._own():
            if transaction.reason is WAITS_FOR_ITS_UNIT:
                await transaction.end(reason)

    def _own(self) -> Iterator[OpenTransaction]:
        return (each for each in _known.get() if each.is_open and each.write_lock is self)

    async def _wait(self, calls: int) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((future, calls))
        try:
            while not future.done():
                seen = self._taken
                await asyncio.wait([future], timeout=self._timeout_seconds)
                if not future.done() and self._taken == seen:
                    future.set_exception(self._kept_too_long())
            future.result()
        except BaseException:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.release()  # it came with the cancellation
            future.cancel()
            raise

    def _kept_too_long(self) -> PersistenceConnectionError:
        return PersistenceConnectionError(
            "another transaction of this process has kept the database to itself for "
            f"{self._timeout_seconds:g} s"
        )
