"""What each command of `synthorg-db` does on every kind of database."""

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import text

from synthorg.persistence import PersistenceConfig
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.migrations.revisions import known_revisions
from synthorg.persistence.sql.tables import VERSION_TABLE, metadata
from tests.cli.conftest import Command

REVISIONS = [script.revision for script in known_revisions().walk_revisions("base", "heads")][::-1]
HEAD = REVISIONS[-1]


def execute(url: str, *statements: str) -> None:
    async def run() -> None:
        engine = create_dialect(PersistenceConfig.from_url(url)).create_engine()
        async with engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))
        await engine.dispose()

    asyncio.run(run())


def test_migrate_shows_each_revision(command: Command) -> None:
    result = command("migrate")

    assert result.exit_code == 0
    for number, revision in enumerate(REVISIONS, start=1):
        assert f"[{number}/{len(REVISIONS)}] {revision}" in result.stderr
    assert result.stdout == ""


def test_migrate_does_nothing_the_second_time(command: Command) -> None:
    command("migrate")

    result = command("migrate")

    assert result.exit_code == 0
    assert HEAD not in result.stderr


def test_migrate_ends_with_the_revision_asked_for(command: Command) -> None:
    assert command("migrate", "--to", HEAD).exit_code == 0
    assert json.loads(command("status", "--json").stdout)["revisions"] == [HEAD]


def test_migrate_to_an_unknown_revision_is_refused(command: Command) -> None:
    result = command("migrate", "--to", "9999_unknown")

    assert result.exit_code == 1
    assert "9999_unknown" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_script_says_what_would_be_done_and_nothing_is(command: Command, url: str) -> None:
    execute(url, "SELECT 1")  # SQLite makes a database when it is opened

    script = command("migrate", "--sql").stdout

    assert all(f"CREATE TABLE {name} " in script for name in metadata.tables)
    assert f"INSERT INTO {VERSION_TABLE}" in script
    assert json.loads(command("status", "--json").stdout)["state"] == "empty"


def test_the_script_for_a_current_database_is_empty(migrated: Command) -> None:
    assert "CREATE" not in migrated("migrate", "--sql").stdout


def test_status_counts_and_measures_every_table(migrated: Command, migrated_url: str) -> None:
    row = "INSERT INTO heartbeats VALUES ('e', 'a', 't', '2026-01-01 00:00:00')"
    execute(migrated_url, row)

    status = json.loads(migrated("status", "--json").stdout)

    assert status["state"] == "current"
    assert status["revisions"] == [status["head"]] == [HEAD]
    assert status["tables"].keys() == metadata.tables.keys()
    rows = {name: table["rows"] for name, table in status["tables"].items()}
    assert rows == {**dict.fromkeys(metadata.tables, 0), "heartbeats": 1}
    assert all(table["bytes"] is None or table["bytes"] > 0 for table in status["tables"].values())


def test_status_is_a_table_for_people(migrated: Command) -> None:
    shown = migrated("status").stdout

    assert "heartbeats" in shown
    assert HEAD in shown
    assert "which is this version's" in shown


def test_status_tells_what_to_do_about_a_newer_database(
    migrated: Command, migrated_url: str
) -> None:
    execute(migrated_url, f"UPDATE {VERSION_TABLE} SET version_num = '9999_newer'")

    result = migrated("status")

    assert result.exit_code == 0
    assert "newer release; upgrade synthorg-persistence" in result.stdout
    assert migrated("migrate").exit_code == 1


def test_check_finds_nothing_wrong_with_a_migrated_database(command: Command) -> None:
    command("migrate")

    result = command("check")

    assert (result.exit_code, result.stdout) == (0, "")


def test_check_refuses_a_database_that_is_not_at_the_head(command: Command, url: str) -> None:
    execute(url, "SELECT 1")

    result = command("check")

    assert result.exit_code == 1
    assert "no schema yet" in result.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE heartbeats ADD COLUMN extra INTEGER", "extra"),
        ("DROP INDEX ix_tasks_status_id", "ix_tasks_status_id"),
        ("DROP TRIGGER audit_entries_refuse_update", "audit_entries_refuse_update"),
    ],
    ids=["an added column", "a dropped index", "a dropped trigger"],
)
def test_check_lists_each_difference(
    migrated: Command, migrated_url: str, change: str, said: str
) -> None:
    if change.startswith("DROP INDEX") and migrated_url.startswith("mariadb"):
        change += " ON tasks"
    if change.startswith("DROP TRIGGER") and migrated_url.startswith("postgresql"):
        change = "ALTER TABLE audit_entries DISABLE TRIGGER audit_entries_refuse_update"
        said = "audit_entries_refuse_update"
    execute(migrated_url, change)

    result = migrated("check")

    assert result.exit_code == 1
    assert said in result.stdout
    assert "problems found: 1" in result.stderr


def test_check_finds_a_constraint_that_was_dropped(migrated: Command, migrated_url: str) -> None:
    if migrated_url.startswith("sqlite"):
        pytest.skip("SQLite cannot drop a constraint")
    execute(migrated_url, "ALTER TABLE tasks DROP CONSTRAINT ck_tasks_max_retries")

    result = migrated("check")

    assert result.exit_code == 1
    assert result.stdout == "the table tasks has lost its constraint ck_tasks_max_retries\n"


def test_check_finds_rows_whose_record_is_gone(migrated: Command, migrated_url: str) -> None:
    if migrated_url.startswith("postgresql"):
        unchecked = ["SET session_replication_role = replica"]
    else:
        unchecked = ["SET foreign_key_checks = 0"] if migrated_url.startswith("mariadb") else []
    api_key = (
        "INSERT INTO api_keys (id, key_hash, name, role, user_id, created_at, revoked)"
        " VALUES ('k', 'h', 'n', 'ceo', 'nobody', '2026-01-01 00:00:00', {false})"
    ).format(false="false" if migrated_url.startswith("postgresql") else "0")
    if migrated_url.startswith("sqlite"):
        # The references are followed by the library, whatever was switched off when they broke.
        execute_unchecked_on_sqlite(migrated_url, api_key)
    else:
        execute(migrated_url, *unchecked, api_key)

    result = migrated("check")

    assert result.exit_code == 1
    assert "1 rows of api_keys refer to rows of users that are gone" in result.stdout


def execute_unchecked_on_sqlite(url: str, statement: str) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute(statement)
        connection.commit()


def test_history_lists_the_revisions(command: Command) -> None:
    *_, first = command("history").stdout.splitlines()

    assert first.startswith(f"{REVISIONS[0]}: The initial schema")


def test_downgrade_asks_before_it_deletes(migrated: Command) -> None:
    result = migrated("downgrade", "base", answer="n\n")

    assert result.exit_code == 1
    assert "Delete ALL of its data" in result.stderr
    assert json.loads(migrated("status", "--json").stdout)["state"] == "current"


@pytest.mark.parametrize(("arguments", "answer"), [(["--yes"], None), ([], "y\n")])
def test_downgrade_deletes_what_it_was_told_to(
    migrated: Command, arguments: list[str], answer: str | None
) -> None:
    result = migrated("downgrade", "base", *arguments, answer=answer)

    assert result.exit_code == 0
    for number, revision in enumerate(reversed(REVISIONS), start=1):
        assert f"[{number}/{len(REVISIONS)}] {revision}" in result.stderr
    status = json.loads(migrated("status", "--json").stdout)
    assert (status["state"], status["tables"]) == ("empty", {})
