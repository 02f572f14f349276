"""Looking at a SQLite database without changing anything in it or beside it.

A connection that may write empties the log of a crashed process when it is closed, and even one
that may only read leaves files beside a database in WAL mode. https://www.sqlite.org/wal.html#readonly
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

PRIMARY_CODE: Final = 0xFF
READ_ONLY: Final = "mode=ro"


@dataclass(frozen=True)
class FileView:
    """A way to look at a database file.

    Attributes:
        uri: What SQLite opens.
        otherwise: What it opens where the first cannot be read, for others are writing.
        has_held: Tells, after looking, whether the file was still that of the beginning.
    """

    uri: str
    otherwise: str
    has_held: Callable[[], bool]

    def connect(self) -> sqlite3.Connection:
        """Open the database; whatever else keeps it from being read, the first statement tells."""
        connection = _opened(self.uri)
        try:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & PRIMARY_CODE == sqlite3.SQLITE_READONLY:
                connection.close()
                return _opened(self.otherwise)
        return connection


@contextmanager
def view_of(path: Path, *, again: bool) -> Iterator[FileView]:
    """Find the way to look at a database file.

    Args:
        path: The file.
        again: Whether another way has shown that somebody is writing.
    """
    log, index, journal = (Path(f"{path}{suffix}") for suffix in ("-wal", "-shm", "-journal"))
    locked = _uri(path, READ_ONLY)
    if _has_content(log) and index.exists():
        yield FileView(_uri(path, f"{READ_ONLY}&readonly_shm=1"), locked, _always)
    elif _has_content(log):
        # Without an index nobody has it open, and to make one would be to change something.
        with TemporaryDirectory() as folder:
            copy = Path(folder) / path.name
            shutil.copyfile(path, copy)
            shutil.copyfile(log, f"{copy}-wal")
            yield FileView(_uri(copy, "mode=rw"), locked, _always)
    elif again or journal.exists():
        yield FileView(locked, locked, _always)
    else:
        beginning = _state(path, log, journal)
        yield FileView(
            _uri(path, f"{READ_ONLY}&immutable=1"),
            locked,
            lambda: _state(path, log, journal) == beginning,
        )


def _opened(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, isolation_level=None)


def _uri(path: Path, parameters: str) -> str:
    return f"{path.as_uri()}?{parameters}"


def _always() -> bool:
    return True


def _has_content(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


def _state(path: Path, log: Path, journal: Path) -> object:
    status = path.stat()
    identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return identity, _has_content(log), journal.exists()
