"""A pool of one connection, which is all that a database in memory can have."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from sqlalchemy.pool import ConnectionPoolEntry, StaticPool
from sqlalchemy.util import await_only

from synthorg.persistence.sql.drivers.write_lock import (
    OWN_SQL_IN_UNIT,
    WAITS_FOR_OWN_SQL,
    OpenTransaction,
    WriteLock,
)

_holds_lock: ContextVar[bool] = ContextVar("synthorg_has_turn", default=False)


class SingleConnectionPool(StaticPool):
    """Hands out its connection to one user at a time: whoever returns it rolls back what is open.

    The library locks it itself; whoever else asks the engine for a connection waits here.
    """

    write_lock: WriteLock | None = None
    _own_sql: OpenTransaction | None = None

    _sqla_logger_namespace = "sqlalchemy.pool.SingleConnectionPool"
    """What SQLAlchemy logs is its own, and would bear this module's name."""

    def recreate(self) -> "SingleConnectionPool":
        """Make a pool of the same kind, as SQLAlchemy asks for."""
        pool = super().recreate()
        assert isinstance(pool, SingleConnectionPool)
        pool.write_lock = self.write_lock
        return pool

    def _do_get(self) -> ConnectionPoolEntry:
        if self.write_lock is not None and not _holds_lock.get():
            await_only(self.write_lock.wait_for_own_unit(OWN_SQL_IN_UNIT))
            await_only(self.write_lock.acquire())
            self._own_sql = self.write_lock.note(WAITS_FOR_OWN_SQL, blocks=True)
        return super()._do_get()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        transaction, self._own_sql = self._own_sql, None
        if transaction is not None:
            transaction.close()
            transaction.write_lock.release()


@contextmanager
def holding_lock() -> Iterator[None]:
    """Ask for a connection as one who holds the lock already."""
    before: Final = _holds_lock.set(True)
    try:
        yield
    finally:
        _holds_lock.reset(before)
