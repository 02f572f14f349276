"""A copy of the database file, made before anything in it changes."""

import logging
import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from synthorg.persistence.errors import MigrationError
from synthorg.persistence.log_events import LogEvent, log_event

logger = logging.getLogger(__name__)

UNFINISHED_SUFFIX: Final = ".unfinished"


def back_up(connection: Connection) -> Path | None:
    """Copy the database into a new file beside it.

    Args:
        connection: A connection to a SQLite database, with no transaction begun.

    Returns:
        The copy; None for a database in memory, which has no place beside it.

    Raises:
        MigrationError: If no complete copy could be made; then none is left behind.
    """
    # Straight to the driver: SQLAlchemy would begin a transaction, and VACUUM refuses one.
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute("PRAGMA database_list")
        database = Path(next(file for _, name, file in cursor.fetchall() if name == "main"))
        if database == Path():
            return None
        try:
            backup = _copy(cursor, database)
        except (sqlite3.Error, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise MigrationError(
                f"cannot adopt {database}: it cannot be backed up beside itself first ({reason}); "
                "nothing was changed"
            ) from error
    log_event(logger, LogEvent.DATABASE_BACKED_UP, backup=str(backup))
    return backup


def _copy(cursor: Any, database: Path) -> Path:
    unfinished, backup = _reserve(database)
    try:
        cursor.execute("VACUUM INTO ?", (str(unfinished),))
        # SQLite does not see to it that this file survives a loss of power.
        _flush(unfinished, os.O_RDWR)
        unfinished.rename(backup)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
    if os.name != "nt":  # Windows cannot open folders
        _flush(backup.parent, os.O_RDONLY)
    return backup


def _reserve(database: Path) -> tuple[Path, Path]:
    """Create an empty file to write to, and choose a name to give it that is not in use.

    Nobody else takes the same name at the same time, since all create the same file first.
    """
    permissions = database.stat().st_mode & 0o777  # it holds what the database holds
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for number in count(1):
        suffix = f".before-adoption-{moment}" + ("" if number == 1 else f"-{number}")
        backup = database.with_name(database.name + suffix)
        unfinished = backup.with_name(backup.name + UNFINISHED_SUFFIX)
        try:
            os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, permissions))
        except FileExistsError:
            continue
        if not backup.exists():
            return unfinished, backup
        unfinished.unlink()
    raise AssertionError("the numbers never end")


def _flush(path: Path, mode: int) -> None:
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
