"""PostgreSQL with settings that an operator or the environment chose: nothing reads differently."""

import os
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from sqlalchemy import make_url, text

from synthorg.persistence import PersistenceConfig, PersistenceConnectionError, create_backend
from synthorg.persistence.sql.dialects.postgresql_session import SETTINGS
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.migrations.drift import find_drift
from synthorg.persistence.testing.kinds import COST_RECORDS, KINDS
from tests.conftest import ServerPool
from tests.dialects.places import connected, task
from tests.servers.administrator import Administrator
from tests.servers.network import PREFIX
from tests.servers.postgresql import PostgreSQL

ODD: Final = {
    "client_encoding": "LATIN1",
    "timezone": "America/New_York",
    "datestyle": "German, DMY",
    "intervalstyle": "sql_standard",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "default_transaction_isolation": "serializable",
    "quote_all_identifiers": "on",
}
"""For each setting that is pinned, a value that would not do."""

TOO_SHORT: Final = {"statement_timeout": "20ms", "synchronous_commit": "off"}

ENVIRONMENT: Final = {
    "PGCLIENTENCODING": "LATIN1",
    "PGDATESTYLE": "German",
    "PGTZ": "America/New_York",
    "PGOPTIONS": "-c extra_float_digits=-15 -c intervalstyle=iso_8601 -c lock_timeout=1",
    "PGHOSTADDR": "203.0.113.1",  # reserved for examples: nobody answers
    "PGPORT": "1",
    "PGSSLMODE": "verify-full",
    "PGAPPNAME": "another",
}

DRIVERS: Final = ("asyncpg", "psycopg", "asyncpg&prepared_statements=false")

Administer = Callable[[str], None]


@pytest.fixture(params=DRIVERS)
def url(request: pytest.FixtureRequest, server_pool: ServerPool) -> Iterator[str]:
    """An empty database, by each driver and route."""
    with server_pool.get(PostgreSQL).empty_database() as url:
        yield f"{url}?driver={request.param}"


@pytest.fixture
def administer(url: str) -> Iterator[Administer]:
    """What sets something for the database; `{}` is its name."""
    address = make_url(url).set(drivername="postgresql+asyncpg", query={})
    with Administrator(address) as administrator:

        def administer(statement: str) -> None:
            administrator.execute(statement.format(address.database))

        yield administer


async def assert_keeps_everything(url: str) -> None:
    async with connected(url) as backend:
        await backend.migrate()
        for kind in KINDS:
            await kind.store(backend, kind.example)
            assert await kind.stored(backend, kind.example) == kind.example
        exact = COST_RECORDS.altered(COST_RECORDS.example, cost_usd=0.1 + 0.2)
        await backend.cost_records.save(exact)
        assert await backend.cost_records.query() == (COST_RECORDS.example, exact)
        async with backend.transaction() as unit:
            await unit.tasks.save(task("é \u2019 🦊"))
        assert await backend.tasks.get("é \u2019 🦊") == task("é \u2019 🦊")
        dialect = create_dialect(PersistenceConfig.from_url(url))
        async with backend.get_db().connect() as connection:
            assert await connection.run_sync(find_drift, dialect) == ()


async def test_no_setting_of_the_operator_changes_what_is_stored_or_read(
    url: str, administer: Administer
) -> None:
    for name, value in (ODD | TOO_SHORT).items():
        administer(f"ALTER DATABASE {{}} SET {name} = '{value}'")

    await assert_keeps_everything(url)


async def test_nothing_in_the_environment_changes_what_is_stored_or_read(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert os.environ["PGPORT"] == "1"

    await assert_keeps_everything(url)


def test_every_setting_that_is_pinned_is_tried() -> None:
    assert ODD.keys() == SETTINGS.keys()


@pytest.mark.parametrize("name", [*SETTINGS, "synchronous_commit"])
async def test_a_setting_that_is_relied_on_is_pinned(
    url: str, administer: Administer, name: str
) -> None:
    expected = {**SETTINGS, "synchronous_commit": "on"}[name]
    administer(f"ALTER DATABASE {{}} SET {name} = '{(ODD | TOO_SHORT)[name]}'")
    async with connected(url) as backend, backend.get_db().connect() as connection:
        assert await connection.scalar(text(f"SHOW {name}")) == expected


async def test_how_many_standbys_have_a_commit_is_the_operators_choice(
    url: str, administer: Administer
) -> None:
    administer("ALTER DATABASE {} SET synchronous_commit = 'local'")
    async with connected(url) as backend, backend.get_db().connect() as connection:
        assert await connection.scalar(text("SHOW synchronous_commit")) == "local"


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_database_that_cannot_hold_every_character_is_refused_by_its_encoding(
    server_pool: ServerPool, encoding: str, driver: str
) -> None:
    server = server_pool.get(PostgreSQL)
    name = f"{PREFIX}_{os.getpid()}_{encoding.lower()}"
    assert isinstance(server, PostgreSQL)
    server.administrator.execute(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"
    )
    try:
        url = server.url.set(database=name, query={"driver": driver})
        backend = create_backend(
            PersistenceConfig.from_url(url.render_as_string(hide_password=False))
        )
        with pytest.raises(PersistenceConnectionError, match=f"{encoding}.*ENCODING 'UTF8'"):
            await backend.connect()
        assert not backend.is_connected
    finally:
        server.administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_a_user_without_triggers_and_foreign_keys_is_refused(
    url: str, administer: Administer, server_pool: ServerPool
) -> None:
    server = server_pool.get(PostgreSQL)
    assert isinstance(server, PostgreSQL)
    if not server.is_superuser:
        pytest.skip("only a superuser may set that")
    administer("ALTER DATABASE {} SET session_replication_role = 'replica'")
    with pytest.raises(PersistenceConnectionError, match="session_replication_role"):
        async with connected(url):
            pass


async def test_a_user_who_may_only_read_is_told_why_a_save_is_refused(
    url: str, administer: Administer
) -> None:
    async with connected(url) as backend:
        await backend.migrate()
    administer("ALTER DATABASE {} SET default_transaction_read_only = on")
    async with connected(url) as backend:
        assert await backend.tasks.get("one") is None
        with pytest.raises(PersistenceConnectionError, match="default_transaction_read_only"):
            await backend.tasks.save(task("one"))
