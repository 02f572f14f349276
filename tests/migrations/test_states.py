"""What `migrate()` says to a database in an unusual state, and that it leaves it alone."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, text

from synthorg.persistence import MigrationError
from synthorg.persistence.sql.migrations.crash_marker import CrashMarker, marked
from synthorg.persistence.sql.migrations.runner import find_schema_state
from synthorg.persistence.sql.migrations.state import Condition, SchemaState
from synthorg.persistence.sql.tables import VERSION_TABLE
from tests.migrations.conftest import Revisions
from tests.migrations.predecessor import example
from tests.migrations.support import HEAD, Site, contents, site_at


async def state_of(site: Site) -> SchemaState:
    return await site.run(lambda connection: find_schema_state(connection, site.dialect))


async def execute(site: Site, *statements: str) -> None:
    def run(connection: Connection) -> None:
        for statement in statements:
            connection.execute(text(statement))

    await site.run(run)


async def assert_refuses(site: Site, *said: str) -> None:
    schema, rows = await site.schema(), await site.run(contents)

    with pytest.raises(MigrationError) as refusal:
        await site.backend.migrate()

    assert str(refusal.value).startswith("cannot migrate: ")
    assert str(refusal.value).endswith("; nothing was touched")
    for words in said:
        assert words in str(refusal.value)
    assert await site.schema() == schema
    assert await site.run(contents) == rows


async def test_an_empty_database_is_one(empty_site: Site) -> None:
    assert (await state_of(empty_site)).condition is Condition.EMPTY


async def test_connecting_does_not_migrate(empty_site: Site) -> None:
    assert await empty_site.run(contents) == {}


async def test_a_migrated_database_is_current(empty_site: Site) -> None:
    await empty_site.backend.migrate()

    assert (await state_of(empty_site)).condition is Condition.CURRENT


async def test_a_database_behind_this_version_is_told_each_command_that_helps(
    site: Site, revisions: Revisions
) -> None:
    revisions.add("9999_added", "op.create_table('added', sa.Column('id', sa.Integer()))")

    state = await state_of(site)

    assert state.condition is Condition.BEHIND
    for words in (HEAD, "9999_added", "migrate()", "synthorg-db migrate"):
        assert words in state.description
    assert "alembic upgrade head" in state.description


async def test_a_database_of_a_newer_release_is_refused(site: Site) -> None:
    await execute(site, f"UPDATE {VERSION_TABLE} SET version_num = '9999_newer'")

    await assert_refuses(site, "9999_newer", "newer release", "upgrade synthorg-persistence")


async def test_a_database_with_several_versions_is_refused(
    site: Site, revisions: Revisions
) -> None:
    revisions.add("9999_added", "pass")
    await execute(site, f"INSERT INTO {VERSION_TABLE} VALUES ('9999_added')")

    await assert_refuses(site, f"2 rows ({HEAD}, 9999_added)", "alembic stamp --purge")


async def test_stamping_puts_a_database_with_several_versions_right(
    site: Site, revisions: Revisions
) -> None:
    revisions.add("9999_added", "pass")
    await execute(site, f"INSERT INTO {VERSION_TABLE} VALUES ('9999_added')")

    await site.alembic(partial(command.stamp, purge=True), HEAD)

    await site.backend.migrate()
    assert await site.versions() == ["9999_added"]


@pytest.mark.parametrize(
    "made_by_hand",
    [
        ["CREATE TABLE users (id INTEGER)"],
        ["CREATE TABLE users (id INTEGER)", "CREATE TABLE tasks (id INTEGER)"],
        [
            "CREATE TABLE users (id INTEGER)",
            f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) PRIMARY KEY)",
        ],
    ],
    ids=["a table", "tables", "a table and an empty version table"],
)
async def test_tables_made_by_somebody_else_are_named_and_refused(
    empty_site: Site, made_by_hand: Sequence[str]
) -> None:
    await execute(empty_site, *made_by_hand)

    names = ", ".join(sorted({"users", *(["tasks"] if "tasks" in str(made_by_hand) else [])}))
    await assert_refuses(empty_site, f"({names})", "somebody else", "use another database")


async def test_a_complete_schema_that_lost_its_version_is_refused(site: Site) -> None:
    """Nothing tells which revision it is at."""
    await execute(site, f"DELETE FROM {VERSION_TABLE}")

    await assert_refuses(site, "no version", "agent_states", "workflow_executions")


async def test_a_version_without_all_of_its_tables_is_refused(site: Site) -> None:
    await execute(site, "DROP TABLE heartbeats")

    await assert_refuses(site, HEAD, "no heartbeats", "restore a backup")


async def test_other_tables_in_the_database_are_nobodys_business(empty_site: Site) -> None:
    await execute(empty_site, "CREATE TABLE invoices (id INTEGER)")

    await empty_site.backend.migrate()

    assert (await state_of(empty_site)).condition is Condition.CURRENT
    await empty_site.alembic(command.check)


def mark(connection: Connection, work: CrashMarker) -> None:
    """Leave the mark that a killed migration leaves."""

    def stop() -> None:
        raise KeyboardInterrupt

    try:
        with marked(connection, work, VERSION_TABLE):
            stop()
    except KeyboardInterrupt:
        pass


@pytest.fixture
def final_site(site: Site) -> Site:
    """A database where DDL cannot be rolled back."""
    if site.dialect.transactional_ddl:
        pytest.skip("a migration is one transaction there")
    return site


async def test_tables_without_a_version_are_ours_when_an_upgrade_was_interrupted(
    final_site: Site,
) -> None:
    schema = await final_site.schema()
    await execute(final_site, f"DELETE FROM {VERSION_TABLE}", "DROP TABLE heartbeats")
    upgrade = CrashMarker(is_upgrade=True, destination=(HEAD,))
    await final_site.run(lambda connection: mark(connection, upgrade))

    assert (await state_of(final_site)).condition is Condition.INTERRUPTED
    await final_site.backend.migrate()

    assert (await state_of(final_site)).condition is Condition.CURRENT
    assert await final_site.schema() == schema


async def test_an_interrupted_downgrade_must_be_finished_before_an_upgrade(
    final_site: Site,
) -> None:
    await execute(final_site, "DROP TABLE heartbeats")
    downgrade = CrashMarker(is_upgrade=False, destination=())
    await final_site.run(lambda connection: mark(connection, downgrade))

    await assert_refuses(final_site, "unfinished downgrade to base", "alembic downgrade base")

    await final_site.alembic(command.downgrade, "base")
    await final_site.backend.migrate()
    assert (await state_of(final_site)).condition is Condition.CURRENT


async def test_an_interrupted_upgrade_must_be_finished_before_a_downgrade(
    final_site: Site, revisions: Revisions
) -> None:
    revisions.add("9999_added", "pass")
    upgrade = CrashMarker(is_upgrade=True, destination=("9999_added",))
    await final_site.run(lambda connection: mark(connection, upgrade))

    with pytest.raises(MigrationError, match="unfinished upgrade to 9999_added"):
        await final_site.alembic(command.downgrade, "base")


async def test_a_mark_that_outlived_its_migration_is_removed(final_site: Site) -> None:
    upgrade = CrashMarker(is_upgrade=True, destination=(HEAD,))
    await final_site.run(lambda connection: mark(connection, upgrade))

    await final_site.backend.migrate()

    assert (await state_of(final_site)).unfinished is None


def make_predecessor(folder: Path) -> str:
    path = folder / "synthorg.db"
    path.write_bytes(example())
    return f"sqlite:///{path}"


def backups(folder: Path) -> list[Path]:
    return [*folder.glob("*.before-adoption-*")]


async def test_a_database_of_the_predecessor_is_backed_up_and_adopted(tmp_path: Path) -> None:
    url = make_predecessor(tmp_path)
    async with site_at(url) as site:
        assert (await state_of(site)).condition is Condition.PREDECESSOR

        await site.backend.migrate()

        assert (await state_of(site)).condition is Condition.CURRENT
    (backup,) = backups(tmp_path)
    async with site_at(f"sqlite:///{backup}") as site:
        assert (await state_of(site)).condition is Condition.PREDECESSOR


async def test_a_database_that_resembles_the_predecessors_is_refused_with_the_difference(
    tmp_path: Path,
) -> None:
    url = make_predecessor(tmp_path)
    async with site_at(url) as site:
        await execute(site, "DROP TABLE heartbeats")

        await assert_refuses(site, "resembles a database of the predecessor", "heartbeats")

    assert not backups(tmp_path)
