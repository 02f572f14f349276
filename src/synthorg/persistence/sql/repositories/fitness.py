"""Whether the table, the record and the list of a repository fit, found out when it is declared."""

from collections.abc import Collection, Iterable

from sqlalchemy import Index, Table, UniqueConstraint

from synthorg.persistence.errors import UsageError
from synthorg.persistence.sql.dialects.base import insertable
from synthorg.persistence.sql.tables import RECORD_KEY, record_key


def refuse_misfit(repository: str, table: Table, record: str, fields: Collection[str]) -> None:
    """Refuse a table that could not keep the records.

    Args:
        repository: The name of the repository's class.
        table: The table.
        record: The name of the record's class.
        fields: The record's fields.

    Raises:
        UsageError: If they do not fit, with what to do.
    """
    beginning = f"{repository} cannot keep {record} in the table {table.name}"
    if not table.primary_key.columns:
        raise UsageError(f"{beginning}: it has no primary key; declare one")
    if missing := [name for name in fields if name not in table.columns]:
        raise UsageError(f"{beginning}: it has no column {', '.join(missing)}; add it")
    unfilled = [
        name
        for name in insertable(table)
        if name not in fields
        and not table.columns[name].nullable
        and table.columns[name].server_default is None
    ]
    if unfilled:
        raise UsageError(
            f"{beginning}: its column {', '.join(unfilled)} needs a value, and {record} has no "
            "such field; add the field, or let the column be NULL"
        )


def refuse_unnumbered(repository: str, table: Table) -> None:
    """Refuse a table whose rows are not numbered in the order of saving.

    Args:
        repository: The name of the repository's class.
        table: The table.

    Raises:
        UsageError: If they are not.
    """
    if RECORD_KEY not in table.info:
        raise UsageError(
            f"{repository} follows its records in the order of saving, and the rows of the table "
            f"{table.name} are not numbered; declare it as numbered, or use another base"
        )


def refuse_key_of_several(repository: str, table: Table) -> None:
    """Refuse a table whose primary key has more than one column.

    Args:
        repository: The name of the repository's class.
        table: The table.

    Raises:
        UsageError: If it has.
    """
    if len(record_key(table)) != 1:
        names = ", ".join(column.name for column in record_key(table))
        raise UsageError(
            f"{repository} reads its records by a key of one column, and the table {table.name} "
            f"has {names}; give it a key of one column, or use another base"
        )


def refuse_partial_order(repository: str, table: Table, order_by: Iterable[str]) -> None:
    """Refuse an order in which two rows may come in either order, so that pages could lose one.

    Args:
        repository: The name of the repository's class.
        table: The table.
        order_by: The columns that order its list, and those that have one value in all of it.

    Raises:
        UsageError: If the order is not total.
    """
    ordered = set(order_by)
    unique: list[UniqueConstraint | Index] = [each for each in table.indexes if each.unique]
    unique += [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    keys = [
        {column.name for column in each.columns}
        for each in (table.primary_key, *unique)
        if not any(column.nullable for column in each.columns)
    ]
    if not any(key <= ordered for key in keys):
        names = ", ".join(column.name for column in table.primary_key)
        raise UsageError(
            f"the list of {repository} is ordered by {', '.join(order_by)}, in which two rows of "
            f"{table.name} may be equal; end its order_by with {names}"
        )
