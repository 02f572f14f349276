"""The fast route of a SQLite database in memory, on the one connection that it has."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from synthorg.persistence.sql.drivers.base import Call, DriverPool
from synthorg.persistence.sql.drivers.batching import Batcher, Outcome
from synthorg.persistence.sql.drivers.observation import current
from synthorg.persistence.sql.drivers.pool_state import PoolState
from synthorg.persistence.sql.drivers.single_connection import holding_lock
from synthorg.persistence.sql.drivers.sqlite import ThreadConnection, run_each, thread_of
from synthorg.persistence.sql.drivers.sqlite_file import FileConnection
from synthorg.persistence.sql.drivers.sqlite_points import Turns
from synthorg.persistence.sql.drivers.write_lock import WriteLock


class MemoryPool(DriverPool):
    """Prepared statements on the connection of an engine, in turn with all who use that.

    Args:
        engine: The engine, which has this connection alone.
        write_lock: The lock of those who use it.
        turns: How many single rows are read on the event loop's own thread; None for none.
    """

    def __init__(self, engine: AsyncEngine, write_lock: WriteLock, turns: Turns | None) -> None:
        self._write_lock = write_lock
        self._turns = turns
        self._connection = MemoryConnection(engine, write_lock)
        self._calls = Batcher([self._connection])

    async def open(self) -> None:
        """Do nothing, since the database is there from the engine's first connection on."""

    async def close(self) -> None:
        """Wait for the calls under way; the engine closes the connection."""
        await self._calls.finish()

    async def abandon(self) -> None:
        """Do nothing, since the engine lets go of the connection."""

    async def fetch(self, call: Call) -> Sequence[Sequence[Any]]:
        """Run a statement that reads, as `DriverPool` says."""
        statement = call.statement
        if (
            statement.finds_one
            and self._turns is not None
            and self._is_free
            and await self._turns.take()
            and self._is_free
        ):
            return statement.decode(self._connection.run_here(call))
        return statement.decode(await self._run(call))

    async def execute(self, call: Call) -> int:
        """Run a statement that writes, as `DriverPool` says."""
        row_count: int = await self._run(call)
        return row_count

    @property
    def state(self) -> PoolState:
        """How many calls wait; the connection itself is the engine's."""
        waiting = self._calls.waiting
        return PoolState(waiting=waiting, waiting_writes=waiting)

    @property
    def _is_free(self) -> bool:
        """Whether nothing is done on the connection, nor waits for it."""
        return not self._write_lock.is_held and self._connection.is_open

    async def _run(self, call: Call) -> Outcome:
        await self._write_lock.wait_for_own()  # before others wait behind it
        return await self._calls.run(call)


class MemoryConnection:
    """Runs calls one after the other in one trip, each durable as soon as anything in memory is.

    Args:
        engine: The engine whose connection it is.
        write_lock: The lock of those who use it.
    """

    def __init__(self, engine: AsyncEngine, write_lock: WriteLock) -> None:
        self._engine = engine
        self._write_lock = write_lock
        self._driver: ThreadConnection | None = None

    @property
    def is_open(self) -> bool:
        """Whether the connection is there, as it is after its first call."""
        return self._driver is not None and self._driver.is_open

    def run_here(self, call: Call) -> Outcome:
        """Run a call on the caller's thread, while nobody has the lock."""
        assert self._driver is not None
        observed = current.get()
        if observed is not None:
            observed.route = "fast"
        return self._driver.run_here(_run, call)

    async def run_one(self, call: Call) -> Outcome:
        """Run a call, as `BatchingConnection` says."""
        async with self._write_lock:
            driver = await self._opened()
            return await driver.run(_run, call, stop=call.statement.reads)

    async def run(self, calls: Sequence[Call]) -> Sequence[Outcome]:
        """Run calls, as `BatchingConnection` says."""
        await self._write_lock.acquire(len(calls))
        try:
            return await (await self._opened()).run(run_each, _run, calls)
        finally:
            self._write_lock.release()

    async def _opened(self) -> ThreadConnection:
        """Give the connection that the engine has now, while the lock is held."""
        if self._driver is None or not self._driver.is_open:
            with holding_lock():
                async with self._engine.connect() as connection:
                    self._driver = await thread_of(connection)
        return self._driver


def _run(connection: FileConnection, call: Call) -> Outcome:
    cursor = connection.execute(call.statement.sql, call.values)
    return cursor.fetchall() if call.statement.reads else cursor.rowcount
