"""The tables of extensions are migrated after the library's, with all that its own have."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Column, Connection, Integer, MetaData, Table, inspect, text

import tests.extensions.ledger as ledger_package
from synthorg.persistence import (
    ManagedBackend,
    MigrationError,
    PersistenceConfig,
    QueryError,
    create_backend,
)
from synthorg.persistence.config import DATABASE_URL_VARIABLE
from synthorg.persistence.extension import Extension, include_name_beside
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.migrations.drift import find_drift
from synthorg.persistence.sql.migrations.operations import DIALECT
from synthorg.persistence.sql.migrations.revisions import alembic_config
from synthorg.persistence.sql.migrations.runner import find_schema_state
from synthorg.persistence.sql.migrations.state import Condition
from synthorg.persistence.sql.owned_tables import LIBRARY, OwnedTables
from tests.conftest import SERVERS, ServerPool, with_parameter
from tests.extensions.conftest import EXTENSIONS, approval, backend_at, task
from tests.extensions.ledger import ApprovalRepository, Decision, ledger
from tests.extensions.office import office
from tests.migrations.support import BUSY_SECONDS
from tests.migrations.test_crashes import kill_at_every_statement
from tests.servers.sqlite import SQLiteMemory

EVERY = (LIBRARY, *(each.owned for each in EXTENSIONS))
PROCESSES = 8
ROUNDS = int(os.environ.get("TEST_MIGRATION_ROUNDS", "1"))
RUN = "from synthorg.persistence.extension import run_migrations\nrun_migrations(archive)\n"

archive = Extension("archive", migrations="archive:migrations")
archive.table(Decision, name="records", key="id", append_only=True)
LASTING = tuple(kind for kind in SERVERS if kind is not SQLiteMemory)


@pytest.fixture(params=LASTING, ids=lambda kind: kind.name)
def lasting(request: pytest.FixtureRequest, server_pool: ServerPool) -> Iterator[str]:
    """An empty database of every kind that outlives a connection, in turn."""
    with server_pool.get(request.param).empty_database() as url:
        yield url


async def condition_of(backend: ManagedBackend, url: str, owned: OwnedTables) -> Condition:
    dialect = create_dialect(PersistenceConfig.from_url(url))
    async with backend.get_db().connect() as connection:
        state = await connection.run_sync(find_schema_state, dialect, owned)
        return state.condition


async def conditions(backend: ManagedBackend, url: str) -> list[Condition]:
    return [await condition_of(backend, url, owned) for owned in EVERY]


async def migrate_library(url: str) -> None:
    async with create_backend(PersistenceConfig.from_url(url)) as backend:
        await backend.migrate()


async def test_migrating_makes_all_tables_and_the_second_time_nothing(
    extended: ManagedBackend, empty_url: str
) -> None:
    assert await conditions(extended, empty_url) == [Condition.CURRENT] * len(EVERY)

    await extended.migrate()

    assert await conditions(extended, empty_url) == [Condition.CURRENT] * len(EVERY)


async def test_what_is_migrated_is_what_was_declared(
    extended: ManagedBackend, empty_url: str
) -> None:
    dialect = create_dialect(PersistenceConfig.from_url(empty_url))
    async with extended.get_db().connect() as connection:
        for owned in EVERY:
            assert await connection.run_sync(find_drift, dialect, owned) == ()


async def test_a_column_that_was_lost_is_found(extended: ManagedBackend, empty_url: str) -> None:
    dialect = create_dialect(PersistenceConfig.from_url(empty_url))
    async with extended.get_db().begin() as connection:
        await connection.execute(text("ALTER TABLE notes DROP COLUMN text"))

    async with extended.get_db().connect() as connection:
        (problem,) = await connection.run_sync(find_drift, dialect, office.owned)
    assert "text of notes" in problem


async def test_a_backend_without_the_extensions_leaves_their_tables_alone(lasting: str) -> None:
    async with backend_at(lasting) as backend:
        await backend.migrate()
        await backend.tasks.save(task())
        await backend.repository(ApprovalRepository).save_many([approval()])

    await migrate_library(lasting)

    async with backend_at(lasting) as backend:
        found = await backend.repository(ApprovalRepository).get_many(["approval"])
        assert found == {"approval": approval()}


async def test_a_table_that_somebody_else_has_made_is_refused_untouched(empty_url: str) -> None:
    async with backend_at(empty_url) as backend:
        async with backend.get_db().begin() as connection:
            await connection.execute(text("CREATE TABLE notes (words VARCHAR(10))"))

        with pytest.raises(MigrationError, match=r"names that the extension office uses \(notes\)"):
            await backend.migrate()

        async with backend.get_db().connect() as connection:
            columns = await connection.run_sync(lambda each: inspect(each).get_columns("notes"))
    assert [column["name"] for column in columns] == ["words"]


async def test_tables_of_a_newer_release_are_told_by_their_owner(extended: ManagedBackend) -> None:
    async with extended.get_db().begin() as connection:
        await connection.execute(text("UPDATE ledger_version SET version_num = '9999'"))

    with pytest.raises(MigrationError, match=r"upgrade what provides the extension ledger"):
        await extended.migrate()


def test_alembic_itself_refuses_an_extension_before_the_library(
    lasting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_URL_VARIABLE, lasting)

    with pytest.raises(CommandError, match="the database has no schema yet"):
        command.upgrade(alembic_config(ledger.owned), "head")


def test_alembic_itself_looks_at_the_tables_of_one_owner_alone(
    lasting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_URL_VARIABLE, lasting)
    asyncio.run(migrate_library(lasting))

    for owned in EVERY:
        command.upgrade(alembic_config(owned), "head")
    for owned in EVERY:
        command.check(alembic_config(owned))  # raises when there is a difference
    for owned in reversed(EVERY):
        command.downgrade(alembic_config(owned), "base")


def migrate_at_once(barrier: Barrier, url: str) -> None:
    async def run() -> None:
        async with backend_at(url) as backend:
            await backend.migrate()

    barrier.wait(BUSY_SECONDS)
    asyncio.run(run())


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_processes_that_migrate_at_once_all_find_it_done(lasting: str, _round: int) -> None:
    fresh = get_context("forkserver")
    fresh.set_forkserver_preload([__name__])
    barrier = fresh.Barrier(PROCESSES)
    racers = [
        fresh.Process(target=migrate_at_once, args=(barrier, lasting)) for _ in range(PROCESSES)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(BUSY_SECONDS)

    assert [racer.exitcode for racer in racers] == [0] * PROCESSES


async def test_an_upgrade_killed_at_any_statement_is_completed_by_the_next(
    lasting: str, tmp_path: Path
) -> None:
    killed = kill_at_every_statement(lasting, "upgrade-extension", tmp_path, stride=1)

    async with backend_at(lasting) as backend:
        await backend.migrate()
        assert await conditions(backend, lasting) == [Condition.CURRENT] * len(EVERY)
    assert killed


async def test_an_applications_own_alembic_leaves_the_tables_of_others_alone(
    extended: ManagedBackend,
) -> None:
    own = MetaData()
    Table("invoices", own, Column("id", Integer, primary_key=True))

    def differences(connection: Connection, include_name: Any) -> set[str]:
        options = {"include_name": include_name}
        context = MigrationContext.configure(connection, opts=options)
        return {
            change[0] for change in compare_metadata(context, own) if change[0] == "remove_table"
        }

    async with extended.get_db().begin() as connection:
        beside = include_name_beside(ledger, office)
        assert await connection.run_sync(differences, beside) == set()
        assert await connection.run_sync(differences, lambda *_: True) == {"remove_table"}


async def test_an_extension_names_its_tables_itself_and_refers_to_ours_under_the_prefix(
    empty_url: str,
) -> None:
    url = with_parameter(empty_url, "table_prefix=app_")
    dialect = create_dialect(PersistenceConfig.from_url(url))
    async with backend_at(url) as backend:
        await backend.migrate()
        await backend.migrate()

        async with backend.get_db().connect() as connection:
            found = await connection.run_sync(lambda each: inspect(each).get_table_names())
            for owned in EVERY:
                assert await connection.run_sync(find_drift, dialect, owned) == ()
        await backend.tasks.save(task())
        await backend.repository(ApprovalRepository).save(approval())
        with pytest.raises(QueryError, match=r"^cannot save approvals \(id='lost'\)"):
            await backend.repository(ApprovalRepository).save(approval("lost", task_id="none"))
    tables = {name for owned in EVERY[1:] for name in owned.tables}
    versions = {f"app_{owned.version_table}" for owned in EVERY}
    assert set(found) == tables | versions | {f"app_{name}" for name in LIBRARY.tables}


async def test_another_application_with_the_same_extension_is_refused(lasting: str) -> None:
    async with backend_at(with_parameter(lasting, "table_prefix=a_")) as backend:
        await backend.migrate()

    async with backend_at(with_parameter(lasting, "table_prefix=b_")) as backend:
        with pytest.raises(MigrationError, match="no version in b_ledger_version"):
            await backend.migrate()


def test_alembic_itself_knows_the_prefix_of_an_extension(
    lasting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_URL_VARIABLE, with_parameter(lasting, "table_prefix=app_"))

    for owned in EVERY:
        command.upgrade(alembic_config(owned), "head")
    for owned in EVERY:
        command.check(alembic_config(owned))  # raises when there is a difference
    for owned in reversed(EVERY):
        command.downgrade(alembic_config(owned), "base")


def test_autogenerate_writes_the_protection_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "archive" / "migrations"
    shutil.copytree(Path(ledger_package.__path__[0], "migrations"), folder)
    shutil.rmtree(folder / "versions")
    (folder / "versions").mkdir()
    (folder / "env.py").write_text(f"from {__name__} import archive\n{RUN}")
    monkeypatch.syspath_prepend(tmp_path)
    dialect = create_dialect(PersistenceConfig.from_url("sqlite:///:memory:"))

    command.revision(
        alembic_config(archive.owned, {DIALECT: dialect}), "file it", autogenerate=True
    )

    (revision,) = (folder / "versions").glob("*.py")
    upgrade, _, downgrade = revision.read_text().partition("def downgrade")
    assert upgrade.index("create_table('records'") < upgrade.index("make_append_only('records')")
    assert downgrade.index("lift_append_only('records')") < downgrade.index("drop_table('records')")
    assert "info=" not in upgrade
