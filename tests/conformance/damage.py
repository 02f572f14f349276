"""Rows that somebody has made nonsense of, or that a newer release has written."""

import traceback
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import insert, literal, select

from synthorg.persistence import PersistenceBackend, QueryError
from synthorg.persistence.sql.dialects.base import insertable
from synthorg.persistence.sql.types import JsonDocument, ShortText
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import EXECUTIONS, KINDS, USERS
from tests.tables import table_of

NONSENSE: Final = "hand-written-nonsense"
DOCUMENTS: Final = (
    f'{{"{NONSENSE}',
    f'"{NONSENSE}"',
    f'{{"{NONSENSE}": 1}}',
    f'[["{NONSENSE}"], 1]',
    "17",
    "null",
    "NaN",
    "[" * 1000 + "]" * 1000,
)
LENGTH_OF_CHOICES: Final = 32


INTACT: Final = {EXECUTIONS: EXECUTIONS.make(status="running", completed_at=None, error=None)}
"""Records to make nonsense of, where a rule of the database protects the example."""


def damages() -> Iterator[tuple[Kind, str, tuple[str, ...]]]:
    """Find columns that hold more than any text, and texts that they must not hold."""
    for kind in KINDS:
        for column in table_of(kind).columns:
            if isinstance(column.type, ShortText) and column.type.length <= LENGTH_OF_CHOICES:
                yield kind, column.name, (NONSENSE,)
            if isinstance(column.type, JsonDocument):
                yield kind, column.name, DOCUMENTS
            if column.name == "context_json":
                yield kind, column.name, (NONSENSE, "{", "NaN")


def check_discretion(report: QueryError) -> None:
    """Check that an error tells nothing of what is stored, and neither do those behind it."""
    told = "".join(traceback.format_exception(report))
    assert NONSENSE not in told
    assert USERS.example.password_hash not in told


async def store_damaged(
    backend: PersistenceBackend, kind: Kind, record: Any, **damage: str
) -> None:
    """Copy the one row there is to the key of a record, with some of its columns replaced."""
    changes = {name: getattr(record, name) for name in (*kind.key, *kind.unique)} | damage
    columns = list(insertable(table_of(kind)))
    copy = select(
        *(
            literal(str(changes[name])) if name in changes else table_of(kind).columns[name]
            for name in columns
        )
    ).limit(1)
    async with backend.get_db().begin() as connection:
        await connection.execute(insert(table_of(kind)).from_select(columns, copy))
