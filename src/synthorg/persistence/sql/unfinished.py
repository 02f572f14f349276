"""The mark of a migration that has begun and not ended, where DDL cannot be rolled back.

There a stopped migration leaves tables without a version, or a version without all of its tables.
The mark tells such work, which the library goes on with, from tables that somebody else has made,
which it never touches. It is a table of its own: Alembic takes every row of the version table for
a revision. Where DDL is transactional there is nothing to mark.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, Connection, MetaData, Table, delete, insert, select

from synthorg.persistence.sql.tables import TABLE_OPTIONS
from synthorg.persistence.sql.types import ShortText

UNFINISHED_TABLE: Final = "synthorg_persistence_unfinished"

_mark: Final = Table(
    UNFINISHED_TABLE,
    MetaData(),
    Column("direction", ShortText(32), nullable=False),
    Column("destination", ShortText(255), nullable=False),
    **TABLE_OPTIONS,
)


@dataclass(frozen=True)
class Unfinished:
    """A migration that was begun: whether it goes up, and the revisions that it ends with."""

    is_upgrade: bool
    destination: tuple[str, ...]

    @property
    def description(self) -> str:
        """The migration in words."""
        kind = "an upgrade" if self.is_upgrade else "a downgrade"
        return f"{kind} to {', '.join(self.destination) or 'base'}"


def read_mark(connection: Connection, tables: Collection[str]) -> Unfinished | None:
    """Read the mark of an unfinished migration, or None.

    Args:
        connection: A connection to the database in question.
        tables: The names of its tables.
    """
    if UNFINISHED_TABLE not in tables:
        return None
    row = connection.execute(select(_mark)).first()
    if row is None:  # stopped before it began
        return None
    return Unfinished(row.direction == "upgrade", tuple(filter(None, row.destination.split(","))))


@contextmanager
def marked(connection: Connection, work: Unfinished) -> Iterator[None]:
    """Mark the database while the work goes on; the mark stays when it does not end.

    Args:
        connection: The connection of the migration, with no transaction begun.
        work: What is done.
    """
    _mark.create(connection, checkfirst=True)
    direction = "upgrade" if work.is_upgrade else "downgrade"
    connection.execute(delete(_mark))  # in one transaction with the new one: never without a mark
    connection.execute(
        insert(_mark), {"direction": direction, "destination": ",".join(work.destination)}
    )
    connection.commit()
    yield
    remove_mark(connection)


def remove_mark(connection: Connection) -> None:
    """Remove the mark of a migration that has ended.

    Args:
        connection: The connection of the migration.
    """
    _mark.drop(connection, checkfirst=True)
    connection.commit()
