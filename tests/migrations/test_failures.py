"""A migration that fails says where and why, and leaves a database that can be migrated again."""

import pytest
from alembic import command
from sqlalchemy import Connection, text

from synthorg.persistence import MigrationError
from synthorg.persistence.sql.tables import VERSION_TABLE
from synthorg.persistence.testing.kinds import TASKS
from tests.migrations.conftest import Revisions
from tests.migrations.support import Site, contents

DDL_IS_FINAL = ("mariadb", "mysql")
"""Where DDL cannot be rolled back; elsewhere a failed migration leaves nothing behind."""

NEWER = "9999_of_a_newer_release"


async def test_the_revision_that_failed_is_named_and_nothing_is_changed(
    site: Site, revisions: Revisions
) -> None:
    await TASKS.store(site.backend, TASKS.example)
    schema, rows = await site.schema(), await site.run(contents)
    revisions.add("0002_broken", "op.execute('nonsense')")

    with pytest.raises(MigrationError, match="0002_broken") as failure:
        await site.backend.migrate()

    assert "nonsense" not in str(failure.value)
    assert await site.schema() == schema
    assert await site.run(contents) == rows


async def test_the_first_revision_is_named_as_well(empty_site: Site, revisions: Revisions) -> None:
    revisions.replace(revisions.first, None, "op.execute('nonsense')")

    with pytest.raises(MigrationError, match=revisions.first):
        await empty_site.backend.migrate()


async def test_a_revision_that_raises_something_else_is_named_as_well(
    site: Site, revisions: Revisions
) -> None:
    revisions.add("0002_broken", "raise KeyError('a secret value')")

    with pytest.raises(MigrationError, match=r"0002_broken.*KeyError") as failure:
        await site.backend.migrate()

    assert "secret" not in str(failure.value)


async def test_the_later_of_two_revisions_is_named_when_it_is_the_one_that_failed(
    site: Site, revisions: Revisions
) -> None:
    schema, versions = await site.schema(), await site.versions()
    revisions.add("0002_sound", "op.create_table('added', sa.Column('id', sa.Integer()))")
    revisions.add("0003_broken", "op.execute('nonsense')")

    with pytest.raises(MigrationError, match="0003_broken"):
        await site.backend.migrate()

    if site.dialect.backend_name in DDL_IS_FINAL:
        assert await site.versions() == ["0002_sound"]
    else:
        assert await site.schema() == schema
        assert await site.versions() == versions


async def test_a_repaired_revision_completes_what_the_broken_one_began(
    site: Site, revisions: Revisions
) -> None:
    schema = await site.schema()
    before = revisions.head
    create = "operations.create_table('added', sa.Column('id', sa.Integer()))"
    revisions.add("0002_repaired", f"{create}\nop.execute('nonsense')")
    with pytest.raises(MigrationError, match="0002_repaired"):
        await site.backend.migrate()
    if site.dialect.backend_name not in DDL_IS_FINAL:
        assert await site.schema() == schema

    revisions.replace("0002_repaired", before, create)
    await site.backend.migrate()

    assert await site.versions() == ["0002_repaired"]
    assert (await site.schema()).keys() == schema.keys() | {"table added"}


async def test_a_database_of_a_newer_release_is_refused_untouched(site: Site) -> None:
    await site.run(pretend_to_be_newer)
    schema, rows = await site.schema(), await site.run(contents)

    with pytest.raises(MigrationError, match=f"{NEWER}.*newer.*upgrade synthorg-persistence"):
        await site.backend.migrate()

    assert await site.schema() == schema
    assert await site.run(contents) == rows


async def test_a_repository_on_an_empty_database_says_to_migrate_it(empty_site: Site) -> None:
    with pytest.raises(MigrationError, match=r"tasks.*no schema yet.*migrate\(\)"):
        await empty_site.backend.tasks.get("task-1")


async def test_a_repository_on_an_old_schema_says_to_migrate_it(
    site: Site, revisions: Revisions
) -> None:
    await site.run(lambda connection: connection.execute(text("DROP TABLE tasks")))
    revisions.add("0002_tasks_again", "pass")

    with pytest.raises(MigrationError, match=r"tasks.*behind this version.*migrate\(\)"):
        await site.backend.tasks.get("task-1")


async def test_a_repository_on_the_schema_of_a_newer_release_says_to_upgrade(site: Site) -> None:
    await site.run(pretend_to_be_newer)
    await site.run(lambda connection: connection.execute(text("DROP TABLE tasks")))

    with pytest.raises(MigrationError, match=r"tasks.*newer release.*upgrade synthorg-persistence"):
        await site.backend.tasks.get("task-1")


async def test_a_repository_on_a_downgraded_database_says_to_migrate_it(site: Site) -> None:
    await site.alembic(command.downgrade, "base")

    with pytest.raises(MigrationError, match=r"no schema yet.*migrate\(\)"):
        await site.backend.tasks.get("task-1")


async def test_tables_that_somebody_else_made_are_refused_untouched(empty_site: Site) -> None:
    """To go on would take them for the library's own, whatever they hold."""

    def make_table(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE users (name VARCHAR(20))"))
        connection.execute(text("INSERT INTO users VALUES ('alice')"))

    await empty_site.run(make_table)

    with pytest.raises(MigrationError, match="users"):
        await empty_site.backend.migrate()

    assert await empty_site.run(contents) == {"users": ["('alice',)"]}


def pretend_to_be_newer(connection: Connection) -> None:
    connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{NEWER}'"))
