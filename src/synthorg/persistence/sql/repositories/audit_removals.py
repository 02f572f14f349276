"""What was removed from the audit trail, and the statement that removes it by recording it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from uuid import uuid4

from pydantic import BaseModel, ConfigDict
from sqlalchemy import insert, select

from synthorg.persistence.sql import tables
from synthorg.persistence.sql.dialects.base import insert_values
from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.repositories.records import RowReader
from synthorg.persistence.sql.statements.statement import (
    SAVING,
    KeysStatement,
    Statement,
    from_expression,
    pick,
)

_entries: Final = tables.audit_entries
_removals: Final = tables.audit_removals


class AuditRemoval(BaseModel):
    """Some entries that were removed from the audit trail together.

    Attributes:
        id: The key of this record.
        removed_at: When.
        removed_by: By whom.
        first_timestamp: The time of the first of them.
        last_timestamp: The time of the last of them.
        last_id: The key of the last of them.
        entries: How many they were.
        digest: The SHA-256 of the lines in the archive, uncompressed.
        archive: The name of the file in the archive.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    removed_at: datetime
    removed_by: str
    first_timestamp: datetime
    last_timestamp: datetime
    last_id: str
    entries: int
    digest: str
    archive: str


_values: Final = insert_values(_removals)

# Not an insertion, of which a refusal would be told as a key that is taken.
RECORDING: Final = Statement(
    SAVING, _removals, lambda _: insert(_removals).values(_values).inline(), _values.values()
)

LISTING: Final = from_expression(
    "list",
    _removals,
    select(*pick(_removals, AuditRemoval.model_fields)).order_by(
        _removals.c.removed_at, _removals.c.id
    ),
)

_READER: Final = RowReader(_removals, AuditRemoval)


async def remove_entries(
    executor: Executor, keys: Sequence[str], *, removed_by: str, digest: str, archive: str
) -> None:
    """Remove entries that are next to each other, by recording that they are removed.

    Args:
        executor: A transaction.
        keys: Their keys.
        removed_by: Who removes them.
        digest: The digest of their lines in the archive.
        archive: The name of the file there.

    Raises:
        QueryError: If there are others between them.
    """
    places = sorted(tuple(row) for row in await executor.fetch(*_places().of(keys)))
    removal = AuditRemoval(
        id=str(uuid4()),
        removed_at=datetime.now(UTC),
        removed_by=removed_by,
        first_timestamp=places[0][0],
        last_timestamp=places[-1][0],
        last_id=places[-1][1],
        entries=len(places),
        digest=digest,
        archive=archive,
    )
    await executor.execute(RECORDING, removal.model_dump())


async def list_removals(executor: Executor) -> tuple[AuditRemoval, ...]:
    """List what was removed, the oldest removal first.

    Args:
        executor: What runs the statement.
    """
    names = [*AuditRemoval.model_fields]
    rows = await executor.fetch(LISTING, {})
    return tuple(_READER.read_named(names, row) for row in rows)


@lru_cache
def _places() -> KeysStatement:
    columns = (_entries.c.timestamp, _entries.c.id)
    return KeysStatement("list", _entries, lambda condition: select(*columns).where(condition))
