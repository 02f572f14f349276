"""Upgrades and downgrades of every kind of database."""

import asyncio
import logging
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, delete, event, inspect, text, update
from sqlalchemy.exc import DBAPIError

from synthorg.persistence.sql.migrations.revisions import alembic_config
from synthorg.persistence.sql.tables import VERSION_TABLE, audit_entries, metadata
from synthorg.persistence.testing.kinds import AUDIT_ENTRIES
from tests.migrations.support import BUSY_SECONDS, Site, contents


def table_names(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def test_an_empty_database_is_upgraded_to_the_head(empty_site: Site) -> None:
    await empty_site.backend.migrate()

    assert await empty_site.versions() == ScriptDirectory.from_config(alembic_config()).get_heads()
    assert await empty_site.run(table_names) == {*metadata.tables, VERSION_TABLE}


async def test_migrating_a_second_time_changes_nothing(site: Site) -> None:
    schema, rows = await site.schema(), await site.run(contents)

    await site.backend.migrate()

    assert await site.schema() == schema
    assert await site.run(contents) == rows


async def test_a_downgrade_to_the_base_leaves_an_empty_version_table_alone(site: Site) -> None:
    await site.alembic(command.downgrade, "base")

    assert await site.schema() == {}
    assert await site.run(contents) == {VERSION_TABLE: []}


async def test_up_down_and_up_again_gives_the_same_schema(site: Site) -> None:
    schema, versions = await site.schema(), await site.versions()

    await site.alembic(command.downgrade, "base")
    await site.backend.migrate()

    assert await site.schema() == schema
    assert await site.versions() == versions


async def test_alembic_of_the_application_has_its_version_to_itself(empty_site: Site) -> None:
    """The application may keep its own tables, and their version, in the same database."""

    def use_alembic(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('of_the_application')"))

    await empty_site.run(use_alembic)

    await empty_site.backend.migrate()
    await empty_site.alembic(command.downgrade, "base")

    assert await empty_site.run(contents) == {
        "alembic_version": ["('of_the_application',)"],
        VERSION_TABLE: [],
    }


@pytest.mark.parametrize(
    "change", [update(audit_entries).values(reason="another"), delete(audit_entries)], ids=str
)
async def test_audit_entries_are_protected_from_change(site: Site, change: Any) -> None:
    await AUDIT_ENTRIES.store(site.backend, AUDIT_ENTRIES.example)
    rows = await site.run(contents)

    with pytest.raises(DBAPIError):
        await site.run(lambda connection: connection.execute(change))

    assert await site.run(contents) == rows


@pytest.mark.parametrize(
    "moment", ["", f"CREATE TABLE {VERSION_TABLE}", "CREATE INDEX", f"INSERT INTO {VERSION_TABLE}"]
)
async def test_a_migration_whose_caller_is_cancelled_ends_well(
    empty_site: Site, moment: str
) -> None:
    """A cancelled caller may hold on to the exception, and with it to all it refers to."""
    task = asyncio.create_task(empty_site.backend.migrate())
    reached = False

    def cancel_now(_: Connection, __: object, statement: str, *___: object) -> None:
        nonlocal reached
        if not reached and statement.strip().startswith(moment):
            reached = task.cancel()

    event.listen(empty_site.engine.sync_engine, "before_cursor_execute", cancel_now)
    with pytest.raises(asyncio.CancelledError) as cancellation:
        await task
    event.remove(empty_site.engine.sync_engine, "before_cursor_execute", cancel_now)

    async with asyncio.timeout(BUSY_SECONDS):
        await empty_site.backend.migrate()
    assert cancellation.value is not None  # held until here
    assert await empty_site.run(table_names) == {*metadata.tables, VERSION_TABLE}


async def test_the_logging_of_the_host_is_left_alone(
    empty_site: Site, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    loggers = [logging.getLogger(name) for name in ("", "alembic", "sqlalchemy", "host")]
    for logger in loggers:
        monkeypatch.setattr(logger, "level", logging.CRITICAL - 1)
    before = [(logger.disabled, logger.level, [*logger.handlers]) for logger in loggers]

    await empty_site.backend.migrate()

    assert [(logger.disabled, logger.level, [*logger.handlers]) for logger in loggers] == before
    assert capfd.readouterr() == ("", "")
