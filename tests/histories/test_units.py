"""Units of work have the effect of running one after the other, by what a checker finds."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Final

import pytest

from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.mysql import MariaDBDialect
from synthorg.persistence.sql.dialects.postgresql import PostgreSQLDialect
from tests.conftest import ServerPool, with_parameter
from tests.dialects.places import connected
from tests.histories.checker import anomalies_of
from tests.histories.recording import check, record
from tests.servers.base import Server
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.sqlite import SQLiteFiles

WAYS: Final[dict[str, tuple[type[Server], str]]] = {
    "sqlite": (SQLiteFiles, "busy_timeout_seconds=30"),
    "postgresql": (PostgreSQL, "prepared_statements=true"),
    "postgresql-sqlalchemy": (PostgreSQL, "prepared_statements=false"),
    "postgresql-psycopg": (PostgreSQL, "driver=psycopg"),
    "mariadb": (MariaDB, "prepared_statements=true"),
    "mariadb-sqlalchemy": (MariaDB, "prepared_statements=false"),
}


@pytest.fixture(params=WAYS)
def url(request: pytest.FixtureRequest, server_pool: ServerPool) -> Iterator[str]:
    """A migrated database, by each driver and route."""
    kind, parameter = WAYS[request.param]
    with server_pool.get(kind).migrated_database() as found:
        yield with_parameter(found, parameter)


async def test_a_history_of_units_is_one_of_units_that_ran_one_after_the_other(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with AsyncExitStack() as stack:
        backends = [await stack.enter_async_context(connected(url)) for _ in range(2)]
        recorder = await record(backends)
        summary = await check(recorder, backends[0])
    assert not recorder.errors
    with capsys.disabled():
        print(f"\n{url.partition(':')[0]}: {summary}")  # noqa: T201 (figures for whoever runs it)


@pytest.mark.parametrize("dialect", [PostgreSQLDialect, MariaDBDialect])
async def test_a_history_of_units_that_are_less_isolated_shows_that(
    dialect: type[Dialect], server_pool: ServerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect, "unit_options", lambda _: {"isolation_level": "READ COMMITTED"})
    kind: type[Server] = PostgreSQL if dialect is PostgreSQLDialect else MariaDB
    with server_pool.get(kind).migrated_database() as found:
        async with connected(found) as backend, asyncio.timeout(60):
            while True:
                recorder = await record([backend], seconds=1)
                if "lost" in {each.kind for each in anomalies_of(await recorder.history(backend))}:
                    return
