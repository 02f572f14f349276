"""The mark of a copy that was begun and has not ended, in the database that is written.

It tells the beginning of this copy, which is gone on with, from records of somebody else, which are
never touched. It is a table of its own, made before the first record comes and dropped when all of
them have been compared.
"""

from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    delete,
    insert,
    inspect,
    select,
)

from synthorg.persistence.sql.tables import TABLE_OPTIONS
from synthorg.persistence.sql.types import LongText

MARK: Final = Table(
    "synthorg_persistence_copy",
    MetaData(),
    Column("id", Integer(), primary_key=True, autoincrement=False),
    Column("origin", LongText(), nullable=False),
    **TABLE_OPTIONS,
)
"""With one row: what is copied."""


def read_mark(connection: Connection) -> str | None:
    """Read what the database holds the beginning of, or None.

    Args:
        connection: A connection to it.
    """
    if not inspect(connection).has_table(MARK.name):
        return None
    origin: Any = connection.scalar(select(MARK.c.origin))
    return None if origin is None else str(origin)


def set_mark(connection: Connection, origin: str) -> None:
    """Mark the database before the first record comes, or before what was there goes.

    Args:
        connection: A connection to it.
        origin: What is copied.
    """
    MARK.create(connection, checkfirst=True)
    connection.execute(delete(MARK))  # of a copy that is given up, as by a restore over it
    connection.execute(insert(MARK), {"id": 1, "origin": origin})


def find_unfinished(connection: Connection) -> str | None:
    """Say of a database that holds but the beginning of a copy what to do, or None of another.

    Args:
        connection: A connection to it, whose transaction is ended.
    """
    origin = read_mark(connection)
    connection.rollback()
    if origin is None:
        return None
    return (
        f"the database holds only the beginning of a copy of {origin}, which has not ended; run "
        "the same copy, or the same restore, to its end"
    )


def remove_mark(connection: Connection) -> None:
    """Take the mark away when all is there.

    Args:
        connection: A connection to the database.
    """
    MARK.drop(connection, checkfirst=True)
