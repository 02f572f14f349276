"""The file of an open SQLite database is deleted, replaced, or loses its log."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from synthorg.persistence import PersistenceConnectionError, PersistenceError, SQLiteConfig
from synthorg.persistence.sqlite import SQLitePersistenceBackend
from synthorg.persistence.testing.concurrency import outcomes
from synthorg.persistence.testing.kinds import COST_RECORDS, TASKS

MOVED = "deleted, moved or replaced"


@pytest.fixture(params=["prepared", "sqlalchemy", "without a log"])
async def backend(
    request: pytest.FixtureRequest, sqlite_file: Path
) -> AsyncIterator[SQLitePersistenceBackend]:
    """A backend on the file, with a record that is stored in it."""
    options: dict[str, Any] = {
        "prepared": {},
        "sqlalchemy": {"prepared_statements": False},
        "without a log": {"wal_mode": False},
    }[request.param]
    backend = SQLitePersistenceBackend(SQLiteConfig(path=str(sqlite_file), **options))
    await backend.connect()
    await backend.tasks.save(TASKS.keyed("before"))
    yield backend
    await backend.disconnect()


def with_its_log(path: Path) -> list[Path]:
    return [Path(f"{path}{suffix}") for suffix in ("", "-wal", "-shm")]


def delete(path: Path) -> None:
    for file in with_its_log(path):
        file.unlink(missing_ok=True)


def rename(path: Path) -> None:
    for file in with_its_log(path):
        if file.exists():
            file.rename(f"{file}.moved")


def restore(path: Path) -> None:
    """Put a copy in its place, as restoring a backup does."""
    copy = path.with_name("copy.db")
    shutil.copyfile(path, copy)
    delete(path)
    copy.rename(path)


CHANGES = pytest.mark.parametrize("change", [delete, rename, restore])


async def save(backend: SQLitePersistenceBackend) -> None:
    await backend.tasks.save(TASKS.keyed("after"))


async def append(backend: SQLitePersistenceBackend) -> None:
    await backend.cost_records.save(COST_RECORDS.example)


async def save_many(backend: SQLitePersistenceBackend) -> None:
    await backend.tasks.save_many([TASKS.keyed("after"), TASKS.keyed("after, too")])


async def save_in_a_unit(backend: SQLitePersistenceBackend) -> None:
    async with backend.transaction() as unit:
        await unit.tasks.save(TASKS.keyed("after"))


async def delete_one(backend: SQLitePersistenceBackend) -> None:
    await backend.tasks.delete(TASKS.keyed("before").id)


async def get(backend: SQLitePersistenceBackend) -> None:
    await backend.tasks.get("before")


async def list_all(backend: SQLitePersistenceBackend) -> None:
    await backend.tasks.list_tasks()


async def read_in_a_unit(backend: SQLitePersistenceBackend) -> None:
    async with backend.transaction(read_only=True) as unit:
        await unit.tasks.get("before")


async def migrate(backend: SQLitePersistenceBackend) -> None:
    await backend.migrate()


ACTIONS = (save, append, save_many, save_in_a_unit, delete_one, get, list_all, read_in_a_unit)


@CHANGES
@pytest.mark.parametrize("act", [*ACTIONS, migrate])
async def test_every_call_says_what_happened(
    backend: SQLitePersistenceBackend,
    sqlite_file: Path,
    change: Callable[[Path], None],
    act: Callable[[SQLitePersistenceBackend], Awaitable[None]],
) -> None:
    change(sqlite_file)

    for _ in range(2):
        with pytest.raises(PersistenceConnectionError, match=MOVED):
            await act(backend)


@CHANGES
async def test_many_saves_at_once_are_all_told(
    backend: SQLitePersistenceBackend, sqlite_file: Path, change: Callable[[Path], None]
) -> None:
    change(sqlite_file)

    errors = await outcomes(backend.tasks.save(TASKS.keyed(str(number))) for number in range(20))

    assert {type(error) for error in errors} == {PersistenceConnectionError}
    assert all(MOVED in str(error) for error in errors)


@CHANGES
async def test_it_is_not_healthy_until_it_is_connected_again(
    backend: SQLitePersistenceBackend, sqlite_file: Path, change: Callable[[Path], None]
) -> None:
    change(sqlite_file)
    assert not await backend.health_check()

    await backend.disconnect()
    await backend.connect()
    await backend.migrate()
    await backend.tasks.save(TASKS.keyed("after"))

    assert await backend.health_check()
    async with reopened(sqlite_file) as other:
        assert await other.tasks.get(TASKS.keyed("after").id) is not None


@asynccontextmanager
async def reopened(path: Path) -> AsyncIterator[SQLitePersistenceBackend]:
    backend = SQLitePersistenceBackend(SQLiteConfig(path=str(path)))
    await backend.connect()
    try:
        yield backend
    finally:
        await backend.disconnect()


@CHANGES
async def test_a_unit_under_way_is_told_when_it_commits(
    backend: SQLitePersistenceBackend, sqlite_file: Path, change: Callable[[Path], None]
) -> None:
    async def save_before_and_after() -> None:
        async with backend.transaction() as unit:
            await unit.tasks.save(TASKS.keyed("one"))
            change(sqlite_file)

    with pytest.raises(PersistenceConnectionError, match=MOVED):
        await save_before_and_after()


@pytest.mark.parametrize("prepared", [True, False])
@pytest.mark.parametrize("act", [save, append, save_many, save_in_a_unit])
async def test_a_write_into_a_log_that_was_removed_raises(
    sqlite_file: Path,
    act: Callable[[SQLitePersistenceBackend], Awaitable[None]],
    *,
    prepared: bool,
) -> None:
    config = SQLiteConfig(path=str(sqlite_file), prepared_statements=prepared)
    backend = SQLitePersistenceBackend(config)
    await backend.connect()
    for file in with_its_log(sqlite_file)[1:]:
        file.unlink()

    with pytest.raises(PersistenceConnectionError):
        await act(backend)

    await backend.disconnect()


@pytest.mark.parametrize("act", [*ACTIONS, migrate])
@pytest.mark.parametrize("size", [0, 4096])
async def test_what_fails_in_a_file_that_was_cut_off_is_told_in_words(
    backend: SQLitePersistenceBackend,
    sqlite_file: Path,
    size: int,
    act: Callable[[SQLitePersistenceBackend], Awaitable[None]],
) -> None:
    with sqlite_file.open("r+b") as file:
        file.truncate(size)

    with suppress(PersistenceError):
        await act(backend)
