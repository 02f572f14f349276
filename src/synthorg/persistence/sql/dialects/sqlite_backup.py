"""A SQLite file copied into another one while others write to it, and put in the place of one."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

from synthorg.persistence.errors import QueryError

PAGES_AT_ONCE: Final = 2_000
SOUND: Final = "ok"

CopyProgress = Callable[[int, int], None]
"""Who is told how many pages are copied, and of how many."""


async def copy_file(source: Path, target: Path, told: CopyProgress | None) -> None:
    """Copy one state of a database, which others may change meanwhile, and check the copy.

    Args:
        source: The database.
        target: An empty file.
        told: Who is told how far it is.

    Raises:
        QueryError: If it cannot be copied, or either of the two is damaged.
    """
    loop, cancelled = asyncio.get_running_loop(), threading.Event()

    def tell(done: int, total: int) -> None:
        if cancelled.is_set():
            raise InterruptedError
        if told is not None:
            loop.call_soon_threadsafe(told, done, total)

    work = asyncio.ensure_future(asyncio.to_thread(_copy_and_check, source, target, tell))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        cancelled.set()
        with suppress(InterruptedError, QueryError):
            await work
        raise


async def check_file(path: Path) -> None:
    """Look for damage in a database that nobody changes.

    Args:
        path: The database.

    Raises:
        QueryError: If it is damaged, or no database.
    """
    await asyncio.to_thread(_check, path)


def _check(path: Path) -> None:
    try:
        with closing(_open(path)) as connection:
            _refuse_damaged(path, connection)
    except sqlite3.Error as error:
        raise QueryError(f"cannot read the database {path}: {error}") from None


def _refuse_damaged(path: Path, connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != SOUND:
        raise QueryError(
            f"cannot use the database {path}: it is damaged ({found}); `synthorg-db check` says "
            "more, and an earlier backup may be sound"
        )


def _copy_and_check(source: Path, target: Path, tell: CopyProgress) -> None:
    try:
        with closing(_open(source)) as there, closing(sqlite3.connect(target)) as here:
            # Within a transaction, the state stays the same, and the copy need not begin anew
            # whenever somebody writes. https://www.sqlite.org/c3ref/backup_finish.html
            there.execute("BEGIN")
            there.execute("SELECT count(*) FROM sqlite_master").fetchone()
            there.backup(
                here,
                pages=PAGES_AT_ONCE,
                progress=lambda _, left, total: tell(total - left, total),
            )
            _refuse_damaged(source, here)
    except sqlite3.Error as error:
        raise QueryError(f"cannot copy the database {source} to {target}: {error}") from None
    flush(target)


def put_in_place(new: Path, place: Path) -> None:
    """Put a database in the place of another one, which nobody uses, or of none.

    Args:
        new: The file of the database, in the same folder.
        place: Where it is to be.

    Raises:
        QueryError: If somebody has the other one open.
    """
    with _locked(place) if place.exists() else nullcontext():
        # Of a database that is too damaged to be opened. Its log would damage the new one.
        for suffix in ("-wal", "-shm", "-journal"):
            place.with_name(place.name + suffix).unlink(missing_ok=True)
        new.replace(place)
    flush_folder(place)


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Keep everybody from a database whose log was written back and removed."""
    with closing(sqlite3.connect(place, timeout=1, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            reason = "somebody has it open; stop all processes that use it" if busy else error
            raise QueryError(f"cannot replace the database {place}: {reason}") from None
        except sqlite3.DatabaseError:
            pass  # too damaged to have a log of any use
        yield


def flush(path: Path) -> None:
    """Have a file survive a loss of power.

    Args:
        path: The file.
    """
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Have the name of a file survive a loss of power.

    Args:
        path: The file.
    """
    if os.name == "nt":  # where folders cannot be opened
        return
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
