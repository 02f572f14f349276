"""PostgreSQL behind a pooler: used where it keeps sessions, and refused where it may not."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

import psycopg
import pytest

from synthorg.persistence import PersistenceConfig, PersistenceConnectionError, create_backend
from synthorg.persistence.sql.dialects import psycopg_connector
from synthorg.persistence.sql.dialects.psycopg_connector import PsycopgConnector
from synthorg.persistence.sql.dialects.registry import create_dialect
from tests.conftest import ServerPool
from tests.dialects.places import connected, task
from tests.servers.base import Unavailable
from tests.servers.pgbouncer import pooled
from tests.servers.postgresql import PostgreSQL

ONE_CONNECTION: Final = ("default_pool_size = 1", "max_db_connections = 1")

Through = Callable[..., str]

by_each_driver = pytest.mark.parametrize(
    "driver", ["asyncpg", "asyncpg&prepared_statements=false", "psycopg"]
)


@pytest.fixture
def through(server_pool: ServerPool) -> Iterator[Through]:
    """What gives the URL of one database through a pooler of a mode."""
    with ExitStack() as stack, server_pool.get(PostgreSQL).migrated_database() as url:

        def through(mode: str, driver: str, *settings: str) -> str:
            try:
                pooler = stack.enter_context(pooled(url, mode, settings))
            except Unavailable as reason:
                if os.environ.get("TEST_POOLERS"):
                    pytest.fail(str(reason))
                pytest.skip(str(reason))
            return f"{pooler}?driver={driver}"

        with stack:
            yield through


async def refusal(url: str) -> str:
    backend = create_backend(PersistenceConfig.from_url(url))
    try:
        with pytest.raises(PersistenceConnectionError) as refused:
            await backend.connect()
        assert not backend.is_connected
    finally:
        await backend.disconnect()  # else a test that fails would leave it to another one
    return str(refused.value)


@by_each_driver
async def test_a_pooler_that_keeps_sessions_is_as_good_as_the_server(
    through: Through, driver: str
) -> None:
    async with connected(through("session", driver), statement_timeout_seconds=7) as backend:
        tasks = tuple(task(f"{number:02}") for number in range(30))
        await asyncio.gather(*map(backend.tasks.save, tasks))
        found = await asyncio.gather(*[backend.tasks.get(each.id) for each in tasks])
        assert tuple(found) == tasks
        async with backend.transaction() as unit:
            await unit.tasks.delete("00")
        assert await backend.tasks.list_tasks() == tasks[1:]
        async with backend.get_db().connect() as connection:
            answer = await connection.exec_driver_sql("SHOW statement_timeout")
            assert answer.scalar_one() == "7s"


@by_each_driver
@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_pooler_that_changes_sessions_is_refused_with_the_way_out(
    through: Through, mode: str, driver: str
) -> None:
    assert "pool_mode = session" in await refusal(through(mode, driver))


@by_each_driver
@pytest.mark.parametrize("settings", [(), ONE_CONNECTION], ids=["usual", "one-connection"])
async def test_a_pooler_that_changes_sessions_is_refused_however_little_else_it_does(
    through: Through, driver: str, settings: tuple[str, ...]
) -> None:
    """With one connection, each transaction gets the same, as if it were kept."""
    url = through("transaction", driver, *settings)
    reasons = await asyncio.gather(*[refusal(url) for _ in range(3)])
    assert all("pool_mode = session" in reason for reason in reasons)


async def test_a_pooler_that_refuses_a_parameter_names_it_and_its_own_setting(
    through: Through, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGGEQO", "off")  # which libpq sends, whoever asks it to connect
    reason = await refusal(through("session", "psycopg"))
    assert "geqo" in reason
    assert "ignore_startup_parameters" in reason


async def test_what_others_listen_to_does_not_show_that_a_pooler_keeps_sessions(
    server_pool: ServerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psycopg_connector, "NOTICE_SECONDS", 0.2)
    server = server_pool.get(PostgreSQL)
    with server.empty_database() as url, server.empty_database() as elsewhere:
        connector, stranger = psycopg_connector_to(url), psycopg_connector_to(elsewhere)
        # A notice does not leave its database.
        async with await connector.connect() as own, await stranger.connect() as far:
            await own.execute("LISTEN others")
            await own.execute("NOTIFY others")
            assert not await connector.hears(own, "ours", far)
            assert await connector.hears(own, "ours", own)


def psycopg_connector_to(url: str) -> PsycopgConnector:
    dialect = create_dialect(PersistenceConfig.from_url(url))
    config = PersistenceConfig.from_url(url).postgresql
    assert config is not None
    return PsycopgConnector(psycopg, config, {}, dialect.diagnose)
