"""SQLite after a fork: a child cannot close what it inherited, and holds no lock of it.

Its copy of SQLite believes that the process has the locks of its parent, and so takes none of its
own for the same file: once the parent has closed the file, its log would be removed while the
child writes into it. https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_across_a_fork_
"""

import os
import sqlite3
import sys
import threading
import time
from contextlib import suppress
from typing import Final

SHARED_FIRST: Final = 0x40000002
SHARED_SIZE: Final = 510
"""The lock of whoever has a database in WAL mode open. https://www.sqlite.org/walformat.html#locks"""

IN_USE: Final = 128
"""The lock, in the index of the log, of whoever uses it."""

ATTEMPTS: Final = 100
SECONDS_BETWEEN_ATTEMPTS: Final = 0.01

if sys.platform != "win32":  # where nothing forks
    import fcntl

Identity = tuple[int, int] | None

_opened: set[str] = set()
_inherited: dict[str, tuple[Identity, Identity]] = {}
_locked: set[str] = set()
_one_at_a_time = threading.Lock()


class InheritedFileClosedError(sqlite3.OperationalError):
    """The parent has closed a file that a child inherited, and with it what both would share."""


def about_to_open(path: str) -> None:
    """Take the locks, where a child inherited the file, that SQLite takes for held already.

    Args:
        path: The database file.

    Raises:
        InheritedFileClosedError: If there is nothing left to lock.
    """
    with _one_at_a_time:
        if path in _inherited and path not in _locked:
            _take_over(path)
        _opened.add(path)


def _take_over(path: str) -> None:
    file, index = _inherited[path]
    if index is None or _identity(path) != file:
        return  # not in WAL mode, where nothing is locked at rest; or it is another file by now
    # Kept open for good: closing any descriptor of a file drops all of a process's locks on it.
    _lock(os.open(path, os.O_RDWR | os.O_CLOEXEC), SHARED_SIZE, SHARED_FIRST)
    with suppress(FileNotFoundError):
        descriptor = os.open(_index_of(path), os.O_RDWR | os.O_CLOEXEC)
        _lock(descriptor, 1, IN_USE)
        if _identity(_index_of(path)) == index:
            _locked.add(path)
            return
    raise InheritedFileClosedError(path)


def _lock(descriptor: int, length: int, start: int) -> None:
    for _ in range(ATTEMPTS):
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, length, start)
        except OSError:
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
        else:
            return
    raise sqlite3.OperationalError("database is locked")


def _index_of(path: str) -> str:
    return f"{path}-shm"


def _identity(path: str) -> Identity:
    try:
        status = os.stat(path)  # noqa: PTH116 (of the name as SQLite has it)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _forked() -> None:
    global _one_at_a_time  # noqa: PLW0603 (another thread may have held it)
    _one_at_a_time = threading.Lock()
    _inherited.update({path: (_identity(path), _identity(_index_of(path))) for path in _opened})
    _opened.clear()
    _locked.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
