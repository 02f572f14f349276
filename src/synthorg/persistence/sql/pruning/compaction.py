"""The space of removed rows given back to the file system, or to be used again."""

from collections.abc import Sequence

from sqlalchemy import Table

from synthorg.persistence.errors import UsageError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.transfer.faults import explained


async def compact(dialect: Dialect, tables: Sequence[Table]) -> None:
    """Give the space of removed rows back.

    Args:
        dialect: The kind of database.
        tables: Whose rows were removed.

    Raises:
        QueryError: If there is no room for it, or the database is in use.
        UsageError: If the database is in memory, which has no space to give back.
    """
    if dialect.place is None:
        raise UsageError(f"cannot compact {dialect.description}: it ends with its connection")
    # An engine of its own, for what is set in its sessions is for this alone.
    engine = dialect.create_engine()
    try:
        with explained(dialect, f"compact {dialect.description}"):
            async with engine.connect() as connection:
                await dialect.give_space_back(connection, tables)
    finally:
        await engine.dispose()
