"""What holds across the nodes of a Galera cluster, where locks are those of one node.

A row of a table stands for what all nodes share: of two transactions that change it at the same
time on different nodes, the cluster lets one commit. https://galeracluster.com/library/documentation/certification-based-replication.html
"""

import asyncio
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Executable,
    MetaData,
    SmallInteger,
    String,
    Table,
    Update,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import CreateTable

from synthorg.persistence.sql.dialects.base import held_too_long
from synthorg.persistence.sql.tables import TABLE_OPTIONS, LibraryName

shared: Final = Table(
    LibraryName("synthorg_persistence_cluster", None),
    MetaData(),
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("holder", String(64)),
    Column("number", BigInteger, nullable=False),
    **TABLE_OPTIONS,
)
"""Made where a node of a cluster is migrated or connected to, and nowhere else."""

LEASE: Final = 1
"""The row of whoever migrates; the number grows as long as it does."""
ORDER: Final = 2
"""The row that every unit of work changes which writes."""
TOUCHED: Final = 3
"""The row that whoever waits changes, to find out whether the cluster lets anybody write."""

ROWS: Final = (LEASE, ORDER, TOUCHED)

BEAT_SECONDS: Final = 2.0
EXPIRY_SECONDS: Final = 15.0
"""How long the number stays the same before its holder is taken for dead."""

DEADLOCK: Final = 1213

ordering: Final = update(shared).where(shared.c.id == ORDER).values(number=shared.c.number + 1)
"""Makes units of work on different nodes conflict that run at the same time.

What a unit has read is not certified: two units on two nodes could each read what the other one
changes. With this, the one that commits later is run again, and reads what the first has written.
"""


def is_node(connection: Connection) -> bool:
    """Tell whether a server is a node of a cluster.

    Args:
        connection: A connection to it.
    """
    shown = connection.execute(text("SHOW VARIABLES LIKE 'wsrep_on'")).all()
    return any("ON" in row for row in shown)


def prepare(connection: Connection) -> None:
    """Make the table, unless it is there; another node may do so at the same time.

    Args:
        connection: A connection with no transaction begun.
    """
    if not inspect(connection).has_table(shared.name):
        connection.execute(CreateTable(shared, if_not_exists=True))
    there = set(connection.scalars(select(shared.c.id)))
    connection.rollback()
    missing = [{"id": row, "number": 0} for row in ROWS if row not in there]
    if missing:
        _until_committed(connection, insert(shared).prefix_with("IGNORE").values(missing))


@contextmanager
def lease(connection: Connection, engine: AsyncEngine, patience: float) -> Iterator[None]:
    """Keep everybody else on all nodes from migrating.

    Args:
        connection: A connection with no transaction begun, on which to wait.
        engine: Makes another connection, on which to show that this process is alive.
        patience: How many seconds to wait.

    Raises:
        MigrationError: If somebody else had it all the time.
    """
    prepare(connection)
    holder = secrets.token_hex(16)
    _take(connection, holder, patience)
    heart = _Heart(engine, holder)
    heart.start()
    try:
        yield
    finally:
        heart.stop()


class _Lease(NamedTuple):
    holder: str | None
    number: int


def _take(connection: Connection, holder: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    seen, since = _read(connection), time.monotonic()
    while not _replace(connection, _Lease(None, 0), holder):
        if time.monotonic() > deadline:
            raise held_too_long(patience)
        connection.execute(text("DO SLEEP(0.5)"))
        connection.rollback()
        found = _read(connection)
        if found != seen:
            seen, since = found, time.monotonic()
        elif time.monotonic() > since + EXPIRY_SECONDS and _is_dead(connection, seen):
            if _replace(connection, seen, holder):
                return
            since = time.monotonic()


def _is_dead(connection: Connection, seen: _Lease) -> bool:
    """Tell whether a holder shows no life, although it could: DDL keeps all nodes from writing."""
    _until_committed(connection, _counted(TOUCHED))
    connection.execute(text(f"DO SLEEP({2 * BEAT_SECONDS})"))
    connection.rollback()
    return _read(connection) == seen


def _read(connection: Connection) -> _Lease:
    row = connection.execute(
        select(shared.c.holder, shared.c.number).where(shared.c.id == LEASE)
    ).one()
    connection.rollback()
    return _Lease(*row)


def _replace(connection: Connection, seen: _Lease, holder: str) -> bool:
    """Become the holder after another one, or after nobody; only one of several can."""
    taking = _counted(LEASE).where(shared.c.holder.is_not_distinct_from(seen.holder))
    if seen.holder is not None:
        taking = taking.where(shared.c.number == seen.number)
    taking = taking.values(holder=holder)
    try:
        taken = connection.execute(taking).rowcount == 1
        connection.commit()
    except DBAPIError as error:
        connection.rollback()
        if not _is_conflict(error):
            raise
        return False
    return taken


def _counted(row: int) -> Update:
    return update(shared).where(shared.c.id == row).values(number=shared.c.number + 1)


def _until_committed(connection: Connection, statement: Executable) -> None:
    while True:
        try:
            connection.execute(statement)
            connection.commit()
        except DBAPIError as error:
            connection.rollback()
            if not _is_conflict(error):
                raise
        else:
            return


def _is_conflict(error: DBAPIError) -> bool:
    arguments: tuple[Any, ...] = getattr(error.orig, "args", ())
    return bool(arguments) and arguments[0] == DEADLOCK


class _Heart(threading.Thread):
    """Shows that a holder is alive while its migration keeps the connection, and lets go for it."""

    def __init__(self, engine: AsyncEngine, holder: str) -> None:
        super().__init__(name="synthorg-persistence-lease", daemon=True)
        self._engine = engine
        self._is_mine = (shared.c.id == LEASE) & (shared.c.holder == holder)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let go of the lease."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        """Beat until it is stopped; what fails is tried at the next beat."""
        asyncio.run(self._beat())

    async def _beat(self) -> None:
        beating = update(shared).where(self._is_mine).values(number=shared.c.number + 1)
        leaving = update(shared).where(self._is_mine).values(holder=None)
        try:
            while not await asyncio.to_thread(self._stopping.wait, BEAT_SECONDS):
                await self._execute(beating)
            for _ in range(5):  # else it expires
                if await self._execute(leaving):
                    return
        finally:
            await self._engine.dispose()

    async def _execute(self, statement: Executable) -> bool:
        with suppress(SQLAlchemyError, OSError):
            async with self._engine.begin() as connection:
                await connection.execute(statement)
            return True
        return False
