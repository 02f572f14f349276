"""The content of artifacts as files in one folder."""

import asyncio
import errno
import hashlib
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeVar
from uuid import uuid4
from weakref import WeakKeyDictionary

from typing_extensions import override

from synthorg.entities import NotBlankStr
from synthorg.entities.base import LONGEST_KEY, reason_text_is_unstorable
from synthorg.persistence.artifact_storage import ArtifactStorageBackend
from synthorg.persistence.errors import (
    ArtifactStorageFullError,
    ArtifactTooLargeError,
    QueryError,
    RecordNotFoundError,
    UsageError,
)
from synthorg.persistence.log_events import LogEvent, log_event

logger = logging.getLogger(__name__)

MEBIBYTE: Final = 1024 * 1024
CONTENT_SUFFIX: Final = ".content"
UNFINISHED_SUFFIX: Final = ".unfinished"
STAMP_BYTES: Final = 16

# What an id could mean to one file system or another. Windows drops dots and spaces at the end, and
# knows a device by any ending: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_REFUSED_IDS: Final = {
    reason: re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for reason, pattern in {
        "must not be blank": r"\s*",
        "must not contain a path separator": r".*[/\\].*",
        "must not consist of dots": r"[. ]+",
        "must not start with a drive": r"[a-z]:.*",
        "must not name a device": (
            r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[1-9¹²³]) *(?:[.:].*)?"
        ),
    }.items()
}
_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

Result = TypeVar("Result")


class Usage(NamedTuple):
    """What all contents together took when the lock file held this stamp."""

    stamp: bytes
    total: int


class FileSystemArtifactStorage(ArtifactStorageBackend):
    """Every content in a file of its own, in the folder `artifacts` below a data folder.

    All who write take turns through a lock on a file in that folder, so the capacity holds for
    any number of storages and processes together. It does not between machines whose network
    file system keeps locks to itself, nor on Windows between several storages on one folder;
    there too a content is always whole.

    Args:
        data_dir: The data folder; made when something is first stored.
        max_artifact_bytes: The largest size of one content.
        max_total_bytes: The capacity: the largest size of all contents together.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str],
        max_artifact_bytes: int = 50 * MEBIBYTE,
        max_total_bytes: int = 1024 * MEBIBYTE,
    ) -> None:
        if min(max_artifact_bytes, max_total_bytes) < 1:
            raise ValueError("max_artifact_bytes and max_total_bytes must be at least 1")
        self._folder = Path(data_dir).absolute() / "artifacts"
        self._max_artifact_bytes = max_artifact_bytes
        self._max_total_bytes = max_total_bytes
        self._usage: Usage | None = None
        self._mutex = threading.Lock()
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
            WeakKeyDictionary()
        )

    @property
    @override
    def backend_name(self) -> NotBlankStr:
        return "filesystem"

    @override
    async def store(self, artifact_id: NotBlankStr, content: bytes) -> int:
        path = self._path(artifact_id)
        content = _as_bytes(content)
        if len(content) > self._max_artifact_bytes:
            raise ArtifactTooLargeError(
                f"artifact {artifact_id!r} has {len(content)} bytes, but one artifact may have at "
                f"most {self._max_artifact_bytes}: split it, or raise max_artifact_bytes"
            )
        await self._write(
            f"store artifact {artifact_id!r}", lambda: self._store(artifact_id, path, content)
        )
        return len(content)

    @override
    async def retrieve(self, artifact_id: NotBlankStr) -> bytes:
        path = self._path(artifact_id)
        content = await _attempt(f"retrieve artifact {artifact_id!r}", lambda: _content(path))
        if content is None:
            raise RecordNotFoundError(f"no content is stored for artifact {artifact_id!r}")
        return content

    @override
    async def delete(self, artifact_id: NotBlankStr) -> bool:
        path = self._path(artifact_id)
        return await self._write(f"delete artifact {artifact_id!r}", lambda: self._delete(path))

    @override
    async def exists(self, artifact_id: NotBlankStr) -> bool:
        path = self._path(artifact_id)
        return await _attempt(f"look for artifact {artifact_id!r}", lambda: _size(path) is not None)

    @override
    async def total_size(self) -> int:
        return await _attempt("measure the stored artifacts", self._measure)

    def _path(self, artifact_id: str) -> Path:
        """Name an artifact's file by a hash, which no file system folds or finds too long."""
        if (reason := _reason_id_is_refused(artifact_id)) is not None:
            raise ValueError(f"the id of an artifact {reason}")
        return self._folder / (hashlib.sha256(artifact_id.encode()).hexdigest() + CONTENT_SUFFIX)

    async def _write(self, action: str, work: Callable[[], Result]) -> Result:
        # Waiting here rather than at the file's lock leaves the loop's threads to others.
        lock = self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with lock:
            return await _run_to_completion(_attempt(action, work))

    def _store(self, artifact_id: str, path: Path, content: bytes) -> None:
        _make_folder(self._folder)
        with self._locked() as lock:
            used = self._used(lock)
            previous = _size(path)
            growth = len(content) - (0 if previous is None else previous)
            if growth > 0 and used + growth > self._max_total_bytes:
                used = self._measure()  # what has been deleted is found by looking
                if used + growth > self._max_total_bytes:
                    raise ArtifactStorageFullError(
                        f"artifact {artifact_id!r} needs {growth} bytes more, but {used} of "
                        f"{self._max_total_bytes} are taken: delete artifacts, or raise "
                        "max_total_bytes"
                    )
            # Before the write, so that nobody trusts a sum from before it if it breaks off.
            stamp = os.urandom(STAMP_BYTES)
            lock.seek(0)
            lock.write(stamp)
            _write_durably(path, content)
            self._usage = Usage(stamp, used + growth)

    def _delete(self, path: Path) -> bool:
        try:
            with self._locked():
                path.unlink()
                # The sum at hand is now too large, which a store that seems not to fit finds out.
                _flush_folder(self._folder)
        except FileNotFoundError:
            return False
        return True

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        """Keep all others from writing, as far as the platform can."""
        lock_file = self._folder / "lock"
        lock_file.touch()
        with self._mutex, lock_file.open("r+b", buffering=0) as lock:
            _lock(lock)
            yield lock

    def _used(self, lock: BinaryIO) -> int:
        """Sum up the contents, by counting only if someone else has stored since the last time."""
        stamp = lock.read(STAMP_BYTES)
        if self._usage is None or self._usage.stamp != stamp:
            self._discard_unfinished()
            self._usage = Usage(stamp, self._measure())
        return self._usage.total

    def _discard_unfinished(self) -> None:
        if not LOCKS:
            return  # it may be another's write that is still going on
        for unfinished in self._folder.glob(f"*{UNFINISHED_SUFFIX}"):
            unfinished.unlink(missing_ok=True)
            log_event(logger, LogEvent.WRITE_INTERRUPTED)

    def _measure(self) -> int:
        total = 0
        with suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(CONTENT_SUFFIX):
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        total += entry.stat().st_size
        return total


def _as_bytes(content: object) -> bytes:
    """Take the bytes, of which nobody can change one while they are written."""
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)
    raise UsageError(f"the content of an artifact must be bytes, not {type(content).__name__}")


def _reason_id_is_refused(artifact_id: object) -> str | None:
    """Say why an id is not just a name, or None when it is."""
    if not isinstance(artifact_id, str):
        return "must be text"
    if (reason := reason_text_is_unstorable(artifact_id)) is not None:
        return reason
    if len(artifact_id) > LONGEST_KEY:
        return f"must not have more than {LONGEST_KEY} characters"
    reasons = (reason for reason, ids in _REFUSED_IDS.items() if ids.fullmatch(artifact_id))
    return next(reasons, None)


async def _attempt(action: str, work: Callable[[], Result]) -> Result:
    """Do blocking work in a thread, and report its failure as one of this library's errors."""
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        reason = type(error).__name__ if error.strerror is None else error.strerror
        kind = ArtifactStorageFullError if error.errno in _DISK_FULL else QueryError
        raise kind(f"cannot {action}: {reason}") from error


async def _run_to_completion(work: Coroutine[Any, Any, Result]) -> Result:
    """Await work that goes on when the caller is cancelled, and only then let the caller go."""
    task = asyncio.ensure_future(work)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # asked for, or asyncio would log that nobody did
    raise cancellation


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _make_folder(folder: Path) -> None:
    missing = [made for made in (folder, *folder.parents) if not made.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        _flush_folder(made.parent)


def _write_durably(path: Path, content: bytes) -> None:
    unfinished = path.with_name(uuid4().hex + UNFINISHED_SUFFIX)
    try:
        with unfinished.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


if sys.platform == "win32":
    LOCKS: Final = False

    def _lock(file: BinaryIO) -> None:
        """Do nothing, as Python has no lock for Windows that waits for its turn."""

    def _flush_folder(folder: Path) -> None:
        """Do nothing, as Windows opens no folder, and journals the renaming itself."""

else:
    import fcntl

    LOCKS: Final = True

    def _lock(file: BinaryIO) -> None:
        """Wait for the file's lock, which the system takes back when the file is closed."""
        fcntl.flock(file, fcntl.LOCK_EX)

    def _flush_folder(folder: Path) -> None:
        """Make the names in a folder survive a loss of power."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
