"""How busy connections are at one moment, the same for every pool, and a pool that can tell."""

from dataclasses import dataclass
from typing import Self

from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool, PoolProxiedConnection

from synthorg.persistence.sql.drivers.single_connection import SingleConnectionPool


@dataclass(frozen=True)
class PoolState:
    """What is under way on some connections at one moment.

    Attributes:
        in_use: How many do something, or are kept by somebody.
        open: How many there are, also those that do nothing.
        limit: How many there can be.
        waiting: How many calls wait for one; those of the fast route may share its next trip.
        waiting_writes: How many of these are known to write.
    """

    in_use: int = 0
    open: int = 0
    limit: int = 0
    waiting: int = 0
    waiting_writes: int = 0

    def __add__(self, other: Self) -> "PoolState":
        return PoolState(
            self.in_use + other.in_use,
            self.open + other.open,
            self.limit + other.limit,
            self.waiting + other.waiting,
            self.waiting_writes + other.waiting_writes,
        )


@dataclass(frozen=True)
class Load:
    """What is under way on one database at one moment, as this process sees it.

    Attributes:
        kept: The connections that the fast route keeps for itself.
        shared: The engine's, of units of work, the public route and the application's own SQL.
        write_queue: How many calls and units wait to write, on a connection or for the write lock.
        write_lock_is_held: Whether somebody has the write lock; None where there is none.
        log_bytes: The size of SQLite's write-ahead log; None where there is none.
        oldest_unit_seconds: The age of the oldest unit of work that is open; None without one.
    """

    kept: PoolState
    shared: PoolState
    write_queue: int
    write_lock_is_held: bool | None
    log_bytes: int | None
    oldest_unit_seconds: float | None

    @property
    def connections(self) -> PoolState:
        """All connections."""
        return self.kept + self.shared


class CountingPool(AsyncAdaptedQueuePool):
    """SQLAlchemy's usual pool, which also counts those who wait for a connection."""

    waiting: int = 0
    """How many have asked for a connection and have none yet."""

    def connect(self) -> PoolProxiedConnection:
        """Give a connection, as SQLAlchemy says."""
        self.waiting += 1
        try:
            return super().connect()
        finally:
            self.waiting -= 1

    @property
    def limit(self) -> int:
        """How many connections there can be."""
        return self.size() + self._max_overflow


def state_of(pool: Pool) -> PoolState:
    """Tell how busy the connections of an engine are.

    Args:
        pool: Its pool.
    """
    if isinstance(pool, SingleConnectionPool):
        assert pool.write_lock is not None
        return PoolState(int(pool.write_lock.is_held), 1, 1, pool.write_lock.waiting)
    assert isinstance(pool, CountingPool)
    in_use = pool.checkedout()
    return PoolState(in_use, in_use + pool.checkedin(), pool.limit, pool.waiting)
