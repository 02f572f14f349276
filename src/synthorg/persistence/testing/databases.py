"""Databases for tests: without tables of ours before a test, and after it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import inspect, select

from synthorg.persistence.config import PersistenceConfig
from synthorg.persistence.errors import UsageError
from synthorg.persistence.extension import Extension
from synthorg.persistence.factory import create_backend
from synthorg.persistence.protocol import PersistenceBackend
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.sql.migrations import runner
from synthorg.persistence.sql.owned_tables import LIBRARY
from synthorg.persistence.transactions import ManagedBackend


@asynccontextmanager
async def lent_backend(url: str, extensions: Sequence[Extension]) -> AsyncIterator[ManagedBackend]:
    """Connect and migrate a backend, and take back in the end what that has made.

    Args:
        url: A database for tests alone.
        extensions: The extensions whose tables it is to have, too.

    Raises:
        UsageError: If the database has records before, which would be lost.
    """
    backend = create_backend(PersistenceConfig.from_url(url), extensions=extensions)
    async with backend:
        await _refuse_records(backend, extensions)
        await backend.migrate()
        try:
            yield backend
            left = checked_out_connections(backend)
            assert left == 0, f"the test has not given back {left} connections"
        finally:
            await backend.connect()  # which the test may have ended
            await _take_back(backend, extensions)


def checked_out_connections(backend: PersistenceBackend) -> int:
    """Count the connections that a backend has not given back to its pool."""
    if not backend.is_connected:
        return 0
    checked_out = getattr(backend.get_db().sync_engine.pool, "checkedout", None)
    return 0 if checked_out is None else int(checked_out())


async def _refuse_records(backend: PersistenceBackend, extensions: Sequence[Extension]) -> None:
    assert isinstance(backend, SQLPersistenceBackend)
    prefix = backend.database_for("the beginning of a test").dialect.table_prefix
    every = (LIBRARY, *(each.owned for each in extensions))
    metadata = [owned.in_database(prefix).metadata for owned in every]
    async with backend.get_db().connect() as connection:
        there = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
        for table in (table for each in metadata for table in each.tables.values()):
            if table.name in there and (await connection.execute(select(table).limit(1))).first():
                raise UsageError(
                    f"the table {table.name} has records before the test, which would delete them; "
                    "name a database that is for tests alone"
                )


async def _take_back(backend: ManagedBackend, extensions: Sequence[Extension]) -> None:
    assert isinstance(backend, SQLPersistenceBackend)
    database = backend.database_for("the end of a test")
    for owned in (*[each.owned for each in reversed(extensions)], LIBRARY):
        await runner.downgrade(database, "base", owned=owned)
