"""What tests of units of work share: units in place of backends, mishaps, a second backend."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import func, select

from synthorg.persistence import PersistenceBackend, PersistenceConfig, create_backend
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.transactions import TransactionalBackend
from tests.conftest import checked_out_connections
from tests.servers.base import Server
from tests.servers.sqlite import SQLiteMemory
from tests.tables import table_of


async def count(backend: PersistenceBackend, kind: Kind) -> int:
    """Count what is stored of a kind."""
    async with backend.get_db().connect() as connection:
        return await connection.scalar(select(func.count()).select_from(table_of(kind))) or 0


@asynccontextmanager
async def neighbour_of(
    backend: TransactionalBackend, server: Server, url: str
) -> AsyncIterator[TransactionalBackend]:
    """Connect another backend to the same database, or give the same where there can be one only.

    Args:
        backend: The one that is there.
        server: Where the database is.
        url: The database.
    """
    if isinstance(server, SQLiteMemory):
        yield backend
        return
    neighbour = create_backend(PersistenceConfig.from_url(url))
    await neighbour.connect()
    try:
        yield neighbour
        assert checked_out_connections(neighbour) == 0
    finally:
        await neighbour.disconnect()
