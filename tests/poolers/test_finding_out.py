"""What `connect()` finds out about a pooler, and what it refuses."""

import asyncio
from typing import Final

import psycopg
import pytest

from synthorg.persistence import PersistenceConfig, PersistenceConnectionError, create_backend
from synthorg.persistence.sql.dialects import psycopg_connector
from synthorg.persistence.sql.dialects.psycopg_connector import PsycopgConnector
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.drivers.openings import Openings
from tests.conftest import ServerPool
from tests.dialects.places import connected, task
from tests.poolers.conftest import Through, by_each_driver
from tests.servers.postgresql import PostgreSQL

ONE_CONNECTION: Final = ("default_pool_size = 1", "max_db_connections = 1")


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
async def test_a_pooler_of_single_statements_is_refused_with_the_way_out(
    through: Through, driver: str
) -> None:
    reason = await refusal(through("statement", driver))
    assert "pool_mode is statement" in reason
    assert "pool_mode = transaction or session" in reason


@by_each_driver
@pytest.mark.parametrize("settings", [(), ONE_CONNECTION], ids=["usual", "one-connection"])
async def test_a_pooler_of_transactions_is_found_out_however_little_else_it_does(
    through: Through, driver: str, settings: tuple[str, ...]
) -> None:
    """With one connection, each transaction gets the same, as if it were kept."""
    url = through("transaction", driver, *settings)
    async with connected(url) as one, connected(url) as other:
        backends = (one, other)
        for number in range(8):  # statements are prepared from the sixth time on at the latest
            await asyncio.gather(*[each.tasks.save(task(f"{number}")) for each in backends])
            await asyncio.gather(*[each.tasks.get(f"{number}") for each in backends])
        assert await prepared_statements(url) == 0


async def prepared_statements(url: str) -> int:
    """Count what a session of the server has been asked to prepare under a name."""
    address = url.partition("?")[0]
    async with await psycopg.AsyncConnection.connect(address, prepare_threshold=None) as stranger:
        counted = await stranger.execute("SELECT count(*) FROM pg_prepared_statements")
        return int(*await counted.fetchone() or ())


@by_each_driver
async def test_a_pooler_that_was_ruled_out_is_refused(through: Through, driver: str) -> None:
    assert "pooler is 'none'" in await refusal(f"{through('transaction', driver)}&pooler=none")


@by_each_driver
async def test_without_a_pooler_it_may_be_ruled_out_or_prepared_for(
    database: str, driver: str
) -> None:
    for pooler in ("none", "transaction"):
        async with connected(f"{database}?driver={driver}&pooler={pooler}") as backend:
            await backend.tasks.save(task(pooler))
            assert await backend.tasks.get(pooler) == task(pooler)


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
        (host,) = connector.config.hosts
        async with await connector.connect(host) as own, await stranger.connect(host) as far:
            await own.execute("LISTEN others")
            await own.execute("NOTIFY others")
            assert not await connector.hears(own, "ours", far)
            assert await connector.hears(own, "ours", own)


def psycopg_connector_to(url: str) -> PsycopgConnector:
    dialect = create_dialect(PersistenceConfig.from_url(url))
    config = PersistenceConfig.from_url(url).postgresql
    assert config is not None
    return PsycopgConnector(psycopg, config, {}, dialect.diagnose, Openings(dialect.diagnose))
