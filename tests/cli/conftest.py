"""Fixtures: databases that outlive a command, and the command itself."""

from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner, Result

from synthorg.persistence.cli.app import app
from synthorg.persistence.config import DATABASE_URL_VARIABLE
from tests.conftest import SERVERS, ServerPool
from tests.servers.sqlite import SQLiteMemory

LASTING_SERVERS = tuple(kind for kind in SERVERS if kind is not SQLiteMemory)

Command = Callable[..., Result]


@pytest.fixture(params=LASTING_SERVERS, ids=lambda kind: kind.name)
def url(request: pytest.FixtureRequest, server_pool: ServerPool) -> Iterator[str]:
    """An empty database of every lasting kind in turn."""
    with server_pool.get(request.param).empty_database() as url:
        yield url


@pytest.fixture
def command(url: str) -> Command:
    """Run `synthorg-db` on that database."""

    def run(*arguments: str, answer: str | None = None) -> Result:
        environment = {DATABASE_URL_VARIABLE: url, "COLUMNS": "200"}
        return CliRunner().invoke(app, arguments, input=answer, env=environment)

    return run
