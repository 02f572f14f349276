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
    Hold,
    Turns,
)

_has_turn: ContextVar[bool] = ContextVar("synthorg_has_turn", default=False)


class SingleConnectionPool(StaticPool):
    """Hands out its connection to one user at a time: whoever returns it rolls back what is open.

    The database takes its turns itself; whoever else asks the engine for a connection waits here.
    """

    turns: Turns | None = None
    _hold: Hold | None = None

    def recreate(self) -> "SingleConnectionPool":
        """Make a pool of the same kind, as SQLAlchemy asks for."""
        pool = super().recreate()
        assert isinstance(pool, SingleConnectionPool)
        pool.turns = self.turns
        return pool

    def _do_get(self) -> ConnectionPoolEntry:
        if self.turns is not None and not _has_turn.get():
            await_only(self.turns.wait_for_own_unit(OWN_SQL_IN_UNIT))
            await_only(self.turns.take())
            self._hold = self.turns.hold(WAITS_FOR_OWN_SQL, blocks=True)
        return super()._do_get()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.close()
            hold.turns.give_back()


@contextmanager
def with_turn() -> Iterator[None]:
    """Ask for a connection as one who has the turn already."""
    before: Final = _has_turn.set(True)
    try:
        yield
    finally:
        _has_turn.reset(before)
