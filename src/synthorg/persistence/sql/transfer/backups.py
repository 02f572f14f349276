"""A database backed up into one file, and restored from it, on any kind of database.

A backup is a SQLite file with all tables: a copy of the file itself, or of one state of a server.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from synthorg.persistence.config import PersistenceConfig, SQLiteConfig
from synthorg.persistence.errors import MigrationError, QueryError, UsageError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.dialects.sqlite_backup import (
    CopyProgress,
    check_file,
    copy_file,
    flush,
    flush_folder,
    put_in_place,
)
from synthorg.persistence.sql.execution.database import Database
from synthorg.persistence.sql.migrations import runner
from synthorg.persistence.sql.migrations.state import Condition
from synthorg.persistence.sql.owned_tables import LIBRARY, OwnedTables
from synthorg.persistence.sql.transfer.comparing import Progress, in_order
from synthorg.persistence.sql.transfer.copying import copy, origin_of
from synthorg.persistence.sql.transfer.faults import explained
from synthorg.persistence.sql.transfer.mark import set_mark
from synthorg.persistence.sql.transfer.preparing import refuse_memory
from synthorg.persistence.sql.transfer.reader import TableReader
from synthorg.persistence.sql.transfer.snapshot import snapshot_of

BASE: Final = "base"
PAGES: Final = "pages"

RESTORABLE: Final = (
    Condition.CURRENT,
    Condition.BEHIND,
    Condition.AHEAD,
    Condition.INTERRUPTED,
    Condition.PREDECESSOR,
)
"""What a file may be that takes the place of another one, as it is."""


@dataclass(frozen=True)
class BackupReport:
    """What was backed up, or restored.

    Attributes:
        database: The database, in words.
        file: The backup.
        bytes: Its size.
    """

    database: str
    file: str
    bytes: int


async def back_up(
    source: Dialect,
    file: Path,
    every: Sequence[OwnedTables],
    *,
    overwrite: bool,
    progress: Progress | None,
) -> BackupReport:
    """Write one state of a database into a file, checked before it gets its name.

    Args:
        source: The database.
        file: The backup.
        every: The tables of each owner.
        overwrite: Whether a file of this name is replaced.
        progress: Who is told how far it is.
    """
    refuse_memory(source, "back up")
    source.refuse_absence()
    if not overwrite:
        _refuse_taken(file)
    with _unfinished(file) as path:
        if source.file is not None:
            await copy_file(source.file, path, _of_pages(progress, "back up"))
        else:
            await copy(source, _file(path, source), every, progress=progress)
            flush(path)
        size = path.stat().st_size
        if overwrite:
            path.replace(file)
        else:
            _name(path, file)
        flush_folder(file)
    return BackupReport(source.description, str(file), size)


async def restore(
    file: Path,
    target: Dialect,
    every: Sequence[OwnedTables],
    *,
    overwrite: bool,
    progress: Progress | None,
) -> BackupReport:
    """Make a database what a backup holds.

    Args:
        file: The backup.
        target: The database, which is empty or not there.
        every: The tables of each owner.
        overwrite: Whether a database that has records is replaced.
        progress: Who is told how far it is.
    """
    size = _size_of_backup(file)
    refuse_memory(target, "restore")
    if target.file is None:
        backup = _file(file, target)
        if overwrite:
            await _refuse_unless_it_can_be_copied(file, backup, every)
            await _remove_tables(target, every, origin_of(backup, [each.owner for each in every]))
        await copy(backup, target, every, progress=progress)
    else:
        if target.file.exists() and target.file.stat().st_size and not overwrite:
            raise MigrationError(
                f"cannot restore into {target.description}: there is a database; say that it is to "
                "be overwritten, or choose another name"
            )
        with _unfinished(target.file) as path:
            await copy_file(file, path, _of_pages(progress, "restore"))
            await _refuse_foreign(file, _file(path, target))
            put_in_place(path, target.file)
    return BackupReport(target.description, str(file), size)


async def _refuse_unless_it_can_be_copied(
    file: Path, backup: Dialect, every: Sequence[OwnedTables]
) -> None:
    """Refuse what a copy would stop at, before anything is removed for it."""
    await check_file(file)
    async with snapshot_of(backup) as snapshot:
        for owned in every:
            await snapshot.refuse_other_schema(owned)
        for table in in_order(every):
            async for _ in TableReader(snapshot, table, checks=True).chunks():
                pass


async def _refuse_foreign(file: Path, copied: Dialect) -> None:
    """Refuse a file that is no database of this library, of whichever revision."""
    async with snapshot_of(copied) as snapshot:
        state = await snapshot.state_of(LIBRARY)
    if state.condition not in RESTORABLE:
        raise MigrationError(
            f"{file} is no backup of a database of this library ({state.condition.value}); nothing "
            "was changed"
        )


def _refuse_taken(file: Path) -> None:
    if file.exists():
        raise UsageError(f"{file} is there already; choose another name, or overwrite it")


def _size_of_backup(file: Path) -> int:
    if not file.is_file():
        raise UsageError(f"there is no backup {file}")
    return file.stat().st_size


def _file(path: Path, like: Dialect) -> Dialect:
    """Make the dialect for a file whose tables have the names of those of another database."""
    section = SQLiteConfig(path=str(path), table_prefix=like.table_prefix)
    return create_dialect(PersistenceConfig(sqlite=section))


@contextmanager
def _unfinished(file: Path) -> Iterator[Path]:
    """Give a file beside another one, which is removed unless it was renamed."""
    try:
        descriptor, name = tempfile.mkstemp(
            prefix=f".{file.name}.", suffix=".unfinished", dir=file.parent
        )
    except OSError as error:
        raise QueryError(f"cannot write to the folder {file.parent}: {error.strerror}") from None
    os.close(descriptor)
    path = Path(name)
    try:
        yield path
    finally:
        for end in ("", "-wal", "-shm", "-journal"):  # the last of a disk that was full
            path.with_name(path.name + end).unlink(missing_ok=True)


def _name(path: Path, file: Path) -> None:
    """Give a file its name, unless somebody has taken it meanwhile."""
    try:
        os.link(path, file)
    except FileExistsError:
        raise UsageError(f"{file} is there already; choose another name") from None
    except OSError:  # as on file systems without links
        path.rename(file)


def _of_pages(progress: Progress | None, what: str) -> CopyProgress | None:
    if progress is None:
        return None
    return lambda done, total: progress(what, PAGES, done, total)


async def _remove_tables(target: Dialect, every: Sequence[OwnedTables], origin: str) -> None:
    """Drop all tables, of a database that says from here on that it is unfinished."""
    database = Database(target, runner.find_schema_problem)
    await database.open()
    try:
        async with database.migration_connection() as connection:
            with explained(target, f"mark {target.description}"):
                await connection.run_sync(set_mark, origin)
                await connection.commit()
        for owned in reversed(every):
            async with database.migration_connection() as connection:
                state = await connection.run_sync(runner.find_schema_state, target, owned)
            if state.condition is Condition.INTERRUPTED and state.admits(upgrade=True):
                await runner.upgrade(database, owned=owned)  # no other step is allowed before
            if state.condition is not Condition.EMPTY:
                await runner.downgrade(database, BASE, owned=owned)
    finally:
        await database.close()
