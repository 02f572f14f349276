"""Operations for revisions, which have to go on from wherever an earlier run was stopped.

Where DDL cannot be rolled back, a stopped upgrade leaves what it had done, so these look first.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final, Literal

from alembic import context, op
from sqlalchemy import inspect
from sqlalchemy.schema import SchemaItem

from synthorg.persistence.sql.dialects.base import Dialect

DIALECT: Final = "dialect"
"""The attribute of Alembic's configuration that holds the dialect; `env.py` sees to it."""


def create_table(name: str, *items: SchemaItem, **options: Any) -> None:
    """Create a table unless it is there, so that a revision can be run again.

    Args:
        name: The table.
        items: Its columns and constraints; an index is created on its own.
        options: The options of its storage.
    """
    if name not in _existing("table", name):
        op.create_table(name, *items, **options)


def create_index(name: str, table: str, columns: Sequence[str]) -> None:
    """Create an index unless it is there, so that a revision can be run again.

    Args:
        name: The index.
        table: Its table.
        columns: Its columns, in their order.
    """
    if name not in _existing("index", table):
        op.create_index(name, table, columns)


def drop_table(name: str) -> None:
    """Drop a table unless it is gone, so that a downgrade can be run again.

    Args:
        name: The table.
    """
    op.drop_table(name, if_exists=True)


def make_append_only(table: str) -> None:
    """Make the database itself refuse UPDATE and DELETE on a table.

    Args:
        table: The table, with `id` as its primary key.
    """
    for statement in _dialect().append_only_triggers(table):
        op.execute(statement)


def lift_append_only(table: str) -> None:
    """Take the protection of `make_append_only` away.

    Args:
        table: The table.
    """
    for statement in _dialect().drop_append_only_triggers(table):
        op.execute(statement)


def _existing(kind: Literal["table", "index"], table: str) -> Collection[str]:
    if context.is_offline_mode():
        return ()  # a script is written for an empty database
    inspector = inspect(op.get_bind())
    if kind == "table":
        return inspector.get_table_names()
    return [str(index["name"]) for index in inspector.get_indexes(table)]


def _dialect() -> Dialect:
    dialect = context.config.attributes[DIALECT]
    assert isinstance(dialect, Dialect)
    return dialect
