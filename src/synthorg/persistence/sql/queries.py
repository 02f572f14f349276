"""Lists: rows in a total order, narrowed by filters that a call may leave out."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Table, bindparam, select

from synthorg.persistence.errors import QueryError
from synthorg.persistence.sql.statements import (
    Parameters,
    Statement,
    bind,
    equal,
    field_names,
    from_expression,
    pick,
)

LIMIT: Final = "limit"
SINCE: Final = "since"
UNTIL: Final = "until"


class ListQuery:
    """The statements of one list: one for each set of filters, built when first asked for.

    Args:
        table: The table.
        record: The kind of record, which names the columns to read.
        order_by: The columns that order the list; the last makes the order total.
        descending: Whether the order is from last to first, in all of them.
        filters: The columns that a call may compare with a value.
        required: The columns that every call compares with a value.
        time: The column that `since` and `until` limit, both inclusive.
        where: Conditions that always hold; a call gives a value for each parameter in them.
    """

    def __init__(
        self,
        table: Table,
        record: type[Any],
        *,
        order_by: Sequence[str],
        descending: bool = False,
        filters: Sequence[str] = (),
        required: Sequence[str] = (),
        time: str | None = None,
        where: Sequence[ColumnElement[bool]] = (),
    ) -> None:
        self._table = table
        self._where = (*where, *(equal(table, name) for name in required))
        self._conditions = {name: equal(table, name) for name in filters}
        if time is not None:
            moment = table.columns[time]
            self._conditions[SINCE] = moment >= bind(table, time, SINCE)
            self._conditions[UNTIL] = moment <= bind(table, time, UNTIL)
        order = pick(table, order_by)
        self._everything = select(*pick(table, field_names(record))).order_by(
            *[column.desc() for column in order] if descending else order
        )
        self._statements: dict[frozenset[str], Statement] = {}

    def narrowed(self, given: Parameters) -> tuple[Statement, Parameters]:
        """Find the statement for the filters that are not None.

        Args:
            given: A value or None for each filter, and for `limit`.

        Returns:
            The statement and its parameters.

        Raises:
            QueryError: If the limit is not positive, or the range ends before it begins.
        """
        present = {name: value for name, value in given.items() if value is not None}
        self._refuse_impossible(present)
        names = frozenset(present)
        statement = self._statements.get(names)
        if statement is None:
            statement = self._statements[names] = self._build(names)
        return statement, present

    def _build(self, names: frozenset[str]) -> Statement:
        asked_for = [condition for name, condition in self._conditions.items() if name in names]
        expression = self._everything.where(*self._where, *asked_for)
        if LIMIT in names:
            expression = expression.limit(bindparam(LIMIT, type_=BigInteger(), required=True))
        return from_expression("list", self._table, expression)

    def _refuse_impossible(self, present: Parameters) -> None:
        limit, since, until = (present.get(name) for name in (LIMIT, SINCE, UNTIL))
        if isinstance(limit, int) and limit < 1:
            raise QueryError(f"cannot list {self._table.name}: limit must be at least 1")
        if since is None or until is None:
            return
        try:
            empty = until < since  # type: ignore[operator]  # compared before it is checked
        except TypeError:
            return  # one has no time zone or is no time at all, and is refused for that
        if empty:
            raise QueryError(f"cannot list {self._table.name}: until must not be before since")
