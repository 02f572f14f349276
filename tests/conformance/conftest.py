"""Fixtures for tests of what is the same on every database.

All of them run in one event loop, so that backends can outlive a test; who breaks what it uses asks
for a backend of its own by the mark `own_backend`.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from synthorg.persistence import PersistenceBackend
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from tests.conformance.lending import Lender, MigratedLoan, UnmigratedLoan
from tests.conftest import ServerPool, connected, on_route
from tests.servers.base import Server

ROUTES: Final = {"fast": "true", "public": "false"}
"""The value of `prepared_statements` for each route."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all tests of this folder in one event loop."""
    one_loop = pytest.mark.asyncio(loop_scope="session")
    for item in items:
        if Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(one_loop, append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lender(server_pool: ServerPool) -> AsyncIterator[Lender]:
    """Lend backends to one test after the other."""
    lender = Lender()
    yield lender
    await lender.close()


@pytest_asyncio.fixture(loop_scope="session")
async def persistence_backend(
    request: pytest.FixtureRequest, server: Server, lender: Lender
) -> AsyncIterator[PersistenceBackend]:
    """A connected backend on a migrated database, which must give every connection back."""
    async with AsyncExitStack() as stack:
        if needs_its_own(request):
            url = request.getfixturevalue("migrated_url")
            backend = await stack.enter_async_context(connected(url))
            await server.migrate(backend)
        else:
            backend = await stack.enter_async_context(lender.lend(server, MigratedLoan))
        yield backend


@pytest.fixture
def backend(persistence_backend: PersistenceBackend) -> PersistenceBackend:
    """The same, by the name that tests beside the shipped ones know."""
    return persistence_backend


def needs_its_own(request: pytest.FixtureRequest) -> bool:
    """Tell whether a test breaks its backend, or connects another to the same database."""
    is_marked = request.node.get_closest_marker("own_backend") is not None
    return is_marked or "migrated_url" in request.fixturenames


@pytest_asyncio.fixture(loop_scope="session")
async def unmigrated(server: Server, lender: Lender) -> AsyncIterator[PersistenceBackend]:
    """A connected backend without tables, where whatever is sent to the database fails."""
    async with lender.lend(server, UnmigratedLoan) as backend:
        yield backend


@pytest_asyncio.fixture(loop_scope="session", params=ROUTES)
async def on_each_route(
    request: pytest.FixtureRequest, server: Server
) -> AsyncIterator[SQLPersistenceBackend]:
    """A connected backend of its own on a migrated database, on each route in turn."""
    with server.migrated_database() as url:
        own = on_route(url, ROUTES[request.param])
        async with connected(own) as backend:
            assert isinstance(backend, SQLPersistenceBackend)
            await server.migrate(backend)
            yield backend
