"""A backup is a whole state of a database, and a restored database is the whole backup."""

import asyncio
import os
import sqlite3
from collections.abc import Awaitable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from synthorg.persistence import (
    ManagedBackend,
    MigrationError,
    PersistenceConfig,
    PersistenceError,
    QueryError,
    UsageError,
    create_backend,
)
from synthorg.persistence.testing.kinds import TASKS
from synthorg.persistence.transactions import UnitOfWork
from synthorg.persistence.transfer import BackupReport, back_up, compare_databases, restore
from tests.extensions.conftest import EXTENSIONS
from tests.transfer.conftest import copy, run

ROUNDS = int(os.environ.get("TEST_BACKUP_ROUNDS", "1"))
WRITERS = 64


def config(url: str) -> PersistenceConfig:
    return PersistenceConfig.from_url(url)


def made(work: Awaitable[BackupReport]) -> BackupReport:
    async def run() -> BackupReport:
        return await work

    return asyncio.run(run())


def are_the_same(first: str, second: str) -> bool:
    compared = asyncio.run(compare_databases(config(first), config(second), extensions=EXTENSIONS))
    return not compared.differences


def test_a_backup_of_each_kind_is_restored_to_each_kind(
    source: str, target: str, tmp_path: Path
) -> None:
    """The copy in `target` is what is backed up, into a file, and restored over itself."""
    copy(source, target)
    file = tmp_path / "backup.db"
    made(back_up(config(target), file, extensions=EXTENSIONS))
    assert are_the_same(f"sqlite:///{file}", source)

    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    made(restore(file, config(elsewhere), extensions=EXTENSIONS))
    assert are_the_same(elsewhere, source)

    run(target, lambda backend: backend.tasks.save(TASKS.make(id="saved later")))
    with pytest.raises(MigrationError):
        made(restore(file, config(target), extensions=EXTENSIONS))
    made(restore(file, config(target), extensions=EXTENSIONS, overwrite=True))
    assert are_the_same(target, source)
    assert sorted(each.name for each in tmp_path.iterdir() if "unfinished" in each.name) == []


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_a_backup_under_load_has_what_was_acknowledged_before_and_no_half_of_a_unit(
    target: str, tmp_path: Path, round_number: int
) -> None:
    file = tmp_path / "backup.db"

    async def back_up_under_load() -> set[str]:
        async with create_backend(config(target)) as backend:
            await backend.migrate()
            acknowledged: set[str] = set()
            under_way, stopped = asyncio.Event(), asyncio.Event()

            async def write(writer: int) -> None:
                for number in range(1_000):
                    if stopped.is_set():
                        return
                    pair = f"{writer}-{number}"

                    async def work(unit: UnitOfWork, pair: str = pair) -> None:
                        await unit.tasks.save(TASKS.make(id=f"{pair}-one"))
                        await unit.tasks.save(TASKS.make(id=f"{pair}-other"))

                    await backend.run_in_transaction(work)
                    acknowledged.add(pair)
                    if len(acknowledged) == WRITERS:
                        under_way.set()

            writers = [asyncio.create_task(write(number)) for number in range(WRITERS)]
            await under_way.wait()
            before = set(acknowledged)
            await back_up(config(target), file)
            stopped.set()
            await asyncio.gather(*writers)
            return before

    before = asyncio.run(back_up_under_load())
    with closing(sqlite3.connect(file)) as connection:
        stored = {id_ for (id_,) in connection.execute("SELECT id FROM tasks")}
    assert {f"{pair}-{half}" for pair in before for half in ("one", "other")} <= stored
    pairs = {id_.rpartition("-")[0] for id_ in stored}
    assert len(stored) == 2 * len(pairs)


def test_a_file_that_is_there_is_replaced_only_when_told(source: str, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"
    file.write_text("precious")
    with pytest.raises(UsageError, match="is there already"):
        made(back_up(config(source), file))
    assert file.read_text() == "precious"
    made(back_up(config(source), file, overwrite=True))
    assert are_the_same(f"sqlite:///{file}", source)


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "foreign", "unreadable", "none"])
def test_what_is_no_sound_backup_replaces_nothing(
    source: str, target: str, tmp_path: Path, damage: str
) -> None:
    file = tmp_path / "backup.db"
    made(back_up(config(source), file, extensions=EXTENSIONS))
    spoil(file, damage)
    run(target, lambda backend: backend.tasks.save(TASKS.make(id="precious")))

    if damage == "unreadable" and target.startswith("sqlite"):
        return  # there the file is restored as it is
    with pytest.raises(PersistenceError):
        made(restore(file, config(target), extensions=EXTENSIONS, overwrite=True))

    async def still_there(backend: ManagedBackend) -> None:
        assert await backend.tasks.get("precious") is not None

    run(target, still_there)
    assert [each.name for each in tmp_path.iterdir() if "unfinished" in each.name] == []


def spoil(file: Path, damage: str) -> None:
    """Make of a backup what is none."""
    if damage == "cut":
        os.truncate(file, file.stat().st_size // 2)
    elif damage == "garbage":
        content = bytearray(file.read_bytes())
        content[4096 * 3 : 4096 * 20] = os.urandom(4096 * 17)
        file.write_bytes(content)
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "none":
        file.unlink()
    elif damage == "foreign":
        file.unlink()
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE somebody (id INTEGER)")
    else:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("UPDATE tasks SET status = 'no such status'")
            connection.commit()


def test_a_database_that_somebody_has_open_is_not_replaced(source: str, tmp_path: Path) -> None:
    file, place = tmp_path / "backup.db", tmp_path / "place.db"
    made(back_up(config(source), file))

    async def restore_under_a_backend() -> None:
        async with create_backend(config(f"sqlite:///{place}")) as backend:
            await backend.migrate()
            await backend.tasks.save(TASKS.make(id="mine"))
            with pytest.raises(QueryError, match="somebody has it open"):
                await restore(file, config(f"sqlite:///{place}"), overwrite=True)
            assert await backend.tasks.get("mine") is not None

    asyncio.run(restore_under_a_backend())
    made(restore(file, config(f"sqlite:///{place}"), overwrite=True))
    assert are_the_same(f"sqlite:///{place}", source)


def test_a_damaged_database_can_be_replaced_by_its_backup(source: str, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"
    made(back_up(config(source), file))
    place = tmp_path / "place.db"
    place.write_bytes(os.urandom(8192))
    place.with_name("place.db-wal").write_bytes(os.urandom(4096))
    made(restore(file, config(f"sqlite:///{place}"), overwrite=True))
    assert are_the_same(f"sqlite:///{place}", source)


async def test_a_database_in_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ends with the connection"):
        await back_up(config("sqlite://"), tmp_path / "backup.db")


def test_a_folder_that_is_not_there_is_named(source: str, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match=r"cannot write to the folder .*missing"):
        made(back_up(config(source), tmp_path / "missing" / "backup.db"))


def test_a_backup_that_is_cancelled_leaves_nothing(source: str, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"

    async def enlarge(backend: ManagedBackend) -> None:
        await backend.tasks.save_many(
            TASKS.make(id=f"{number}", description="x" * 4_000) for number in range(5_000)
        )

    async def cancel() -> None:
        under_way = asyncio.Event()
        task = asyncio.create_task(
            back_up(config(source), file, progress=lambda *_: under_way.set())
        )
        await under_way.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    run(source, enlarge)
    asyncio.run(cancel())
    left = [each.name for each in tmp_path.iterdir() if "backup" in each.name]
    assert left in ([], ["backup.db"])  # it may have ended by then
