"""One migration at a time: who waits, for how long, and who does not have to."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from synthorg.persistence import MigrationError
from synthorg.persistence.sql.drivers.faults import LOCKED
from synthorg.persistence.sql.migrations.runner import find_schema_state
from synthorg.persistence.sql.migrations.state import Condition, SchemaState
from tests.conftest import ServerPool
from tests.migrations.predecessor import example
from tests.migrations.support import BUSY_SECONDS, CHECKOUT, Site, alembic, program, site_at
from tests.servers.base import Server
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

PROCESSES: Final = 8
FEW: Final = 4
ROUNDS: Final = int(os.environ.get("TEST_MIGRATION_ROUNDS", "1"))
RACE_SECONDS: Final = 120
IMPATIENCE_SECONDS: Final = 0.3

HOLDERS: Final = {
    "sqlite": "another process",
    "postgresql": r"server process \d+ \(\w+@[\w.:]+, synthorg\)",
    "mariadb": r"connection \d+ \(\w+@[\w.:]+\)",
}

STUBS: Final = {
    "accepts the call and locks nothing": "BEGIN END",
    "refuses the call": "BEGIN RAISE EXCEPTION 'not supported'; END",
}
"""What servers do that speak PostgreSQL's protocol without having its advisory locks."""


@pytest.fixture(params=[*STUBS.values()], ids=[*STUBS])
async def lockless_url(
    request: pytest.FixtureRequest, server_pool: ServerPool
) -> AsyncIterator[str]:
    """A database whose advisory locks are replaced by functions that do not lock."""
    with server_pool.get(PostgreSQL).empty_database() as url:
        async with site_at(url) as site:
            await site.run(lambda connection: replace_locks(connection, request.param))
        yield url


def replace_locks(connection: Connection, body: str) -> None:
    for parameters in ("bigint", "integer, integer"):
        connection.execute(
            text(
                f"CREATE FUNCTION public.pg_advisory_xact_lock({parameters}) RETURNS void "
                f"LANGUAGE plpgsql AS $$ {body} $$"
            )
        )
    name = connection.scalar(text("SELECT current_database()"))
    connection.execute(text(f"ALTER DATABASE {name} SET search_path = public, pg_catalog"))


@asynccontextmanager
async def migrating(site: Site) -> AsyncIterator[None]:
    """Hold the lock of a migration."""
    async with site.engine.connect() as connection:
        stack = ExitStack()

        def begin(connection: Connection) -> None:
            stack.enter_context(site.dialect.migration_transaction(connection))

        await connection.run_sync(begin)
        try:
            yield
        finally:
            await connection.run_sync(lambda _: stack.close())


def race(url: str, processes: int = PROCESSES) -> None:
    """Let processes migrate the same database at the same moment."""
    arguments = ("-m", "tests.migrations.race", url, str(processes))
    with program(*arguments, folder=CHECKOUT, url=None) as process:
        _, errors = process.communicate(timeout=RACE_SECONDS)
    assert process.returncode == 0, errors


async def assert_is_migrated(url: str) -> None:
    async with site_at(url) as site:
        state = await site.run(lambda connection: find_schema_state(connection, site.dialect))
        assert state.condition is Condition.CURRENT
        assert await site.versions() == [state.head]


async def assert_gives_up(url: str, holder: str) -> None:
    async with site_at(url) as waiting:
        waiting.dialect.migration_lock_timeout_seconds = IMPATIENCE_SECONDS
        with pytest.raises(MigrationError, match=f"waited 0.3 s for {holder}, which is migrating"):
            await waiting.backend.migrate()


async def test_processes_that_migrate_at_once_all_succeed_and_one_of_them_does_it(
    shared_server: Server,
) -> None:
    for _ in range(ROUNDS):
        with shared_server.empty_database() as url:
            race(url)
            await assert_is_migrated(url)


async def test_who_waits_too_long_is_told_who_migrates(shared_server: Server) -> None:
    with shared_server.empty_database() as url:
        async with site_at(url) as holding, migrating(holding):
            await assert_gives_up(url, HOLDERS[shared_server.name])

        async with site_at(url) as site:
            await site.backend.migrate()
        await assert_is_migrated(url)


async def test_waiting_for_others_is_not_cut_short_by_the_limit_of_a_statement(
    server_pool: ServerPool,
) -> None:
    with server_pool.get(MariaDB).empty_database() as url:
        impatient = f"{url}?statement_timeout_seconds={IMPATIENCE_SECONDS}"
        async with site_at(url) as holding, site_at(impatient) as waiting:
            async with migrating(holding):
                migration = asyncio.create_task(waiting.backend.migrate())
                await asyncio.sleep(IMPATIENCE_SECONDS * 3)
                assert not migration.done()
            await migration
        await assert_is_migrated(url)


async def test_nobody_waits_for_the_lock_when_there_is_nothing_to_do(
    shared_server: Server,
) -> None:
    with shared_server.migrated_database() as url:
        async with (
            site_at(url) as holding,
            site_at(url) as site,
            migrating(holding),
            asyncio.timeout(20),
        ):
            await site.backend.migrate()
            await site.alembic(command.upgrade, "head")


async def test_commands_that_only_look_do_not_wait_for_the_lock(shared_server: Server) -> None:
    with shared_server.migrated_database() as url:
        async with site_at(url) as holding, site_at(url) as site:
            for look in (command.current, command.check, command.history):
                async with migrating(holding), asyncio.timeout(20):
                    await site.alembic(look)


async def test_a_session_has_its_own_settings_back_after_a_migration(
    shared_server: Server,
) -> None:
    """A pool hands the connection on, and its next user must not find limits lifted."""
    questions = {
        "sqlite": ("PRAGMA busy_timeout", "PRAGMA foreign_keys"),
        "postgresql": ("SHOW statement_timeout", "SHOW lock_timeout"),
        "mariadb": ("SELECT @@max_statement_time", "SELECT @@lock_wait_timeout"),
    }[shared_server.name]

    def settings(connection: Connection) -> list[object]:
        return [connection.scalar(text(question)) for question in questions]

    with shared_server.empty_database() as url:
        async with site_at(url) as site:
            before = await site.run(settings)
            await site.backend.migrate()
            assert await site.run(settings) == before


async def test_a_server_without_advisory_locks_is_locked_through_a_table(lockless_url: str) -> None:
    race(lockless_url, FEW)

    await assert_is_migrated(lockless_url)
    async with site_at(lockless_url) as site:
        await site.run(
            lambda connection: connection.execute(
                text("SELECT id FROM synthorg_persistence_lock")
            ).one()
        )


async def test_who_waits_for_the_lock_table_is_told_who_migrates(lockless_url: str) -> None:
    async with site_at(lockless_url) as holding, migrating(holding):
        await assert_gives_up(lockless_url, HOLDERS["postgresql"])


@pytest.fixture(params=[PostgreSQL, MariaDB], ids=lambda kind: kind.name)
def empty_url_on_a_server(request: pytest.FixtureRequest, server_pool: ServerPool) -> Iterator[str]:
    """A database without tables, on each server."""
    with server_pool.get(request.param).empty_database() as url:
        yield url


async def test_the_lock_is_waited_for_longer_than_a_statement_may_take(
    empty_url_on_a_server: str,
) -> None:
    url = empty_url_on_a_server
    async with site_at(url) as holding, site_at(f"{url}?statement_timeout_seconds=0.2") as waiting:
        async with migrating(holding):
            migration = asyncio.create_task(waiting.backend.migrate())
            await asyncio.sleep(1)
            assert not migration.done()
        async with asyncio.timeout(BUSY_SECONDS):
            await migration
    await assert_is_migrated(url)


async def test_who_migrates_gives_up_soon_when_others_keep_a_table(
    empty_url_on_a_server: str,
) -> None:
    """Whoever comes after it would wait behind it."""
    url = empty_url_on_a_server
    async with site_at(url) as site, site_at(f"{url}?pool_timeout_seconds=1") as impatient:
        await site.backend.migrate()
        async with site.engine.connect() as connection:
            await connection.execute(text("SELECT * FROM cost_records"))
            async with asyncio.timeout(BUSY_SECONDS):
                with pytest.raises(DBAPIError) as failure:
                    await impatient.alembic(command.downgrade, "base")
        assert site.dialect.diagnose(failure.value) is LOCKED


@contextmanager
def migrated_by_another_first(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Let another process migrate after the site has looked, and before it has the lock."""
    take_lock = site.dialect.migration_transaction

    @contextmanager
    def taken_later(connection: Connection) -> Iterator[None]:
        alembic("upgrade head", folder=folder, url=site.url)
        with take_lock(connection):
            yield

    with monkeypatch.context() as patch:
        patch.setattr(site.dialect, "migration_transaction", taken_later)
        yield


async def test_what_another_has_migrated_meanwhile_is_found_done(
    shared_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shared_server.empty_database() as url:
        async with site_at(url) as site:
            with migrated_by_another_first(site, tmp_path, monkeypatch):
                await site.backend.migrate()

            assert (await state_of(site)).condition is Condition.CURRENT


async def test_what_another_has_adopted_meanwhile_is_found_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "synthorg.db"
    path.write_bytes(example())
    async with site_at(f"sqlite:///{path}") as site:
        with migrated_by_another_first(site, tmp_path, monkeypatch):
            await site.backend.migrate()

        assert (await state_of(site)).condition is Condition.CURRENT
    assert len(backups_in(tmp_path)) == 1


async def state_of(site: Site) -> SchemaState:
    return await site.run(lambda connection: find_schema_state(connection, site.dialect))


def backups_in(folder: Path) -> list[Path]:
    return [*folder.glob("*.before-adoption-*")]
