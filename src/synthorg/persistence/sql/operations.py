"""Operations that revisions share, beside Alembic's own."""

from typing import Final

from alembic import context, op

from synthorg.persistence.sql.dialects.base import Dialect

DIALECT: Final = "dialect"
"""The attribute of Alembic's configuration that holds the dialect; `env.py` sees to it."""


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


def _dialect() -> Dialect:
    dialect = context.config.attributes[DIALECT]
    assert isinstance(dialect, Dialect)
    return dialect
