"""Paths that lead to no database are refused, by name and reason, and nothing is created."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from pydantic import ValidationError

from synthorg.persistence import (
    PersistenceConnectionError,
    PersistenceError,
    SQLiteConfig,
)
from synthorg.persistence.sqlite import SQLitePersistenceBackend
from synthorg.persistence.testing.kinds import TASKS


def in_missing_folder(folder: Path) -> Path:
    """Name a file in a folder that does not exist."""
    return folder / "missing" / "test.db"


def a_folder(folder: Path) -> Path:
    """Make a folder."""
    path = folder / "folder.db"
    path.mkdir()
    return path


def a_text(folder: Path) -> Path:
    """Write a file that is no database."""
    path = folder / "notes.txt"
    path.write_text("Dear diary, today I have not been a database.")
    return path


def a_short_text(folder: Path) -> Path:
    """Write a file that is shorter than the header of a database."""
    path = folder / "short.txt"
    path.write_text("SQLite")
    return path


def read_only(folder: Path) -> Path:
    """Make a database that nobody may write to."""
    path = a_database(folder)
    path.chmod(0o444)
    return path


def a_dangling_link(folder: Path) -> Path:
    """Link to a file that does not exist."""
    path = folder / "link.db"
    path.symlink_to(folder / "gone.db")
    return path


def a_link_to_itself(folder: Path) -> Path:
    """Link to the link itself."""
    path = folder / "loop.db"
    path.symlink_to(path)
    return path


def a_pipe(folder: Path) -> Path:
    """Make a pipe, which would wait for a writer for ever."""
    path = folder / "pipe.db"
    os.mkfifo(path)
    return path


def in_a_file(folder: Path) -> Path:
    """Name a file in what is a file itself."""
    path = folder / "file"
    path.touch()
    return path / "test.db"


def a_damaged_database(folder: Path) -> Path:
    """Make a file with the header of a database and noise after it."""
    path = a_database(folder)
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 5000)
    return path


def a_database(folder: Path) -> Path:
    """Make a database without tables that this library knows."""
    path = folder / "test.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE of_the_application (id INTEGER)")
    return path


UNUSABLE: Final[dict[Callable[[Path], Path], str]] = {
    in_missing_folder: "does not exist",
    a_folder: "is a folder",
    a_text: "not a SQLite database",
    a_short_text: "not a SQLite database",
    read_only: "read-only",
    a_dangling_link: "symbolic link",
    a_link_to_itself: "symbolic links",
    a_pipe: "not a regular file",
    in_a_file: "ot a directory|does not exist|not a folder",
    a_damaged_database: "damaged",
}


@pytest.mark.parametrize(
    ("make", "reason"), [pytest.param(*each, id=each[0].__name__) for each in UNUSABLE.items()]
)
async def test_a_path_to_no_database_is_refused_by_name_and_reason(
    tmp_path: Path, make: Callable[[Path], Path], reason: str
) -> None:
    path = make(tmp_path)
    before = everything_in(tmp_path)
    backend = SQLitePersistenceBackend(SQLiteConfig(path=str(path)))
    with pytest.raises(PersistenceConnectionError, match=reason) as refusal:
        await backend.connect()
    assert str(path) in str(refusal.value)
    assert not backend.is_connected
    assert not await backend.health_check()
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize(
    "path",
    [
        "",
        " ",
        "\t",
        "..",
        "../test.db",
        "data/../test.db",
        "data/..",
        "data\\..\\test.db",
        "test\x00.db",
        "\ud800.db",
        "file:test.db",
        "FILE:test.db?mode=memory",
        " :memory:",
        ":MEMORY:",
    ],
)
def test_a_misleading_path_is_refused_before_anything_is_opened(path: str) -> None:
    with pytest.raises(ValidationError, match="path"):
        SQLiteConfig(path=path)


@pytest.mark.parametrize(
    "name",
    [
        "a b.db",
        "100%.db",
        "what?.db",
        "a#b.db",
        "\u00e9\U0001f98a.db",
        "it's.db",
        "..db",
        "a..b",
        "x",
    ],
)
async def test_a_path_with_any_other_characters_is_taken_literally(
    tmp_path: Path, name: str
) -> None:
    backend = SQLitePersistenceBackend(SQLiteConfig(path=str(tmp_path / name)))
    await backend.connect()
    await backend.migrate()
    await backend.tasks.save(TASKS.example)
    await backend.disconnect()
    assert names_in(tmp_path) == [name]


async def test_a_relative_path_starts_at_the_working_directory_of_the_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backend = SQLitePersistenceBackend(SQLiteConfig())
    assert names_in(tmp_path) == []
    await backend.connect()
    monkeypatch.chdir("/")
    await backend.migrate()
    await backend.tasks.save(TASKS.example)
    await backend.disconnect()
    assert names_in(tmp_path) == ["synthorg.db"]


async def test_an_empty_file_and_a_link_to_a_database_are_used(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "empty.db")
    for name in ("empty.db", "link.db"):
        backend = SQLitePersistenceBackend(SQLiteConfig(path=str(tmp_path / name)))
        await backend.connect()
        await backend.migrate()
        await backend.tasks.save(TASKS.example)
        assert await backend.tasks.list_tasks() == (TASKS.example,)
        await backend.disconnect()
    assert (tmp_path / "link.db").is_symlink()


async def test_a_backend_can_connect_once_the_reason_against_it_is_gone(tmp_path: Path) -> None:
    backend = SQLitePersistenceBackend(SQLiteConfig(path=str(in_missing_folder(tmp_path))))
    with pytest.raises(PersistenceError):
        await backend.connect()
    (tmp_path / "missing").mkdir()
    await backend.connect()
    assert await backend.health_check()
    await backend.disconnect()


def names_in(folder: Path) -> list[str]:
    """List a folder."""
    return [path.name for path in folder.iterdir()]


def everything_in(folder: Path) -> dict[str, tuple[int, int]]:
    """List a folder with the sizes and the times of what is in it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_size, status.st_mtime_ns)
    return found
