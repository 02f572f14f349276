"""Tables under a prefix or in a schema of their own: made, compared, dropped beside others."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from io import StringIO
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Final

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, inspect, select, text

from synthorg.persistence import MigrationError, PersistenceConfig
from synthorg.persistence.config import LONGEST_PREFIX
from synthorg.persistence.extension import include_name_beside
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.dialects.triggered import AppendOnly
from synthorg.persistence.sql.migrations.drift import find_drift
from synthorg.persistence.sql.migrations.runner import find_schema_state, write_script
from synthorg.persistence.sql.migrations.state import Condition
from synthorg.persistence.sql.owned_tables import LIBRARY
from synthorg.persistence.sql.tables import VERSION_TABLE
from synthorg.persistence.testing.kinds import COST_RECORDS, KINDS, TASKS
from synthorg.persistence.transfer import copy_database
from tests.cli.conftest import command_on
from tests.conftest import ServerPool, connected, with_parameter
from tests.migrations.predecessor import example, storable
from tests.migrations.support import BUSY_SECONDS, Site, alembic, migrated_site, site_at
from tests.migrations.test_crashes import kill_at_every_statement
from tests.servers.base import Server
from tests.servers.postgresql import PostgreSQL

PREFIX: Final = "app_"
OTHER: Final = "b_"
PROCESSES_EACH: Final = 2
LONGEST_NAME: Final = 63
"""https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS"""

URLS: Final = ("sqlite://", "postgresql://host/x", "mariadb://host/x")

OWN: Final = MetaData()
OWN_USERS: Final = Table("users", OWN, Column("number", Integer, primary_key=True))
"""A table of an application, whose name this library has for one of its own."""


def under(prefix: str, url: str) -> str:
    return with_parameter(url, f"table_prefix={prefix}")


@pytest.fixture
def url(shared_server: Server) -> Iterator[str]:
    """A database with a table of an application, which stays as it is."""
    with shared_server.empty_database() as url:
        asyncio.run(_make_own(url))
        yield url
        assert asyncio.run(_own_rows(url)) == [(7,)]


async def _make_own(url: str) -> None:
    engine = create_dialect(PersistenceConfig.from_url(url)).create_engine()
    async with engine.begin() as connection:
        await connection.run_sync(OWN.create_all)
        await connection.execute(insert(OWN_USERS).values(number=7))
    await engine.dispose()


async def _own_rows(url: str) -> list[Any]:
    async with connected(url) as backend, backend.get_db().connect() as connection:
        return [tuple(row) for row in await connection.execute(select(OWN_USERS))]


async def tables_of(site: Site) -> set[str]:
    return set(await site.run(lambda connection: inspect(connection).get_table_names()))


async def condition(site: Site) -> Condition:
    state = await site.run(lambda connection: find_schema_state(connection, site.dialect))
    return state.condition


async def drift(site: Site) -> tuple[str, ...]:
    return await site.run(lambda connection: find_drift(connection, site.dialect))


def unprefixed(described: Any) -> Any:
    """Leave the prefix out of what a database says of its tables."""
    if isinstance(described, Mapping):
        return {unprefixed(key): unprefixed(value) for key, value in described.items()}
    if isinstance(described, list):
        return sorted(map(unprefixed, described))
    return re.sub(rf"\b{PREFIX}", "", described)


def sorted_lines(script: str) -> list[str]:
    """Split a script, in which constraints stand in the order of their names."""
    return sorted(line.strip().rstrip(",") for line in script.splitlines())


def test_the_longest_prefix_leaves_no_name_too_long_for_any_database() -> None:
    names = [*LIBRARY.names, *LIBRARY.owners]
    for table in LIBRARY.metadata.sorted_tables:
        names += [str(each.name) for each in table.constraints if each.name is not None]
    for url in URLS:
        dialect = create_dialect(PersistenceConfig.from_url(url))
        for protected in LIBRARY.append_only:
            names += dialect.trigger_names(AppendOnly(protected))

    assert max(map(len, names)) + LONGEST_PREFIX == LONGEST_NAME


async def test_the_tables_are_the_same_but_for_their_names(shared_server: Server, url: str) -> None:
    async with site_at(under(PREFIX, url)) as site, migrated_site(shared_server) as plain:
        await site.backend.migrate()

        found = await site.schema()
        del found["table users"], found[f"table {PREFIX}{VERSION_TABLE}"]
        assert unprefixed(found) == unprefixed(await plain.schema())
        assert await tables_of(site) == {"users", *(PREFIX + name for name in LIBRARY.names)}
        assert await drift(site) == ()


async def test_a_difference_is_told_by_the_name_in_the_database(url: str) -> None:
    async with site_at(under(PREFIX, url)) as site:
        await site.backend.migrate()

        await site.run(lambda each: each.execute(text("ALTER TABLE app_tasks DROP COLUMN title")))
        for statement in site.dialect.drop_triggers(AppendOnly("app_audit_entries")):
            await site.run(lambda each, sql=statement: each.execute(text(sql)))  # type: ignore[misc]

        told = "\n".join(await drift(site))
    assert "title of app_tasks" in told
    assert "the table app_audit_entries has lost the trigger app_audit_entries_refuse_" in told


async def test_a_downgrade_leaves_the_tables_of_others(url: str) -> None:
    async with site_at(under(PREFIX, url)) as site, site_at(under(OTHER, url)) as other:
        await site.backend.migrate()
        await other.backend.migrate()
        await other.backend.tasks.save(TASKS.example)

        await site.alembic(command.downgrade, "base")

        assert await condition(site) is Condition.EMPTY
        assert await condition(other) is Condition.CURRENT
        assert await other.backend.tasks.list_tasks() == (TASKS.example,)


async def test_without_a_prefix_the_table_of_an_application_is_in_the_way(url: str) -> None:
    async with site_at(url) as site:
        with pytest.raises(MigrationError, match=r"names that this library uses \(users\)"):
            await site.backend.migrate()


async def test_a_table_under_the_prefix_that_somebody_else_has_made_is_refused(url: str) -> None:
    async with site_at(under(PREFIX, url)) as site:
        await site.run(lambda each: each.execute(text("CREATE TABLE app_users (id integer)")))

        with pytest.raises(MigrationError, match=r"\(app_users\), but no version in app_synthorg"):
            await site.backend.migrate()


async def test_what_is_not_migrated_is_told_by_the_first_call(url: str) -> None:
    async with site_at(url) as site:
        assert await condition(site) is Condition.FOREIGN
    async with site_at(under(PREFIX, url)) as site:
        with pytest.raises(MigrationError, match="no schema yet"):
            await site.backend.tasks.get("x")


def race(barrier: Barrier, url: str) -> None:
    async def migrate() -> None:
        async with connected(url) as backend:
            await backend.migrate()

    barrier.wait(BUSY_SECONDS)
    asyncio.run(migrate())


def migrate_at_once(urls: list[str]) -> list[int | None]:
    """Migrate each database by two processes at the same moment, and give their exit codes."""
    fresh = get_context("forkserver")
    fresh.set_forkserver_preload([__name__])
    targets = urls * PROCESSES_EACH
    barrier = fresh.Barrier(len(targets))
    racers = [fresh.Process(target=race, args=(barrier, each)) for each in targets]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(BUSY_SECONDS)
    return [racer.exitcode for racer in racers]


async def keep_apart(urls: list[str]) -> None:
    """See that what one application writes is not there for the other, and that both are sound."""
    for number, each in enumerate(urls):
        async with site_at(each) as site:
            assert await condition(site) is Condition.CURRENT
            assert await drift(site) == ()
            await site.backend.tasks.save(TASKS.make(id=str(number)))
    for number, each in enumerate(urls):
        async with site_at(each) as site:
            assert await site.backend.tasks.list_tasks() == (TASKS.make(id=str(number)),)


def test_two_prefixes_migrated_by_four_processes_at_once_never_see_each_other(url: str) -> None:
    urls = [under(PREFIX, url), under(OTHER, url)]

    assert migrate_at_once(urls) == [0] * len(urls) * PROCESSES_EACH

    asyncio.run(keep_apart(urls))


def test_two_schemas_migrated_by_four_processes_at_once_never_see_each_other(
    server_pool: ServerPool,
) -> None:
    with server_pool.get(PostgreSQL).empty_database() as url:

        async def make_schemas() -> None:
            async with site_at(url) as site:
                for name in ("first", "second"):
                    await site.run(
                        lambda each, name=name: each.execute(text(f"CREATE SCHEMA {name}"))  # type: ignore[misc]
                    )

        asyncio.run(make_schemas())
        urls = [with_parameter(url, f"schema={name}") for name in ("first", "second")]

        assert migrate_at_once(urls) == [0] * len(urls) * PROCESSES_EACH

        asyncio.run(keep_apart(urls))


def test_the_commands_of_an_operator_know_the_prefix(url: str, tmp_path: Path) -> None:
    own = under(PREFIX, url)
    synthorg_db = command_on(own)

    script = synthorg_db("migrate", "--sql").stdout
    assert "CREATE TABLE app_users" in script
    assert not re.search(r"\b(?<!_)(users|tasks|audit_entries)(?=[ (\"'.])", script)
    answers = alembic("upgrade head", "current", "check", folder=tmp_path, url=own)
    assert "No new upgrade operations" in answers
    assert synthorg_db("migrate").exit_code == 0
    assert synthorg_db("check").exit_code == 0
    found = json.loads(synthorg_db("status", "--json").stdout)
    assert found["state"] == "current"
    assert set(found["tables"]) == {PREFIX + name for name in LIBRARY.tables}
    alembic("downgrade base", folder=tmp_path, url=own)
    assert json.loads(synthorg_db("status", "--json").stdout)["state"] == "empty"


def test_a_script_is_the_same_but_for_the_names() -> None:
    for url in URLS:
        scripts = []
        for own in (url, under(PREFIX, url)):
            output = StringIO()
            write_script(create_dialect(PersistenceConfig.from_url(own)), "base", "head", output)
            scripts.append(output.getvalue())
        plain, prefixed = scripts
        assert prefixed != plain
        assert sorted_lines(re.sub(rf"\b{PREFIX}", "", prefixed)) == sorted_lines(plain)


async def test_an_applications_own_alembic_leaves_the_tables_under_a_prefix_alone(
    url: str,
) -> None:
    def differences(connection: Connection, include_name: Any) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"include_name": include_name})
        return list(compare_metadata(context, OWN))

    async with site_at(under(PREFIX, url)) as site:
        await site.backend.migrate()

        beside = include_name_beside(table_prefix=PREFIX)
        assert await site.run(lambda connection: differences(connection, beside)) == []
        assert await site.run(lambda connection: differences(connection, lambda *_: True))


async def test_a_copy_goes_from_one_prefix_to_another(url: str, tmp_path: Path) -> None:
    source, target = f"sqlite:///{tmp_path / 'source.db'}", under(PREFIX, url)
    async with site_at(under(OTHER, source)) as site:
        await site.backend.migrate()
        for kind in KINDS:
            await kind.store(site.backend, kind.example)

    configs = [PersistenceConfig.from_url(each) for each in (under(OTHER, source), target)]
    await copy_database(*configs)

    async with site_at(target) as site:
        for kind in KINDS:
            assert await kind.stored(site.backend, kind.example) == kind.example
        await COST_RECORDS.store(site.backend, COST_RECORDS.example)
        assert await drift(site) == ()


async def test_a_database_of_the_predecessor_is_adopted_under_the_prefix(tmp_path: Path) -> None:
    path = tmp_path / "synthorg.db"
    path.write_bytes(example())

    async with site_at(under(PREFIX, f"sqlite:///{path}")) as site:
        await site.backend.migrate()

        for kind in KINDS:
            record = storable(kind, kind.example)
            assert await kind.stored(site.backend, record) == record
        assert await drift(site) == ()
        names = await tables_of(site)
    assert names == {"sessions", *(PREFIX + name for name in LIBRARY.names)}


def test_an_upgrade_killed_at_any_statement_is_completed_by_the_next(
    url: str, tmp_path: Path
) -> None:
    own = under(PREFIX, url)
    assert kill_at_every_statement(own, "upgrade", tmp_path)

    async def complete() -> None:
        async with site_at(own) as site:
            await site.backend.migrate()
            assert await condition(site) is Condition.CURRENT
            assert await drift(site) == ()

    asyncio.run(complete())
