"""Fixtures: databases that outlive a command, and the command itself."""

from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner, Result

from synthorg.persistence.cli.app import app
from synthorg.persistence.config import DATABASE_URL_VARIABLE
from tests.conftest import SERVERS, ServerPool
from tests.servers.base import Server
from tests.servers.sqlite import SQLiteMemory

LASTING_SERVERS = tuple(kind for kind in SERVERS if kind is not SQLiteMemory)

Command = Callable[..., Result]


@pytest.fixture(params=LASTING_SERVERS, ids=lambda kind: kind.name)
def lasting_server(request: pytest.FixtureRequest, server_pool: ServerPool) -> Server:
    """Every kind of database that outlives a command, in turn."""
    return server_pool.get(request.param)


@pytest.fixture
def url(lasting_server: Server) -> Iterator[str]:
    """An empty database."""
    with lasting_server.empty_database() as url:
        yield url


@pytest.fixture
def migrated_url(lasting_server: Server) -> Iterator[str]:
    """A database at the head revision."""
    with lasting_server.migrated_database() as url:
        yield url


@pytest.fixture
def command(url: str) -> Command:
    """Run `synthorg-db` on the empty database."""
    return command_on(url)


@pytest.fixture
def migrated(migrated_url: str) -> Command:
    """Run `synthorg-db` on the database at the head revision."""
    return command_on(migrated_url)


def command_on(url: str) -> Command:
    """Make what runs `synthorg-db` on a database."""

    def run(*arguments: str, answer: str | None = None) -> Result:
        environment = {DATABASE_URL_VARIABLE: url, "COLUMNS": "200"}
        return CliRunner().invoke(app, arguments, input=answer, env=environment)

    return run
