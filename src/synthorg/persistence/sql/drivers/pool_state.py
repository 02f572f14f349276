"""How busy connections are at one moment, the same for every pool, and a pool that can tell."""

import time
from dataclasses import dataclass
from typing import Any, Final, Self

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import (
    AsyncAdaptedQueuePool,
    ConnectionPoolEntry,
    ManagesConnection,
    Pool,
    PoolProxiedConnection,
)
from sqlalchemy.util.queue import Empty

from synthorg.persistence.sql.drivers.openings import Openings
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


OPEN: Final = "synthorg_open"


class CountingPool(AsyncAdaptedQueuePool):
    """SQLAlchemy's usual pool, which also counts those who wait for a connection.

    Where it is not allowed to grow, they wait for those that it has.
    """

    waiting: int = 0
    """How many have asked for a connection and have none yet."""

    open: int = 0
    """How many connections were open when they were last used."""

    openings: Openings | None = None

    _sqla_logger_namespace = "sqlalchemy.pool.CountingPool"
    """What SQLAlchemy logs is its own, and would bear this module's name."""

    def connect(self) -> PoolProxiedConnection:
        """Give a connection, as SQLAlchemy says."""
        deadline = time.monotonic() + self._timeout
        self.waiting += 1
        try:
            connection = self._connect_until(deadline)
        finally:
            self.waiting -= 1
        notes = _notes_of(connection)
        if OPEN not in notes:
            notes[OPEN] = True
            self.open += 1
        return connection

    def recreate(self) -> "CountingPool":
        """Make a pool of the same kind, as SQLAlchemy asks for."""
        pool = super().recreate()
        assert isinstance(pool, CountingPool)
        pool.openings = self.openings
        return pool

    def _connect_until(self, deadline: float) -> PoolProxiedConnection:
        while True:
            try:
                return super().connect()
            except Exception as error:
                may_wait = self.open > 0 and time.monotonic() < deadline
                if self.openings is None or not may_wait:
                    raise
                if not self.openings.is_without_room(error):
                    raise

    def _has_to_wait(self) -> bool:
        """Tell whether there is no room for more than there are."""
        return self.open > 0 and self.openings is not None and self.openings.crowd is not None

    def _do_get(self) -> ConnectionPoolEntry:
        while self._has_to_wait():
            try:
                record = self._pool.get(True, self._timeout)
            except Empty:
                raise PoolTimeoutError from None
            if record.dbapi_connection is not None or not self._has_to_wait():
                return record
            self._dec_overflow()  # opening it anew would only be refused
        return super()._do_get()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if record.dbapi_connection is None and self._pool.qsize() > 0:
            self._dec_overflow()  # it would be in front of those that are open
        else:
            super()._do_return_conn(record)
        if record.dbapi_connection is None and _notes_of(record).pop(OPEN, False):
            self.open -= 1

    @property
    def limit(self) -> int:
        """How many connections there can be."""
        return self.size() + self._max_overflow


def _notes_of(connection: ManagesConnection) -> dict[Any, Any]:
    notes = connection.record_info
    assert notes is not None
    return notes


def wait_where_crowded(engine: AsyncEngine, openings: Openings) -> None:
    """Have the pool of an engine serve by what it has where it is not allowed to grow.

    Args:
        engine: The engine.
        openings: Knows whether that is so.
    """
    pool = engine.sync_engine.pool
    assert isinstance(pool, CountingPool)
    pool.openings = openings


def is_without_room(pool: Pool, error: Exception) -> bool:
    """Tell whether an error means that an engine is allowed no further connection.

    Args:
        pool: Its pool.
        error: The error.
    """
    openings = pool.openings if isinstance(pool, CountingPool) else None
    return openings is not None and openings.is_without_room(error)


def has_open(pool: Pool) -> bool:
    """Tell whether a connection of an engine is open, as far as is known.

    Args:
        pool: Its pool.
    """
    return isinstance(pool, CountingPool) and pool.open > 0


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
