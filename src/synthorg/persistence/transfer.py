"""Moving the records of one database to another of any kind, and comparing two."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthorg.persistence.config import PersistenceConfig
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.owned_tables import LIBRARY, OwnedTables, refuse_clashes
from synthorg.persistence.sql.transfer import backups
from synthorg.persistence.sql.transfer.backups import BackupReport
from synthorg.persistence.sql.transfer.comparing import (
    Comparison,
    Progress,
    TableComparison,
    compare,
)
from synthorg.persistence.sql.transfer.copying import copy
from synthorg.persistence.sql.transfer.report import CopiedTable, CopyReport

if TYPE_CHECKING:
    from synthorg.persistence.extension import Extension

__all__ = [
    "BackupReport",
    "Comparison",
    "CopiedTable",
    "CopyReport",
    "Progress",
    "TableComparison",
    "back_up",
    "compare_databases",
    "copy_database",
    "restore",
]


async def copy_database(
    source: PersistenceConfig,
    target: PersistenceConfig,
    *,
    extensions: Sequence["Extension"] = (),
    skip_unreadable: bool = False,
    progress: Progress | None = None,
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
    return await copy(
        create_dialect(source),
        create_dialect(target),
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
) -> Comparison:
    """Compare the records of two databases, table by table, and change nothing.

    Args:
        first: The one.
        second: The other one.
        extensions: The application's own tables, which are compared as well.
        skip_unreadable: Whether to leave out records that do not fit their entity.
        progress: As for `copy_database`.

    Returns:
        The number of rows and the digest of each table on both sides.

    Raises:
        MigrationError: If one of them has other tables than those of this release.
        PersistenceConnectionError: If one of them cannot be reached.
        UnreadableRecordError: If a stored value is none of its column.
    """
    return await compare(
        create_dialect(first),
        create_dialect(second),
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

    Returns:
        What was backed up.

    Raises:
        MigrationError: If a server has other tables than those of this release.
        PersistenceConnectionError: If the database cannot be reached.
        QueryError: If it is damaged, or the file cannot be written.
        UsageError: If there is a file of this name, or the database is in memory.
    """
    return await backups.back_up(
        create_dialect(config),
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

    Returns:
        What was restored.

    Raises:
        MigrationError: If the database has records, or the backup is of another release and the
            database is on a server.
        PersistenceConnectionError: If the database cannot be reached.
        QueryError: If the backup is damaged, or somebody else has the database open.
        UsageError: If there is no such file, or the database is in memory.
    """
    return await backups.restore(
        Path(file),
        create_dialect(config),
        _owned(extensions),
        overwrite=overwrite,
        progress=progress,
    )


def _owned(extensions: Sequence["Extension"]) -> list[OwnedTables]:
    owned = [each.owned for each in extensions]
    refuse_clashes(owned)
    return [LIBRARY, *owned]
