import asyncio
import errno
import os
import stat
from array import array
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from synthorg.persistence.artifact_storage import ArtifactStorageBackend
from synthorg.persistence.errors import (
    ArtifactStorageFullError,
    ArtifactTooLargeError,
    PersistenceError,
    QueryError,
    RecordNotFoundError,
    UsageError,
)
from synthorg.persistence.filesystem_artifact_storage import FileSystemArtifactStorage
from tests.artifact_storage.helpers import contents, paths, put

Use = Callable[[FileSystemArtifactStorage], Coroutine[Any, Any, object]]


def test_the_storage_is_one_and_says_which(storage: FileSystemArtifactStorage) -> None:
    assert isinstance(storage, ArtifactStorageBackend)
    assert storage.backend_name == "filesystem"


@pytest.mark.parametrize("content", [b"report", b"", b"\r\n\x00\xff", bytes(3_000_000)])
async def test_content_comes_back_as_it_was(
    storage: FileSystemArtifactStorage, data_dir: Path, content: bytes
) -> None:
    assert await storage.store("a1", content) == len(content)
    assert await storage.retrieve("a1") == content
    assert await storage.exists("a1")
    assert await FileSystemArtifactStorage(data_dir).retrieve("a1") == content


async def test_content_is_bytes_of_any_kind_and_nothing_else(
    storage: FileSystemArtifactStorage,
) -> None:
    ways: list[Any] = [bytearray(b"abcd"), memoryview(b"abcd"), memoryview(array("H", [1, 2]))]
    for content in ways:
        assert await storage.store("a", content) == 4
        assert await storage.retrieve("a") == bytes(content)
    others: list[Any] = ["text", None, 5, [1], object()]
    for other in others:
        with pytest.raises(UsageError, match=r"must be bytes, not \w+"):
            await storage.store("a", other)
    assert await storage.retrieve("a") == bytes(ways[-1])


async def test_storing_again_replaces(storage: FileSystemArtifactStorage) -> None:
    await storage.store("a1", b"a long first draft")
    await storage.store("a1", b"short")
    assert await storage.retrieve("a1") == b"short"
    assert await storage.total_size() == len(b"short")


async def test_content_that_was_never_stored_is_reported_by_its_id(
    storage: FileSystemArtifactStorage,
) -> None:
    await storage.store("a1", b"report")
    with pytest.raises(RecordNotFoundError, match="a2"):
        await storage.retrieve("a2")
    assert not await storage.exists("a2")


async def test_deleting_tells_whether_there_was_something(
    storage: FileSystemArtifactStorage,
) -> None:
    await storage.store("a1", b"report")
    assert await storage.delete("a1")
    assert not await storage.delete("a1")
    assert not await storage.exists("a1")
    assert await storage.total_size() == 0


async def test_only_storing_makes_the_folder(
    storage: FileSystemArtifactStorage, tmp_path: Path
) -> None:
    assert not await storage.exists("a1")
    assert not await storage.delete("a1")
    assert await storage.total_size() == 0
    with pytest.raises(RecordNotFoundError):
        await storage.retrieve("a1")
    assert paths(tmp_path) == set()
    await storage.store("a1", b"report")
    assert contents(tmp_path) == [b"report"]


async def test_the_size_is_that_of_the_contents_alone(
    storage: FileSystemArtifactStorage, data_dir: Path
) -> None:
    await storage.store("a1", b"12345")
    await storage.store("a2", b"123")
    put(data_dir / "artifacts" / "notes.txt", b"not an artifact")
    assert await storage.total_size() == 8


async def test_the_folder_stays_the_same_when_the_process_changes_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = FileSystemArtifactStorage("data")
    await storage.store("a1", b"report")
    monkeypatch.chdir("/")
    assert await storage.retrieve("a1") == b"report"


async def test_content_beyond_the_largest_size_is_refused(data_dir: Path) -> None:
    storage = FileSystemArtifactStorage(data_dir, max_artifact_bytes=4)
    assert await storage.store("a1", b"1234") == 4
    with pytest.raises(ArtifactTooLargeError, match=r"5 bytes.*max_artifact_bytes"):
        await storage.store("a1", b"12345")
    assert await storage.retrieve("a1") == b"1234"


@pytest.mark.parametrize("limits", [(0, 1), (1, 0), (-1, 1)])
def test_limits_that_allow_nothing_are_refused(data_dir: Path, limits: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        FileSystemArtifactStorage(data_dir, *limits)


async def test_a_write_is_flushed_before_it_is_renamed_and_its_name_after(
    storage: FileSystemArtifactStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    flush, rename = os.fsync, Path.replace

    def watch_flush(descriptor: int) -> None:
        flush(descriptor)
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        steps.append("flush folder" if is_folder else "flush file")

    def watch_rename(path: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", watch_flush)
    monkeypatch.setattr(Path, "replace", watch_rename)
    await storage.store("a1", b"report")
    made = len(["company", "data", "artifacts"])
    assert steps == [*["flush folder"] * made, "flush file", "rename", "flush folder"]
    steps.clear()
    await storage.delete("a1")
    assert steps == ["flush folder"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
async def test_a_full_disk_is_a_full_storage_and_leaves_the_old_content(
    storage: FileSystemArtifactStorage,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
) -> None:
    await storage.store("a1", b"old")
    before = paths(data_dir)

    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(ArtifactStorageFullError, match="'a1'") as caught:
            await storage.store("a1", b"new content")
    assert isinstance(caught.value.__cause__, OSError)
    assert paths(data_dir) == before
    assert await storage.retrieve("a1") == b"old"
    await storage.store("a1", b"new content")
    assert await storage.total_size() == len(b"new content")


@pytest.mark.parametrize(
    "use",
    [
        lambda storage: storage.store("a1", b"report"),
        lambda storage: storage.retrieve("a1"),
        lambda storage: storage.delete("a1"),
        lambda storage: storage.exists("a1"),
        lambda storage: storage.total_size(),
    ],
    ids=["store", "retrieve", "delete", "exists", "total_size"],
)
async def test_a_failure_of_the_file_system_leaves_as_an_error_of_this_library(
    storage: FileSystemArtifactStorage, data_dir: Path, use: Use
) -> None:
    put(data_dir, b"a file where the folder should be")
    with pytest.raises(QueryError, match="cannot") as caught:
        await use(storage)
    assert isinstance(caught.value, PersistenceError)
    assert isinstance(caught.value.__cause__, OSError)


async def test_what_a_crash_left_behind_is_not_content_and_is_removed_by_the_next_store(
    storage: FileSystemArtifactStorage, data_dir: Path
) -> None:
    await storage.store("a1", b"report")
    put(data_dir / "artifacts" / "0123.unfinished", b"half of a rep")
    again = FileSystemArtifactStorage(data_dir, max_total_bytes=len(b"report") + 1)
    assert await again.total_size() == len(b"report")
    await again.store("a2", b"1")
    assert contents(data_dir) == [b"1", b"report"]


async def test_many_at_once_do_not_disturb_each_other(storage: FileSystemArtifactStorage) -> None:
    given = {f"a{number}": str(number).encode() * 1000 for number in range(40)}
    await asyncio.gather(*(storage.store(*item) for item in given.items()))
    assert await asyncio.gather(*map(storage.retrieve, given)) == list(given.values())
    assert await storage.total_size() == sum(map(len, given.values()))
