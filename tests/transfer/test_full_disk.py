"""A disk that is really full: an error that says so, nothing lost, and on with more room."""

import asyncio
import os
import random
import subprocess
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from synthorg.persistence import (
    ManagedBackend,
    PersistenceConfig,
    PersistenceError,
    create_backend,
)
from synthorg.persistence.retention import prune
from synthorg.persistence.testing.kinds import MESSAGES, TASKS
from synthorg.persistence.transfer import back_up, compare_databases, copy_database, restore
from tests.transfer.conftest import run
from tests.transfer.test_archive import OLD, POLICY, archived, ids, left

SMALL, LARGE = "size=1m", "size=64m"
RECORDS = 400
FULL = r"(?i)full|no space left"


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own, with hardly any room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    try:
        mount("-t", "tmpfs", "-o", SMALL, "tmpfs", str(folder))
    except (OSError, subprocess.CalledProcessError) as reason:
        pytest.skip(f"no file system can be mounted here: {reason}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def enlarge(disk: Path) -> None:
    mount("-o", f"remount,{LARGE}", str(disk))


def config(path: Path) -> PersistenceConfig:
    return PersistenceConfig.from_url(f"sqlite:///{path}")


def text(number: int) -> str:
    """Give some kilobytes that no compression makes small."""
    return random.Random(number).randbytes(4_000).hex()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A database for which there is no room on the disk."""
    path = tmp_path / "large.db"

    async def fill(backend: ManagedBackend) -> None:
        await backend.tasks.save_many(
            TASKS.make(id=f"{number}", description=text(number)) for number in range(RECORDS)
        )

    run(f"sqlite:///{path}", fill)
    return path


def small(path: Path) -> Path:
    """Make a database that has room anywhere."""

    async def connect() -> None:
        async with create_backend(config(path)) as backend:
            await backend.migrate()
            await backend.tasks.save(TASKS.make(id="precious"))

    asyncio.run(connect())
    return path


def done(work: Callable[[], Awaitable[object]]) -> None:
    async def wait() -> None:
        await work()

    asyncio.run(wait())


def are_the_same(first: Path, second: Path) -> bool:
    return not asyncio.run(compare_databases(config(first), config(second))).differences


def test_a_backup_for_which_there_is_no_room_leaves_the_one_before(
    large: Path, disk: Path, tmp_path: Path
) -> None:
    earlier, file = small(tmp_path / "small.db"), disk / "backup.db"
    done(lambda: back_up(config(earlier), file))
    before = file.read_bytes()
    with pytest.raises(PersistenceError, match=FULL):
        done(lambda: back_up(config(large), file, overwrite=True))
    assert file.read_bytes() == before
    assert [each.name for each in disk.iterdir()] == ["backup.db"]

    enlarge(disk)
    done(lambda: back_up(config(large), file, overwrite=True))
    assert are_the_same(file, large)


def test_a_restore_for_which_there_is_no_room_leaves_what_was_there(
    large: Path, disk: Path, tmp_path: Path
) -> None:
    file, place = tmp_path / "backup.db", disk / "place.db"
    done(lambda: back_up(config(large), file))
    earlier = small(tmp_path / "small.db")
    done(lambda: restore(earlier, config(place)))
    with pytest.raises(PersistenceError, match=FULL):
        done(lambda: restore(file, config(place), overwrite=True))
    assert are_the_same(place, earlier)
    assert [each.name for each in disk.iterdir() if "unfinished" in each.name] == []

    enlarge(disk)
    done(lambda: restore(file, config(place), overwrite=True))
    assert are_the_same(place, large)


def test_a_copy_for_which_there_is_no_room_goes_on_where_there_is_more(
    large: Path, disk: Path
) -> None:
    target = disk / "target.db"
    with pytest.raises(PersistenceError, match=FULL):
        done(lambda: copy_database(config(large), config(target)))

    enlarge(disk)
    done(lambda: copy_database(config(large), config(target)))
    assert are_the_same(target, large)


def test_nothing_is_pruned_for_whose_archive_there_is_no_room(tmp_path: Path, disk: Path) -> None:
    url, archive = f"sqlite:///{tmp_path / 'source.db'}", disk / "archive"

    async def save() -> None:
        async with create_backend(PersistenceConfig.from_url(url)) as backend:
            await backend.migrate()
            await backend.messages.save_many(
                MESSAGES.make(id=id_, timestamp=OLD, content=text(number))
                for number, id_ in enumerate(ids(RECORDS))
            )

    async def remove() -> None:
        async with create_backend(PersistenceConfig.from_url(url)) as backend:
            await prune(backend, POLICY, everything=True, archive=archive)

    asyncio.run(save())
    with pytest.raises(PersistenceError, match=FULL):
        asyncio.run(remove())
    remaining = asyncio.run(left(url))
    assert remaining
    gone = {*ids(RECORDS)} - remaining
    assert gone == {id_ for id_ in archived(archive) if id_ in gone}

    enlarge(disk)
    asyncio.run(remove())
    assert asyncio.run(left(url)) == set()
    assert archived(archive) == Counter(ids(RECORDS))
