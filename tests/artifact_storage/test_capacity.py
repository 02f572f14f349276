import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from synthorg.persistence.errors import ArtifactStorageFullError, PersistenceError
from synthorg.persistence.filesystem_artifact_storage import FileSystemArtifactStorage

CAPACITY = 100
STORE_FROM_A_PROCESS = """
import asyncio, sys
from synthorg.persistence.errors import ArtifactStorageFullError
from synthorg.persistence.filesystem_artifact_storage import FileSystemArtifactStorage

async def main():
    storage = FileSystemArtifactStorage(sys.argv[1], max_total_bytes=100)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(15):
        try:
            await storage.store(f"{sys.argv[2]}-{number}", b"x" * 10)
        except ArtifactStorageFullError:
            pass
        else:
            print("stored", flush=True)

asyncio.run(main())
"""


@pytest.fixture
def small(data_dir: Path) -> FileSystemArtifactStorage:
    return FileSystemArtifactStorage(data_dir, max_total_bytes=CAPACITY)


async def store_many(storages: list[FileSystemArtifactStorage], size: int) -> int:
    """Store thirty contents at once, each from one of the storages in turn; count the stored."""
    results = await asyncio.gather(
        *(
            storages[number % len(storages)].store(f"a{number}", b"x" * size)
            for number in range(30)
        ),
        return_exceptions=True,
    )
    failures = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(failure, ArtifactStorageFullError) for failure in failures)
    return len(results) - len(failures)


async def test_the_capacity_can_be_used_up_exactly(small: FileSystemArtifactStorage) -> None:
    await small.store("a1", b"x" * 60)
    await small.store("a2", b"x" * 40)
    with pytest.raises(ArtifactStorageFullError, match=r"'a3'.*100 of 100.*max_total_bytes"):
        await small.store("a3", b"x")
    assert not await small.exists("a3")
    await small.store("a4", b"")


async def test_replacing_counts_the_difference(small: FileSystemArtifactStorage) -> None:
    await small.store("a1", b"x" * 60)
    await small.store("a1", b"y" * 100)
    with pytest.raises(ArtifactStorageFullError):
        await small.store("a1", b"z" * 101)
    assert await small.retrieve("a1") == b"y" * 100
    await small.store("a1", b"z" * 30)
    await small.store("a2", b"x" * 70)


async def test_deleting_makes_room(small: FileSystemArtifactStorage) -> None:
    await small.store("a1", b"x" * 100)
    assert await small.delete("a1")
    await small.store("a2", b"x" * 100)
    assert await small.total_size() == CAPACITY


async def test_what_shrinks_is_stored_even_when_the_capacity_has_been_lowered(
    small: FileSystemArtifactStorage, data_dir: Path
) -> None:
    await small.store("a1", b"x" * 100)
    lowered = FileSystemArtifactStorage(data_dir, max_total_bytes=10)
    await lowered.store("a1", b"x" * 50)
    with pytest.raises(ArtifactStorageFullError):
        await lowered.store("a2", b"x")


@pytest.mark.parametrize("storages", [1, 3])
async def test_storing_at_once_fills_the_capacity_and_no_more(
    data_dir: Path, storages: int
) -> None:
    several = [
        FileSystemArtifactStorage(data_dir, max_total_bytes=CAPACITY) for _ in range(storages)
    ]
    assert await store_many(several, size=10) == 10
    assert await several[0].total_size() == CAPACITY


def test_storing_from_event_loops_in_several_threads_fills_the_capacity_and_no_more(
    small: FileSystemArtifactStorage,
) -> None:
    async def both() -> list[int]:
        return await asyncio.gather(
            *(asyncio.to_thread(asyncio.run, store_many([small], size=7)) for _ in range(2))
        )

    # Both store under the same ids, so a second store of an id adds nothing.
    assert min(asyncio.run(both())) >= CAPACITY // 7
    assert asyncio.run(small.total_size()) == CAPACITY // 7 * 7


async def test_each_of_two_storages_on_a_folder_sees_what_the_other_does(data_dir: Path) -> None:
    one, other = (FileSystemArtifactStorage(data_dir, max_total_bytes=CAPACITY) for _ in range(2))
    await one.store("a1", b"x" * 10)
    await other.store("a2", b"x" * 80)
    with pytest.raises(ArtifactStorageFullError):
        await one.store("a3", b"x" * 11)
    await other.delete("a2")
    await one.store("a3", b"x" * 90)
    with pytest.raises(ArtifactStorageFullError):
        await other.store("a4", b"x")


def test_storing_from_several_processes_fills_the_capacity_and_no_more(data_dir: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", STORE_FROM_A_PROCESS, str(data_dir), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    pipes = [(process.stdin, process.stdout) for process in processes]
    for _, output in pipes:
        assert output is not None
        assert output.readline() == "ready\n"
    for start, _ in pipes:
        assert start is not None
        start.write("go\n")
        start.flush()
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert "".join(outputs).split() == ["stored"] * 10
    assert asyncio.run(FileSystemArtifactStorage(data_dir).total_size()) == CAPACITY


async def test_the_contents_are_counted_only_when_someone_else_has_stored(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (FileSystemArtifactStorage(data_dir) for _ in range(2))
    counts: list[object] = []
    scandir = os.scandir

    def watch(folder: Path) -> object:
        counts.append(folder)
        return scandir(folder)

    await one.store("a1", b"x")
    await other.store("a2", b"x")
    monkeypatch.setattr(os, "scandir", watch)
    for number in range(10):
        await other.store(f"b{number}", b"x")
    assert counts == []
    await one.store("a3", b"x")
    assert counts != []


async def test_a_store_that_breaks_off_late_is_counted_by_others(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (FileSystemArtifactStorage(data_dir, max_total_bytes=CAPACITY) for _ in range(2))
    await one.store("a1", b"x" * 10)

    def rename_and_fail(path: Path, target: Path) -> Path:
        os.rename(path, target)  # noqa: PTH104 (the method is replaced)
        raise OSError("the process was stopped here")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", rename_and_fail)
        with pytest.raises(PersistenceError):
            await other.store("a2", b"x" * 60)

    assert await one.total_size() == 70
    with pytest.raises(ArtifactStorageFullError, match="70 of 100"):
        await one.store("a3", b"x" * 40)
