"""Fixtures for tests of what one kind of database does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ServerPool
from tests.dialects.awkward_mariadb import awkward_mariadb as awkward_mariadb_server
from tests.dialects.places import WAYS, Place, Way
from tests.servers.mariadb import MariaDB
from tests.servers.sqlite import SQLiteFiles


@pytest.fixture
def sqlite_file(server_pool: ServerPool) -> Iterator[Path]:
    """A migrated SQLite database, in a folder of its own."""
    with server_pool.get(SQLiteFiles).migrated_database() as url:
        yield Path(url.removeprefix("sqlite:///"))


@pytest.fixture(scope="session")
def awkward_mariadb() -> Iterator[MariaDB]:
    """A MariaDB whose operator has chosen what suits nobody, for a user of few privileges."""
    with awkward_mariadb_server() as server:
        yield server


@pytest.fixture(params=WAYS, ids=str)
def place(request: pytest.FixtureRequest, server_pool: ServerPool) -> Iterator[Place]:
    """A migrated database on each server, by each driver."""
    way: Way = request.param
    with server_pool.get(way.kind).migrated_database() as url:
        yield way.place(url)
