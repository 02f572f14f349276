"""Migrations on SQLite: foreign keys while tables are rebuilt, and scripts."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from synthorg.persistence import MigrationError, QueryError
from synthorg.persistence.testing.kinds import API_KEYS
from tests.conftest import ServerPool
from tests.migrations.conftest import Revisions
from tests.migrations.support import Site, alembic, contents, statements
from tests.servers.base import Server
from tests.servers.sqlite import SQLiteFiles, SQLiteMemory

MASTER = "SELECT type, name, sql FROM sqlite_master"


@pytest.fixture(params=[SQLiteFiles, SQLiteMemory], ids=lambda kind: kind.name)
def server(request: pytest.FixtureRequest, server_pool: ServerPool) -> Server:
    """SQLite in a file and in memory."""
    return server_pool.get(request.param)


def test_the_offline_script_makes_the_same_statements(
    server_pool: ServerPool, tmp_path: Path
) -> None:
    script = alembic("upgrade head --sql", folder=tmp_path, url="sqlite:///x.db")

    with (
        server_pool.get(SQLiteFiles).migrated_database() as url,
        closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as migrated,
        closing(sqlite3.connect(":memory:")) as scripted,
    ):
        scripted.executescript(script)
        assert statements(scripted.execute(MASTER)) == statements(migrated.execute(MASTER))


async def foreign_keys_are_on(site: Site) -> bool:
    async with site.engine.connect() as connection:
        return bool(await connection.scalar(text("PRAGMA foreign_keys")))


REBUILD = """\
guard = sa.Computed("CASE WHEN role = 'ceo' THEN 1 END", persisted=True)
with op.batch_alter_table("users", recreate="always") as users:
    users.drop_column("ceo_guard")  # Alembic would copy its values, which SQLite refuses
    users.add_column(sa.Column("ceo_guard", sa.SmallInteger(), guard))
    users.add_column(sa.Column("nickname", types.ShortText(), nullable=True))
"""


async def test_a_table_is_rebuilt_without_deleting_the_rows_that_refer_to_it(
    site: Site, revisions: Revisions
) -> None:
    await API_KEYS.store(site.backend, API_KEYS.example)
    revisions.add("0002_nicknames", REBUILD)

    await site.backend.migrate()

    assert await API_KEYS.stored(site.backend, API_KEYS.example) == API_KEYS.example
    assert "nickname" in str((await site.schema())["table users"])


async def test_foreign_keys_are_enforced_again_after_a_migration(
    site: Site, revisions: Revisions
) -> None:
    assert await foreign_keys_are_on(site)
    revisions.add("0002_broken", "op.execute('nonsense')")

    with pytest.raises(MigrationError):
        await site.backend.migrate()

    assert await foreign_keys_are_on(site)
    with pytest.raises(QueryError, match="refers"):
        await site.backend.api_keys.save(API_KEYS.example)


async def test_a_migration_that_would_leave_dangling_references_is_refused(
    site: Site, revisions: Revisions
) -> None:
    await API_KEYS.store(site.backend, API_KEYS.example)
    schema, rows = await site.schema(), await site.run(contents)
    revisions.add("0002_careless", f"{REBUILD}op.execute('DELETE FROM users')")

    with pytest.raises(MigrationError, match=r"api_keys.*nothing was changed"):
        await site.backend.migrate()

    assert await site.schema() == schema
    assert await site.run(contents) == rows
