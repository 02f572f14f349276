"""Looking at a SQLite file, and what is refused, change nothing in it or beside it."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from alembic import command as alembic_command

from synthorg.persistence import MigrationError, PersistenceConnectionError, SQLiteConfig
from synthorg.persistence.config import DATABASE_URL_VARIABLE
from synthorg.persistence.sql.migrations.revisions import alembic_config
from synthorg.persistence.sql.tables import VERSION_TABLE
from synthorg.persistence.sqlite import SQLitePersistenceBackend
from synthorg.persistence.testing.kinds import TASKS
from tests.cli.conftest import command_on

LOOKING = (("status",), ("status", "--json"), ("check",), ("migrate", "--sql"), ("history",))


def traces(folder: Path) -> dict[str, str]:
    """Describe every file in a folder."""
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def run_sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def journal_mode(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def in_rollback_mode(path: Path) -> None:
    run_sql(path, "PRAGMA journal_mode=DELETE")


def in_wal_mode(path: Path) -> None:
    run_sql(path, "PRAGMA journal_mode=WAL")


def left_by_a_crash(path: Path) -> None:
    """Leave a log whose content is not in the file yet."""
    script = (
        "import os, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('PRAGMA journal_mode=WAL')\n"
        "connection.execute(\"INSERT INTO heartbeats VALUES ('e', 'a', 't', '2026')\")\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, path], check=True)
    assert path.with_name(f"{path.name}-wal").stat().st_size


def without_its_index(path: Path) -> None:
    """Leave such a log as a copy of both files has it."""
    left_by_a_crash(path)
    path.with_name(f"{path.name}-shm").unlink()


Preparation = Callable[[Path], None]
EACH_STATE = pytest.mark.parametrize(
    "prepare", [in_rollback_mode, in_wal_mode, left_by_a_crash, without_its_index]
)


@pytest.mark.parametrize("arguments", LOOKING, ids=" ".join)
@EACH_STATE
def test_commands_that_look_change_nothing(
    sqlite_file: Path, prepare: Preparation, arguments: tuple[str, ...]
) -> None:
    prepare(sqlite_file)
    before = traces(sqlite_file.parent)

    result = command_on(f"sqlite:///{sqlite_file}")(*arguments)

    assert result.exit_code == 0, result.output
    assert traces(sqlite_file.parent) == before


@pytest.mark.parametrize("prepare", [left_by_a_crash, without_its_index])
def test_what_a_crash_has_left_in_the_log_is_seen(sqlite_file: Path, prepare: Preparation) -> None:
    prepare(sqlite_file)

    shown = command_on(f"sqlite:///{sqlite_file}")("status", "--json").stdout

    assert '"rows": 1' in shown


def test_what_another_process_has_just_written_is_seen(sqlite_file: Path) -> None:
    in_wal_mode(sqlite_file)
    with closing(sqlite3.connect(sqlite_file, isolation_level=None)) as other:
        other.execute("INSERT INTO heartbeats VALUES ('e', 'a', 't', '2026')")

        shown = command_on(f"sqlite:///{sqlite_file}")("status", "--json").stdout

        assert '"rows": 1' in shown


@pytest.mark.parametrize("look", [alembic_command.current, alembic_command.check])
@EACH_STATE
def test_alembics_commands_that_look_change_nothing(
    sqlite_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Preparation,
    look: Callable[..., None],
) -> None:
    prepare(sqlite_file)
    before = traces(sqlite_file.parent)
    monkeypatch.setenv(DATABASE_URL_VARIABLE, f"sqlite:///{sqlite_file}")

    look(alembic_config())

    assert traces(sqlite_file.parent) == before


def foreign(path: Path) -> None:
    """Make a database that somebody else uses."""
    path.unlink()
    run_sql(path, "CREATE TABLE users (id)")


def foreign_in_wal_mode(path: Path) -> None:
    foreign(path)
    in_wal_mode(path)


def foreign_with_a_log(path: Path) -> None:
    """Make one that a crash has left with a log."""
    path.unlink()
    run_sql(path, "CREATE TABLE users (id)", "CREATE TABLE heartbeats (a, b, c, d)")
    left_by_a_crash(path)


def of_a_newer_release(path: Path) -> None:
    run_sql(
        path,
        "PRAGMA journal_mode=DELETE",
        f"UPDATE {VERSION_TABLE} SET version_num = '9999_newer'",
    )


@pytest.mark.parametrize("arguments", [("migrate",), ("downgrade", "base", "--yes")], ids=" ".join)
@pytest.mark.parametrize(
    "prepare", [foreign, foreign_in_wal_mode, foreign_with_a_log, of_a_newer_release]
)
def test_a_refused_migration_changes_nothing(
    sqlite_file: Path, prepare: Preparation, arguments: tuple[str, ...]
) -> None:
    prepare(sqlite_file)
    before = traces(sqlite_file.parent)

    result = command_on(f"sqlite:///{sqlite_file}")(*arguments)

    assert result.exit_code == 1
    assert "nothing was touched" in result.stderr
    assert traces(sqlite_file.parent) == before


@pytest.mark.parametrize("prepare", [foreign, foreign_in_wal_mode, of_a_newer_release])
@pytest.mark.parametrize("wal_mode", [True, False])
async def test_a_backend_whose_migration_is_refused_changes_nothing(
    sqlite_file: Path, prepare: Preparation, *, wal_mode: bool
) -> None:
    prepare(sqlite_file)
    before = traces(sqlite_file.parent)
    backend = SQLitePersistenceBackend(SQLiteConfig(path=str(sqlite_file), wal_mode=wal_mode))

    await backend.connect()
    with pytest.raises(MigrationError, match="nothing was touched"):
        await backend.migrate()
    await backend.disconnect()

    assert traces(sqlite_file.parent) == before


async def test_a_refused_connect_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("Dear diary, today I have not been a database. " * 100)
    before = traces(tmp_path)

    with pytest.raises(PersistenceConnectionError):
        await SQLitePersistenceBackend(SQLiteConfig(path=str(path))).connect()

    assert traces(tmp_path) == before


@pytest.mark.parametrize("arguments", [("status",), ("check",)])
def test_a_read_only_file_can_be_looked_at(sqlite_file: Path, arguments: tuple[str, ...]) -> None:
    sqlite_file.chmod(0o444)

    assert command_on(f"sqlite:///{sqlite_file}")(*arguments).exit_code == 0


@pytest.mark.parametrize(
    ("before", "wal_mode", "after"),
    [(in_rollback_mode, True, "wal"), (in_wal_mode, False, "delete")],
)
async def test_a_file_of_ours_gets_the_journal_mode_that_is_configured(
    sqlite_file: Path, before: Preparation, after: str, *, wal_mode: bool
) -> None:
    before(sqlite_file)
    backend = SQLitePersistenceBackend(SQLiteConfig(path=str(sqlite_file), wal_mode=wal_mode))

    await backend.connect()
    await backend.tasks.save(TASKS.example)
    await backend.disconnect()

    assert journal_mode(sqlite_file) == after


async def test_a_file_that_others_keep_in_wal_mode_is_used_all_the_same(
    sqlite_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_wal_mode(sqlite_file)
    with closing(sqlite3.connect(sqlite_file)) as other:
        other.execute("SELECT count(*) FROM tasks").fetchall()
        backend = SQLitePersistenceBackend(SQLiteConfig(path=str(sqlite_file), wal_mode=False))

        await backend.connect()
        await backend.tasks.save(TASKS.example)
        await backend.disconnect()

        assert "stays in WAL mode" in caplog.text
        assert other.execute("SELECT count(*) FROM tasks").fetchone() == (1,)


async def test_the_switch_to_wal_mode_waits_for_who_writes(sqlite_file: Path) -> None:
    in_rollback_mode(sqlite_file)
    backend = SQLitePersistenceBackend(SQLiteConfig(path=str(sqlite_file)))
    with closing(sqlite3.connect(sqlite_file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        connecting = asyncio.create_task(backend.connect())
        await asyncio.sleep(0.2)
        assert not connecting.done()
        writer.execute("ROLLBACK")
        await connecting
    await backend.disconnect()

    assert journal_mode(sqlite_file) == "wal"
