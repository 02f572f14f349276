"""Primary keys, by which rows are found, told apart and named."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, tuple_

from synthorg.persistence.errors import UnreadableRecordError, UsageError
from synthorg.persistence.sql.tables import record_key

Key = tuple[Any, ...]
"""The values of a primary key."""


def key_columns(table: Table) -> list[ColumnElement[Any]]:
    """Give the columns of the primary key, by which rows are told apart.

    Args:
        table: The table.

    Raises:
        UsageError: If it has none.
    """
    if not table.primary_key.columns:
        raise UsageError(f"cannot copy {table.name}: it has no primary key to tell its rows apart")
    return [*record_key(table)]


def has_key(table: Table, keys: Sequence[Key]) -> ColumnElement[bool]:
    """Build the condition for the rows with some keys.

    Args:
        table: The table.
        keys: The keys.
    """
    columns = key_columns(table)
    if len(columns) == 1:
        return columns[0].in_([key[0] for key in keys])
    return tuple_(*columns).in_(keys)


def unreadable(table: Table, key: Mapping[str, Any], reason: str) -> UnreadableRecordError:
    """Make the error for a record that cannot be read.

    Args:
        table: Its table.
        key: The values of its key by column, as far as they are known.
        reason: What is wrong with it.
    """
    where = ", ".join(f"{name}={value!r}" for name, value in key.items())
    return UnreadableRecordError(
        f"cannot read {table.name}{where and f' ({where})'}: {reason}",
        table=table.name,
        key=key,
        reason=reason,
    )


def name_record(table: Table, key: Key) -> str:
    """Name a record for a message, by table and key.

    Args:
        table: Its table.
        key: Its key.
    """
    named = zip(record_key(table), key, strict=True)
    return f"{table.name} ({', '.join(f'{column.name}={value!r}' for column, value in named)})"
