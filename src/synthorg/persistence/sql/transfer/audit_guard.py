"""Records of removals that come from elsewhere, kept from removing entries that are here."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import QueryError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.tables import audit_entries, audit_removals
from synthorg.persistence.sql.transfer.canonical import moved_columns

_NAMES: Final = [column.name for column in moved_columns(audit_removals)]


async def refuse_removals_of_others(
    connection: AsyncConnection, dialect: Dialect, rows: Sequence[Sequence[Any]]
) -> None:
    """Refuse records of removals where entries of their range are, which would be removed.

    Args:
        connection: The transaction that saves them.
        dialect: The kind of database.
        rows: The records, as they are moved.

    Raises:
        QueryError: If there is such an entry.
    """
    entry = audit_entries.c
    for row in rows:
        record = dict(zip(_NAMES, row, strict=True))
        in_range = and_(
            entry.timestamp >= record["first_timestamp"],
            entry.timestamp <= record["last_timestamp"],
            or_(entry.timestamp < record["last_timestamp"], entry.id <= record["last_id"]),
        )
        step = connection.execute(select(exists().where(in_range)))
        if (await dialect.step(connection, step)).scalar_one():
            raise QueryError(
                f"cannot import {audit_removals.name} (id={record['id']!r}) into "
                f"{dialect.description}: it has entries of the time that was removed, which the "
                "record would remove; leave the kind out, by --kinds of the export"
            )
