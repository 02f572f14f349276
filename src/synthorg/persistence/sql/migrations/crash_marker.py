"""The mark of a migration that has begun and not ended, where DDL cannot be rolled back.

There a stopped migration leaves tables without a version, or a version without all of its tables.
The mark tells such work, which the library goes on with, from tables that somebody else has made,
which it never touches. It is the comment of the version table: set and removed by one statement,
and no row there, since Alembic takes each for a revision.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect
from sqlalchemy.schema import DropTableComment, SetTableComment

from synthorg.persistence.sql.tables import TABLE_OPTIONS

UPGRADE: Final = "unfinished upgrade to"
DOWNGRADE: Final = "unfinished downgrade to"
BASE: Final = "base"


@dataclass(frozen=True)
class CrashMarker:
    """A migration that was begun: whether it goes up, and the revisions that it ends with."""

    is_upgrade: bool
    destination: tuple[str, ...]

    @property
    def mark(self) -> str:
        """The comment that is the mark."""
        return f"{UPGRADE if self.is_upgrade else DOWNGRADE} {' '.join(self.destination) or BASE}"


def read_mark(connection: Connection, version_table: str) -> CrashMarker | None:
    """Read the mark of an unfinished migration, or None.

    Args:
        connection: A connection to the database.
        version_table: The version table, which is there.
    """
    mark = inspect(connection).get_table_comment(version_table)["text"] or ""
    for beginning in (UPGRADE, DOWNGRADE):
        if mark.startswith(beginning):
            names = mark.removeprefix(beginning).split()
            return CrashMarker(beginning == UPGRADE, tuple(names) if names != [BASE] else ())
    return None


@contextmanager
def marked(connection: Connection, work: CrashMarker, version_table: str) -> Iterator[None]:
    """Mark the database while the work goes on; the mark stays when it does not end.

    Args:
        connection: The connection of the migration.
        work: What is done.
        version_table: The version table.
    """
    _table(version_table).create(connection, checkfirst=True)
    connection.execute(SetTableComment(_table(version_table, work.mark)))
    connection.commit()
    yield
    remove_mark(connection, version_table)


def remove_mark(connection: Connection, version_table: str) -> None:
    """Remove the mark of a migration that has ended.

    Args:
        connection: The connection of the migration.
        version_table: The version table.
    """
    connection.execute(DropTableComment(_table(version_table)))
    connection.commit()


def _table(name: str, comment: str | None = None) -> Table:
    version = Column("version_num", String(32), primary_key=True)
    return Table(name, MetaData(), version, comment=comment, **TABLE_OPTIONS)
