"""Fixtures for tests of what one kind of database does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ServerPool
from tests.servers.sqlite import SQLiteFiles


@pytest.fixture
def sqlite_file(server_pool: ServerPool) -> Iterator[Path]:
    """A migrated SQLite database, in a folder of its own."""
    with server_pool.get(SQLiteFiles).migrated_database() as url:
        yield Path(url.removeprefix("sqlite:///"))
