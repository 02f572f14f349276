"""A database of the predecessor that cannot be adopted stays exactly as it was."""

import asyncio
import logging
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Connection, create_engine

from synthorg.persistence import MigrationError
from synthorg.persistence.sql.migrations.adoption import adopt, back_up
from synthorg.persistence.sql.tables import metadata
from synthorg.persistence.testing.kinds import KINDS, MESSAGES, TASKS
from tests.migrations.predecessor import (
    adopt_database,
    change,
    dump,
    example,
    read,
    recognise,
    write,
)
from tests.migrations.support import CHECKOUT, site_at

TASK: Final = "tasks (id='task-1')"
NOT_UTF_8: Final = "CAST(X'736563726574ff' AS TEXT)"

UNCONVERTIBLE: Final = {
    "tasks SET title = ''": f"{TASK}: title: Value error, must not be blank",
    "tasks SET title = X'736563726574'": f"{TASK}: title: must be text",
    f"tasks SET title = {NOT_UTF_8}": f"{TASK}: title: must not contain a lone surrogate",
    "tasks SET title = 'secret' || char(0)": f"{TASK}: title: must not contain a NUL character",
    "tasks SET status = 'secret'": f"{TASK}: status: Input should be 'created', ",
    "tasks SET reviewers = '[secret'": f"{TASK}: reviewers: must be valid JSON",
    "tasks SET reviewers = '[NaN]'": f"{TASK}: reviewers: must be valid JSON",
    "tasks SET reviewers = '{}'": f"{TASK}: reviewers: Input should be a valid tuple",
    'tasks SET reviewers = \'["a", "a"]\'': f"{TASK}: the whole: Value error, reviewers must be",
    "tasks SET budget_limit = 'secret'": f"{TASK}: budget_limit: must be a number",
    "tasks SET budget_limit = 9e999": f"{TASK}: budget_limit: must be a finite number",
    "tasks SET max_retries = 1.5": f"{TASK}: max_retries: must be a whole number",
    "tasks SET deadline = 'secret'": f"{TASK}: deadline: Value error, must be an ISO 8601",
    "tasks SET id = NULL": "tasks (rowid=1): id: Input should be a valid string",
    "heartbeats SET last_heartbeat_at = 'secret'": "last_heartbeat_at: must be an ISO 8601 time",
    "heartbeats SET last_heartbeat_at = 1772366400": "last_heartbeat_at: must be an ISO 8601 time",
    "heartbeats SET last_heartbeat_at = '2026-03-01T12:00:00'": (
        "heartbeats (execution_id='execution-1'): last_heartbeat_at: Input should have timezone"
    ),
    "users SET must_change_password = 2": "users (id='user-1'): must_change_password: must be 0",
    "users SET must_change_password = 'secret'": "must_change_password: must be 0 or 1",
    "users SET username = hex(zeroblob(128))": "users (id='user-1'): username: must have at",
    "settings SET key = hex(zeroblob(128))": "000'): key: must have at most 255 characters",
    "settings SET value = X'736563726574'": "key='limit'): value: must be text",
    "messages SET id = 'no UUID'": "messages (id='no UUID'): id: Input should be a valid UUID",
    "messages SET metadata = '{\"secret\": 1}'": "metadata: Extra inputs are not permitted",
    'messages SET attachments = \'[{"type": "link"}]\'': "attachments.0: Field required",
    "lifecycle_events SET metadata = '{\"secret\": 1}'": "metadata: Input should be a valid string",
    "parked_contexts SET context_json = '{secret'": "context_json: Value error, must be valid JSON",
    "checkpoints SET context_json = '[]'": "context_json: Value error, must be a JSON object",
    "cost_records SET input_tokens = 0, output_tokens = 0": "cost_records (rowid=1): the whole: ",
    "audit_entries SET arguments_hash = 'secret'": "arguments_hash: ",
    "workflow_definitions SET edges = '[]', nodes = '[]'": "nodes must contain exactly one",
    "api_keys SET user_id = 'secret'": (
        "api_keys (id='key-1'): it refers to a row of users that does not exist"
    ),
    "workflow_executions SET definition_id = 'secret'": (
        "workflow_executions (id='execution-1'): it refers to a row of workflow_definitions that"
    ),
    "sessions SET user_id = 'secret'": "sessions (session_id='s1'): it refers to a row of users",
}
"""By what is wrong with a row: what the error says."""

ADOPT_AND_DIE = """
import asyncio, os, signal, sys
from pathlib import Path
from sqlalchemy import event
from tests.migrations.predecessor import adopt_database

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def watch(connection):
    if sys.argv[2] == "COMMIT":
        event.listen(connection.engine, "commit", die)

    @event.listens_for(connection, "before_cursor_execute")
    def look(connection, cursor, statement, *_):
        if statement.startswith(sys.argv[2]):
            die()

asyncio.run(adopt_database(Path(sys.argv[1]), disturb=watch))
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database of the predecessor with a record of every kind, and a session."""
    path = tmp_path / "synthorg.db"
    path.write_bytes(example())
    return path


async def refuse(database: Path, **how: Any) -> str:
    """Let an adoption fail, see that nothing changed, and give the error's text."""
    before = dump(database)
    with pytest.raises(MigrationError) as caught:
        await adopt_database(database, **how)
    assert dump(database) == before
    return str(caught.value)


@pytest.mark.parametrize(("wrong", "reason"), UNCONVERTIBLE.items(), ids=list(UNCONVERTIBLE))
async def test_a_row_that_cannot_be_converted_is_named_and_nothing_is_changed(
    database: Path, wrong: str, reason: str
) -> None:
    change(database, f"UPDATE {wrong}")
    message = await refuse(database)
    assert reason in message
    assert "nothing was changed" in message
    assert "secret" not in message


async def test_two_spellings_of_one_key_cannot_both_be_adopted(database: Path) -> None:
    (first,) = read(database, "SELECT id FROM messages")
    write(database, [(MESSAGES, MESSAGES.keyed(f"message {number}")) for number in range(20)])
    spelled = first[0].upper()
    change(database, f"UPDATE messages SET id = '{spelled}' WHERE rowid = 10")
    message = await refuse(database)
    assert f"messages (id='{spelled}'): UNIQUE constraint failed: messages.id" in message


async def test_all_rows_at_fault_are_counted_and_the_first_ones_named(database: Path) -> None:
    write(database, [(TASKS, TASKS.keyed(f"t{number}")) for number in range(20)])
    change(database, "UPDATE tasks SET title = ''", "UPDATE projects SET name = ''")
    message = await refuse(database)
    assert message.count("must not be blank") == 10
    assert "; 12 more; nothing was changed" in message
    assert "task-1" in message


@pytest.mark.parametrize(
    ("trigger", "reason"),
    [
        (
            "AFTER INSERT ON projects BEGIN UPDATE projects SET budget = budget + 1e-9; END",
            "projects (id='project-1'): it was not stored as it should have been",
        ),
        (
            "AFTER INSERT ON projects BEGIN UPDATE projects SET status = 'lost'; END",
            "projects (id='project-1'): it was not stored as it should have been",
        ),
        (
            "BEFORE INSERT ON projects BEGIN SELECT RAISE(IGNORE); END",
            "projects: of 1 rows 0 were stored",
        ),
        (
            "AFTER INSERT ON workflow_executions BEGIN DELETE FROM projects; END",
            "projects: of 1 rows 0 were stored",
        ),
    ],
)
async def test_a_record_that_is_not_stored_as_it_was_is_noticed(
    database: Path, trigger: str, reason: str
) -> None:
    def disturb(connection: Connection) -> None:
        connection.exec_driver_sql(f"CREATE TRIGGER disturbance {trigger}")

    assert reason in await refuse(database, disturb=disturb)


async def test_sessions_are_safe_also_where_sqlite_would_change_what_they_refer_to(
    database: Path,
) -> None:
    """It does when foreign keys are on."""
    before = dump(database)
    async with site_at(f"sqlite:///{database}") as site:
        with pytest.raises(MigrationError, match="would change the table sessions; nothing was"):
            await site.run(lambda connection: adopt(connection, metadata.create_all))
    assert dump(database) == before


@pytest.mark.parametrize("when", ["disturb", "progress"])
async def test_whatever_is_raised_meanwhile_nothing_is_changed(database: Path, when: str) -> None:
    def fail(*_: object) -> None:
        raise KeyError("anything")

    how: dict[str, Any] = {when: fail}
    before = dump(database)
    with pytest.raises(KeyError):
        await adopt_database(database, **how)
    assert dump(database) == before
    await adopt_database(database)


@pytest.mark.parametrize(
    "moment",
    [
        "INSERT INTO tasks",
        "INSERT INTO workflow_executions",
        "DROP TABLE predecessor_workflow_executions",
        "COMMIT",
    ],
)
def test_a_killed_adoption_leaves_the_old_database_and_can_be_repeated(
    database: Path, moment: str
) -> None:
    before = dump(database)
    process = subprocess.run(
        [sys.executable, "-c", ADOPT_AND_DIE, str(database), moment], cwd=CHECKOUT, check=False
    )
    assert process.returncode == -signal.SIGKILL
    assert dump(database) == before
    asyncio.run(adopt_database(database))
    for kind in KINDS:
        assert read(database, f"SELECT count(*) FROM {kind.repository}") == [(1,)]


async def copy_of(path: Path) -> Path | None:
    """Back a database up."""
    async with site_at(f"sqlite:///{path}") as site, site.engine.connect() as connection:
        return await connection.run_sync(back_up)


def test_a_backup_is_a_copy_that_only_its_owner_may_read_if_that_holds_for_the_database(
    database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database.chmod(0o600)
    with caplog.at_level(logging.INFO):
        backup = asyncio.run(copy_of(database))
    assert backup is not None
    assert backup.parent == database.parent
    assert backup.name.startswith("synthorg.db.before-adoption-20")
    assert dump(backup) == dump(database)
    assert asyncio.run(recognise(backup)) == (True, None)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert str(backup) in caplog.text


async def test_a_backup_never_replaces_another(database: Path) -> None:
    backups = [await copy_of(database) for _ in range(4)]
    assert len(set(backups)) == 4
    files = {path for path in database.parent.iterdir() if "before-adoption" in path.name}
    assert files == set(backups)


async def test_a_backup_holds_what_is_still_in_the_journal(database: Path) -> None:
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("UPDATE tasks SET title = 'only in the journal'")
        writer.commit()
        backup = await copy_of(database)
    assert backup is not None
    assert read(backup, "SELECT title FROM tasks") == [("only in the journal",)]


async def test_a_backup_that_fails_leaves_no_file_and_says_why(database: Path) -> None:
    def back_up_inside_a_transaction(connection: Connection) -> None:
        connection.exec_driver_sql("SELECT 1")
        back_up(connection)

    files = set(database.parent.iterdir())
    async with site_at(f"sqlite:///{database}") as site:
        with pytest.raises(MigrationError, match=r"synthorg\.db.*VACUUM.*nothing was changed"):
            await site.run(back_up_inside_a_transaction)
    assert set(database.parent.iterdir()) == files


async def test_a_database_in_memory_has_no_backup() -> None:
    async with site_at("sqlite://") as site, site.engine.connect() as connection:
        assert await connection.run_sync(back_up) is None


def test_the_backup_and_its_name_are_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "synthorg.db"
    path.write_bytes(example())
    steps: list[int | str] = []
    flush, rename = os.fsync, Path.rename

    def watch_flush(descriptor: int) -> None:
        flush(descriptor)
        steps.append(os.fstat(descriptor).st_ino)

    def watch_rename(file: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(file, target)

    monkeypatch.setattr(os, "fsync", watch_flush)
    monkeypatch.setattr(Path, "rename", watch_rename)
    with create_engine(f"sqlite:///{path}").connect() as connection:
        backup = back_up(connection)

    assert backup is not None
    assert steps == [backup.stat().st_ino, "rename", tmp_path.stat().st_ino]
