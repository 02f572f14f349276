"""Alembic's own command line, which reads the database from the environment."""

from pathlib import Path

from alembic.script import ScriptDirectory

from synthorg.persistence.sql.migrations.revisions import alembic_config
from synthorg.persistence.sql.tables import VERSION_TABLE
from tests.migrations.support import alembic, contents, site_at
from tests.servers.base import Server


async def test_an_operator_upgrades_looks_checks_and_downgrades(
    shared_server: Server, tmp_path: Path
) -> None:
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    with shared_server.empty_database() as url:
        answers = alembic("upgrade head", "current", "check", folder=tmp_path, url=url)

        assert answers.startswith(f"{head} (head)\n")
        assert "No new upgrade operations" in answers
        async with site_at(url) as site:
            schema = await site.schema()
            await site.backend.migrate()
            assert await site.schema() == schema

        alembic("downgrade base", folder=tmp_path, url=url)

        async with site_at(url) as site:
            assert await site.run(contents) == {VERSION_TABLE: []}


async def test_the_database_is_the_default_file_unless_the_environment_says_otherwise(
    tmp_path: Path,
) -> None:
    alembic("upgrade head", folder=tmp_path, url=None)

    async with site_at(f"sqlite:///{tmp_path / 'synthorg.db'}") as site:
        assert len(await site.versions()) == 1
