"""Moving records: to another database of any kind, into files of several formats, and back."""

from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthorg.persistence.config import PersistenceConfig
from synthorg.persistence.errors import UsageError
from synthorg.persistence.observing import Observer
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.drivers.observation import (
    Observing,
    observed_by,
    observed_stream,
)
from synthorg.persistence.sql.owned_tables import LIBRARY, OwnedTables, refuse_clashes
from synthorg.persistence.sql.transfer import backups, exporting, importing
from synthorg.persistence.sql.transfer.backups import BackupReport
from synthorg.persistence.sql.transfer.comparing import (
    Comparison,
    Progress,
    TableComparison,
    compare,
)
from synthorg.persistence.sql.transfer.copying import copy
from synthorg.persistence.sql.transfer.exporting import ExportReport
from synthorg.persistence.sql.transfer.importing import ImportedKind, ImportReport
from synthorg.persistence.sql.transfer.manifest import ExportedKind, FileFormat, Manifest
from synthorg.persistence.sql.transfer.report import CopiedTable, CopyReport
from synthorg.persistence.sql.transfer.windows import Window

if TYPE_CHECKING:
    from synthorg.persistence.extension import Extension

__all__ = [
    "BackupReport",
    "Comparison",
    "CopiedTable",
    "CopyReport",
    "ExportReport",
    "ExportedKind",
    "FileFormat",
    "ImportReport",
    "ImportedKind",
    "Manifest",
    "Progress",
    "TableComparison",
    "back_up",
    "compare_databases",
    "copy_database",
    "export_database",
    "export_records",
    "import_database",
    "import_records",
    "restore",
]


async def copy_database(
    source: PersistenceConfig,
    target: PersistenceConfig,
    *,
    extensions: Sequence["Extension"] = (),
    skip_unreadable: bool = False,
    progress: Progress | None = None,
    observers: Sequence[Observer] = (),
) -> CopyReport:
    """Copy all records of a database into an empty one, of the same kind or another.

    One state of the source is read, whatever others write to it meanwhile. The target is migrated
    if it has no tables. In the end every table is read again and compared. A copy that was
    interrupted, also by the end of its process, is gone on with by the same call.

    Args:
        source: The database to copy.
        target: The database to write.
        extensions: The application's own tables, which are copied as well.
        skip_unreadable: Whether to leave out, and count, records that do not fit their entity.
        progress: Who is told what is done with which table, and how many rows are done of how many.
        observers: Who is told that it begins and that it ends.

    Returns:
        What was copied.

    Raises:
        MigrationError: If the source has other tables than those of this release, or the target
            has others, or records that are not the beginning of this copy.
        PersistenceConnectionError: If one of them cannot be reached.
        QueryError: If the target refuses a record, or does not hold the same in the end.
        UnreadableRecordError: If a record does not fit its entity.
        UsageError: If both are the same database, or one is in memory.
    """
    dialect = create_dialect(target)
    with _observed(observers, dialect, "copy_database"):
        return await copy(
            create_dialect(source),
            dialect,
            _owned(extensions),
            skip_unreadable=skip_unreadable,
            progress=progress,
        )


async def compare_databases(
    first: PersistenceConfig,
    second: PersistenceConfig,
    *,
    extensions: Sequence["Extension"] = (),
    skip_unreadable: bool = False,
    progress: Progress | None = None,
    observers: Sequence[Observer] = (),
) -> Comparison:
    """Compare the records of two databases, table by table, and change nothing.

    Args:
        first: The one.
        second: The other one.
        extensions: The application's own tables, which are compared as well.
        skip_unreadable: Whether to leave out records that do not fit their entity.
        progress: As for `copy_database`.
        observers: Who is told that it begins and that it ends, with the second database.

    Returns:
        The number of rows and the digest of each table on both sides.

    Raises:
        MigrationError: If one of them has other tables than those of this release.
        PersistenceConnectionError: If one of them cannot be reached.
        UnreadableRecordError: If a stored value is none of its column.
    """
    dialect = create_dialect(second)
    with _observed(observers, dialect, "compare_databases"):
        return await compare(
            create_dialect(first),
            dialect,
            _owned(extensions),
            skip_unreadable=skip_unreadable,
            progress=progress,
        )


async def back_up(
    config: PersistenceConfig,
    file: str | Path,
    *,
    extensions: Sequence["Extension"] = (),
    overwrite: bool = False,
    progress: Progress | None = None,
    observers: Sequence[Observer] = (),
) -> BackupReport:
    """Write one state of a database into a file, whatever others write to it meanwhile.

    The backup is a SQLite file, also that of a server. It is checked before it gets its name, so
    that a file of this name is always a whole backup.

    Args:
        config: The database.
        file: The backup.
        extensions: The application's own tables, which are backed up as well.
        overwrite: Whether a file of this name is replaced.
        progress: Who is told how far it is: of a SQLite file in pages, else in rows.
        observers: Who is told that it begins and that it ends.

    Returns:
        What was backed up.

    Raises:
        MigrationError: If a server has other tables than those of this release.
        PersistenceConnectionError: If the database cannot be reached.
        QueryError: If it is damaged, or the file cannot be written.
        UsageError: If there is a file of this name, or the database is in memory.
    """
    dialect = create_dialect(config)
    with _observed(observers, dialect, "back_up"):
        return await backups.back_up(
            dialect,
            Path(file),
            _owned(extensions),
            overwrite=overwrite,
            progress=progress,
        )


async def restore(
    file: str | Path,
    config: PersistenceConfig,
    *,
    extensions: Sequence["Extension"] = (),
    overwrite: bool = False,
    progress: Progress | None = None,
    observers: Sequence[Observer] = (),
) -> BackupReport:
    """Make a database what a backup holds, on the kind that was backed up or on another one.

    A SQLite file is either what it was before or the whole backup. On a server, a call that was
    interrupted is gone on with by the same call without `overwrite`.

    Args:
        file: The backup.
        config: The database, which is empty, or not there.
        extensions: The application's own tables, which are restored as well.
        overwrite: Whether a database that has records is replaced, which has to be one that
            nobody else has open.
        progress: Who is told how far it is.
        observers: Who is told that it begins and that it ends.

    Returns:
        What was restored.

    Raises:
        MigrationError: If the database has records, or the backup is of another release and the
            database is on a server.
        PersistenceConnectionError: If the database cannot be reached.
        QueryError: If the backup is damaged, or somebody else has the database open.
        UsageError: If there is no such file, or the database is in memory.
    """
    dialect = create_dialect(config)
    with _observed(observers, dialect, "restore"):
        return await backups.restore(
            Path(file),
            dialect,
            _owned(extensions),
            overwrite=overwrite,
            progress=progress,
        )


async def export_database(  # noqa: PLR0913 (each is a choice of whoever exports)
    config: PersistenceConfig,
    folder: str | Path,
    *,
    extensions: Sequence["Extension"] = (),
    kinds: Collection[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    file_format: FileFormat = "jsonl",
    skip_unreadable: bool = False,
    progress: Progress | None = None,
    observers: Sequence[Observer] = (),
) -> ExportReport:
    """Write one state of a database into a folder, with a file for each kind and a manifest.

    The folder gets its name when it is whole and on the disk. Equal records make equal files.

    Args:
        config: The database.
        folder: The export, which is not there, or empty.
        extensions: The application's own tables, which are exported as well.
        kinds: The names of the tables to export; without them, all. All costs come with the
            roll-ups of those that were pruned.
        since: The earliest time, of kinds that have a time of their own.
        until: The latest one.
        file_format: The format of the files: compressed JSON Lines, or, with pyarrow, Parquet or
            compressed CSV.
        skip_unreadable: Whether to leave out, and count, records that do not fit their entity.
        progress: Who is told how far it is.
        observers: Who is told that it begins and that it ends.

    Returns:
        What was exported.

    Raises:
        MigrationError: If the database has other tables than those of this release.
        PersistenceConnectionError: If it cannot be reached.
        QueryError: If the folder cannot be written.
        UnreadableRecordError: If a record does not fit its entity.
        UsageError: If the folder has something in it, there is no such kind, the format needs what
            is not installed, or the database is in memory.
    """
    dialect = create_dialect(config)
    with _observed(observers, dialect, "export_database"):
        return await exporting.export(
            dialect,
            Path(folder),
            _owned(extensions),
            kinds=kinds,
            window=_window(since, until),
            file_format=file_format,
            skip_unreadable=skip_unreadable,
            progress=progress,
        )


async def import_database(
    folder: str | Path,
    config: PersistenceConfig,
    *,
    extensions: Sequence["Extension"] = (),
    replace: bool = False,
    skip_unreadable: bool = False,
    progress: Progress | None = None,
    observers: Sequence[Observer] = (),
) -> ImportReport:
    """Save the records of an export, beside those that are there.

    The manifest and the digests of all files are checked first, and all records compared with those
    of the database, before any is saved. What is there already, just like this, is passed over, so
    that a call that was interrupted is gone on with by the same call. A database without tables is
    migrated.

    Args:
        folder: The export.
        config: The database.
        extensions: The application's own tables, which are imported as well.
        replace: Whether records replace others with the same key, of kinds that change at all.
        skip_unreadable: Whether to leave out, and count, records that do not fit their entity.
        progress: Who is told how far it is.
        observers: Who is told that it begins and that it ends.

    Returns:
        What was imported.

    Raises:
        DuplicateRecordError: If another record with the same key is there, and stays.
        MigrationError: If the export or the database is of another revision than this release.
        PersistenceConnectionError: If the database cannot be reached.
        QueryError: If the export is damaged, the database refuses a record, or roll-ups count, or
            would count, costs twice.
        UnreadableRecordError: If a record does not fit its entity.
        UsageError: If the folder is no export, is of CSV, or the database is in memory.
    """
    dialect = create_dialect(config)
    with _observed(observers, dialect, "import_database"):
        return await importing.import_folder(
            Path(folder),
            dialect,
            _owned(extensions),
            replace=replace,
            skip_unreadable=skip_unreadable,
            progress=progress,
        )


def export_records(
    config: PersistenceConfig,
    kind: str,
    *,
    extensions: Sequence["Extension"] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    observers: Sequence[Observer] = (),
) -> AsyncIterator[Mapping[str, Any]]:
    """Read the records of one kind, in one state of the database, in the order of keys.

    Args:
        config: The database.
        kind: The name of their table.
        extensions: The application's own tables.
        since: The earliest time, of a kind that has a time of its own.
        until: The latest one.
        observers: Who is told that it begins, with the first record that is asked for, and that it
            ends.

    Returns:
        An iterator of the values of each record, by column: JSON as what it stands for.

    Raises:
        MigrationError: If the database has other tables than those of this release.
        PersistenceConnectionError: If it cannot be reached.
        UnreadableRecordError: If a record does not fit its entity.
        UsageError: If there is no such kind, or the database is in memory.
    """
    dialect, window = create_dialect(config), _window(since, until)
    records = exporting.export_records(dialect, _owned(extensions), kind, window)
    if not observers:
        return records
    observing = Observing(observers, dialect.observed)
    begin = partial(observing.begin, "maintenance", "export_records")
    return observed_stream(records, observing, begin)


async def import_records(
    config: PersistenceConfig,
    kind: str,
    records: AsyncIterable[Mapping[str, Any]],
    *,
    extensions: Sequence["Extension"] = (),
    replace: bool = False,
    observers: Sequence[Observer] = (),
) -> ImportedKind:
    """Save records of one kind as they come, some hundred in each transaction.

    Args:
        config: The database, which is migrated if it has no tables.
        kind: The name of their table.
        records: The values of each by column, as `export_records` gives them; times may be text.
        extensions: The application's own tables.
        replace: Whether they replace others with the same key, if the kind changes at all.
        observers: Who is told that it begins and that it ends.

    Returns:
        What was imported. What is there already, just like this, is passed over.

    Raises:
        DuplicateRecordError: If another record with the same key is there, and stays.
        MigrationError: If the database has other tables than those of this release.
        PersistenceConnectionError: If the database cannot be reached.
        QueryError: If the database refuses a record, or roll-ups may count a cost already.
        UnreadableRecordError: If a record does not fit its entity.
        UsageError: If there is no such kind, or the database is in memory.
    """
    dialect = create_dialect(config)
    with _observed(observers, dialect, "import_records"):
        return await importing.import_records(
            dialect, _owned(extensions), kind, records, replace=replace
        )


def _observed(
    observers: Sequence[Observer], dialect: Dialect, operation: str
) -> AbstractContextManager[object]:
    return observed_by(observers, dialect.observed, "maintenance", operation)


def _window(since: datetime | None, until: datetime | None) -> Window:
    since, until = _in_utc("since", since), _in_utc("until", until)
    if since is not None and until is not None and since > until:
        raise UsageError("since must not be after until")
    return Window(since, until)


def _in_utc(name: str, moment: datetime | None) -> datetime | None:
    """Give a moment that can be compared with others, whose clocks may have been set back."""
    if moment is None:
        return None
    if moment.utcoffset() is None:
        raise UsageError(f"{name} must have a time zone")
    return moment.astimezone(UTC)


def _owned(extensions: Sequence["Extension"]) -> list[OwnedTables]:
    owned = [each.owned for each in extensions]
    refuse_clashes(owned)
    return [LIBRARY, *owned]
