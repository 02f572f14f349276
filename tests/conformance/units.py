"""What tests of units of work share: units in place of backends, mishaps, a second backend."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

from sqlalchemy import func, select

from synthorg.persistence import PersistenceBackend, PersistenceConfig, create_backend
from synthorg.persistence.transactions import Stores, TransactionalBackend, UnitOfWork
from tests.conformance.kind import Kind
from tests.conftest import checked_out_connections
from tests.servers.base import Server
from tests.servers.sqlite import SQLiteMemory


class Mishap(Exception):  # noqa: N818 (it is no error)
    """Something that goes wrong in a unit of work."""


@asynccontextmanager
async def rolled_back(stores: TransactionalBackend | UnitOfWork) -> AsyncIterator[UnitOfWork]:
    """Begin a unit of work, or a part of one, at the end of which a mishap happens."""
    with suppress(Mishap):
        async with stores.transaction() as unit:
            yield unit
            raise Mishap
        raise AssertionError("the mishap did not come out")


def repositories(stores: Stores) -> PersistenceBackend:
    """Pass a unit of work for a backend, to what asks it for its repositories alone."""
    return cast("PersistenceBackend", stores)


async def count(backend: PersistenceBackend, kind: Kind) -> int:
    """Count what is stored of a kind."""
    async with backend.get_db().connect() as connection:
        return await connection.scalar(select(func.count()).select_from(kind.table)) or 0


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
