"""Lists: rows in a total order, narrowed by filters that a call may leave out."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, get_type_hints

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Executable,
    Select,
    Table,
    bindparam,
    case,
    literal_column,
    select,
)

from synthorg.entities.base import LARGEST_INTEGER, reason_time_is_unstorable
from synthorg.persistence.errors import InvalidArgumentError, UnreadableRecordError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.statements.cursors import Position, read_cursor, write_cursor
from synthorg.persistence.sql.statements.statement import (
    Parameters,
    Statement,
    bind,
    equal,
    field_names,
    field_type,
    long_columns,
    pick,
    required_parameters,
)

LARGE: Final = 8 * 2**10
"""From how many bytes on a value is left out of a stream's lists, and read on its own."""

LIMIT: Final = "limit"
SINCE: Final = "since"
UNTIL: Final = "until"
AFTER: Final = "after_"
"""The prefix of the parameters that say after which position to go on."""


class Conditions:
    """The filters of one table that a call may leave out, as conditions.

    Args:
        table: The table.
        conditions: The condition of each filter, by its name.
    """

    def __init__(self, table: Table, conditions: Mapping[str, ColumnElement[bool]]) -> None:
        self._table = table
        self._conditions = conditions
        self._statements: dict[object, Statement] = {}

    @property
    def names(self) -> Collection[str]:
        """The filters."""
        return self._conditions.keys()

    def compared(self, names: Collection[str]) -> list[ColumnElement[bool]]:
        """Pick the conditions of these filters.

        Args:
            names: Names of filters, and others that are passed over.
        """
        return [condition for name, condition in self._conditions.items() if name in names]

    def refuse_unknown(self, given: Collection[str], action: str) -> None:
        """Refuse what is no filter, as a misspelt one would have too many rows match.

        Args:
            given: What a caller gave.
            action: What is done with the rows, as a verb for error messages.

        Raises:
            TypeError: If one is unknown.
        """
        unknown = [name for name in given if name not in self._conditions]
        if unknown:
            raise TypeError(f"cannot {action} {self._table.name} by {', '.join(sorted(unknown))}")

    def present(self, given: Parameters, action: str) -> dict[str, Any]:
        """Drop the filters that are None.

        Args:
            given: A value or None for each filter, among others.
            action: What is done with the rows, as a verb for error messages.

        Raises:
            InvalidArgumentError: If the range ends before it begins.
        """
        present = {name: value for name, value in given.items() if value is not None}
        if _ends_before_it_begins(present.get(SINCE), present.get(UNTIL)):
            raise InvalidArgumentError(
                f"cannot {action} {self._table.name}: until must not be before since"
            )
        return present

    def applied(
        self,
        action: str,
        given: Parameters,
        build: Callable[[Dialect], Select[Any]],
        *,
        variant: object = None,
    ) -> tuple[Statement, Parameters]:
        """Find the statement that applies the filters that are not None to an expression.

        Args:
            action: What the statement does, as a verb for error messages.
            given: A value or None for each filter.
            build: Makes the expression, for a dialect.
            variant: What tells the expression from others with the same filters.

        Returns:
            The statement and its parameters.

        Raises:
            TypeError: If a filter is unknown.
            InvalidArgumentError: If the range ends before it begins.
        """
        self.refuse_unknown(given, action)
        present = self.present(given, action)
        key = (frozenset(present), variant)
        if key not in self._statements:
            conditions = self.compared(present)
            self._statements[key] = Statement(
                action,
                self._table,
                lambda dialect: build(dialect).where(*conditions),
                [each for condition in conditions for each in required_parameters(condition)],
            )
        return self._statements[key], present


class ListQuery:
    """The statements of one list: one for each set of filters, built when first asked for.

    Each reads the fields of the record, then those columns of the order that are not among them.

    Args:
        table: The table.
        record: The kind of record, which names the columns to read.
        order_by: The columns that order the list; the last makes the order total.
        descending: Whether the order is from last to first, in all of them.
        filters: The set of filters that a call may give, as a TypedDict; or only their names, if
            they are fields of the record, with `since` and `until` where a time is named; or the
            type of each by its name.
        columns: The column that a filter is compared with, where its name is another.
        required: The columns that every call compares with a value.
        by_place: The filters that a call may give without their names.
        conditions: The condition of a filter that compares in another way.
        time: The column that `since` and `until` limit, both inclusive.
        where: Conditions that always hold; a call gives a value for each parameter in them.
    """

    def __init__(  # noqa: PLR0913 (each is a part of a list)
        self,
        table: Table,
        record: type[Any],
        *,
        order_by: Sequence[str],
        descending: bool = False,
        filters: type[Any] | Sequence[str] | Mapping[str, Any] = (),
        columns: Mapping[str, str] | None = None,
        required: Sequence[str] = (),
        by_place: Sequence[str] = (),
        conditions: Mapping[str, ColumnElement[bool]] | None = None,
        time: str | None = None,
        where: Sequence[ColumnElement[bool]] = (),
    ) -> None:
        self.time = time
        self._table = table
        self._record = record
        self._order_by = tuple(order_by)
        self._descending = descending
        fields = field_names(record)
        self._columns = (*fields, *(name for name in order_by if name not in fields))
        renamed = columns or {}
        self._kinds = _kinds(filters, record, time)
        self._renamed = renamed
        self._required_fields = tuple(required)
        self._by_place = tuple(by_place)
        given = conditions or {}
        self._where = tuple(where)
        self.filters = Conditions(
            table,
            {
                name: given[name]
                if name in given
                else _condition(table, renamed.get(name, name), name, kind, time)
                for name, kind in self._kinds.items()
            },
        )
        always = (*where, *(equal(table, name, kind=field_type(record, name)) for name in required))
        order = pick(table, order_by)
        self._everything = (
            select(*pick(table, self._columns))
            .where(*always)
            .order_by(*[column.desc() for column in order] if descending else order)
        )
        self._required = tuple(parameter.key for parameter in required_parameters(self._everything))
        self._statements: dict[frozenset[str], Statement] = {}
        self._lean: dict[frozenset[str], Statement] = {}
        self._long_columns = long_columns(table, self._columns)

    def narrowed(self, given: Parameters, *, extra_rows: int = 0) -> tuple[Statement, Parameters]:
        """Find the statement for the filters that are not None.

        Args:
            given: A value or None for each filter, for `limit`, and for the position to go on
                after.
            extra_rows: How many rows more than the limit to read.

        Returns:
            The statement and its parameters.

        Raises:
            InvalidArgumentError: If the limit is not positive, or the range ends before it begins.
        """
        present = self.filters.present(given, "list")
        limit = present.get(LIMIT)
        if limit is not None:
            self.check_limit(limit)
        names = frozenset(present)
        statement = self._statements.get(names)
        if statement is None:
            statement = self._statements[names] = self._build(names)
        if limit is not None and limit < LARGEST_INTEGER:
            present[LIMIT] = limit + extra_rows
        return statement, present

    def lean(self, given: Parameters) -> tuple[Statement, Parameters]:
        """Find the statement that reads the same rows, but for their large values.

        Its rows end with one more column: how many bytes the large values have that are missing
        in the row, which is 0 where it is whole.

        Args:
            given: As for `narrowed`.

        Returns:
            The statement and its parameters.
        """
        statement, present = self.narrowed(given)
        names = frozenset(present)
        lean = self._lean.get(names)
        if lean is None:
            build = statement.build
            lean = self._lean[names] = Statement(
                "list", self._table, lambda to: self._leave_out(build(to), to), statement.parameters
            )
        return lean, present

    def _leave_out(self, expression: Executable, dialect: Dialect) -> Select[Any]:
        assert isinstance(expression, Select)
        limit: ColumnElement[int] = literal_column(str(LARGE))
        nothing: ColumnElement[int] = literal_column("0")
        columns: list[ColumnElement[Any]] = []
        missing: ColumnElement[int] = nothing
        for column in pick(self._table, self._columns):
            if column.name not in self._long_columns:
                columns.append(column)
                continue
            size = dialect.bytes_of(column)
            columns.append(case((size < limit, column)).label(column.name))
            missing += case((size >= limit, size), else_=nothing)
        return expression.with_only_columns(*columns, missing.label("missing"))

    def tail(self, number: str, through: BindParameter[Any]) -> "ListQuery":
        """Make the list of the same rows in the order of a number, up to one of them.

        What each call has to give is a filter there, as the others are.

        Args:
            number: The column of the number.
            through: The parameter for the largest number.
        """
        required = {name: field_type(self._record, name) for name in self._required_fields}
        return ListQuery(
            self._table,
            self._record,
            order_by=(number,),
            filters={**required, **self._kinds},
            columns=self._renamed,
            time=self.time,
            where=[*self._where, self._table.columns[number] <= through],
        )

    @property
    def order(self) -> Sequence[str]:
        """The columns that order the list."""
        return self._order_by

    @property
    def is_descending(self) -> bool:
        """Whether the order is from last to first."""
        return self._descending

    @property
    def ordered_by(self) -> Sequence[str]:
        """The columns that order the list, and those that each call compares with one value."""
        return (*self._order_by, *self._required)

    def check_limit(self, limit: object) -> None:
        """Refuse what is not a number of rows to read.

        Args:
            limit: What was given.

        Raises:
            InvalidArgumentError: If it is no whole number, or below 1.
        """
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise InvalidArgumentError(
                f"cannot list {self._table.name}: limit must be a whole number and at least 1"
            )

    def name_required(self, values: Sequence[object]) -> Parameters:
        """Give the names to the filters that a caller gave by their place.

        Args:
            values: What was given.

        Raises:
            TypeError: If there are more than the list takes.
            InvalidArgumentError: If one is None, which would list everything.
        """
        names = (*self._required, *self._by_place)
        if len(values) > len(names):
            raise TypeError(f"cannot list {self._table.name} by more than {len(names)} values")
        for name, value in zip(names, values, strict=False):
            if value is None:
                raise InvalidArgumentError(
                    f"cannot list {self._table.name}: {name} must not be None"
                )
        return dict(zip(names, values, strict=False))

    def refuse_unknown(self, filters: Parameters) -> None:
        """Refuse what is no filter of this list, and a call without what the list requires.

        Args:
            filters: What a caller gave.

        Raises:
            TypeError: If a filter is unknown, or a required one is missing.
        """
        self.filters.refuse_unknown(filters.keys() - {*self._required}, "list")
        missing = [name for name in self._required if name not in filters]
        if missing:
            raise TypeError(f"cannot list {self._table.name} without {', '.join(missing)}")

    def position(self, row: Sequence[object]) -> Position:
        """Tell where in the order a row stands.

        Args:
            row: A row that a statement of this list returned.

        Raises:
            UnreadableRecordError: If that cannot be read, so that the list cannot go on after it.
        """
        position = tuple(row[self._columns.index(name)] for name in self._order_by)
        if not all(isinstance(value, str | int | datetime) for value in position):
            reason = f"nothing in {' or '.join(self._order_by)} after which the list could go on"
            raise UnreadableRecordError(
                f"cannot list {self._table.name}: a row has {reason}; mend it",
                table=self._table.name,
                reason=reason,
            )
        return position

    def after(self, position: Position) -> Parameters:
        """Give the parameters that make a list go on after a position.

        Args:
            position: The position.
        """
        return {AFTER + name: value for name, value in zip(self._order_by, position, strict=True)}

    def write_cursor(self, filters: Parameters, row: Sequence[object]) -> str:
        """Write down the position of a row as a cursor for this list with these filters.

        Args:
            filters: What the list was narrowed by.
            row: The row.
        """
        return write_cursor(self._table.name, self._identity(filters), self.position(row))

    def read_cursor(self, filters: Parameters, cursor: str) -> Position:
        """Read back the position in a cursor of this list with these filters.

        Args:
            filters: What the list is narrowed by.
            cursor: The cursor.

        Raises:
            InvalidArgumentError: If it is not one.
        """
        return read_cursor(
            self._table.name, self._identity(filters), cursor, columns=len(self._order_by)
        )

    def _identity(self, filters: Parameters) -> Parameters:
        statement, present = self.narrowed(filters)
        return {**statement.coerce(present), "order": [*self._order_by, self._descending]}

    def _build(self, names: frozenset[str]) -> Statement:
        expression = self._everything.where(*self.filters.compared(names))
        if LIMIT in names:
            expression = expression.limit(bindparam(LIMIT, type_=BigInteger(), required=True))
        parameters = required_parameters(expression)
        if AFTER + self._order_by[0] not in names:
            return Statement("list", self._table, lambda _: expression, parameters)
        position = [bind(self._table, name, AFTER + name) for name in self._order_by]
        columns = pick(self._table, self._order_by)

        def go_on(dialect: Dialect) -> Select[Any]:
            after_position = dialect.after_position(columns, position, descending=self._descending)
            return dialect.in_order(expression.where(after_position), self._table, self._order_by)

        return Statement("list", self._table, go_on, [*parameters, *position])


def _kinds(
    filters: type[Any] | Sequence[str] | Mapping[str, Any], record: type[Any], time: str | None
) -> Mapping[str, Any]:
    """Find the type of the values of each filter."""
    if isinstance(filters, Mapping):
        return filters
    if isinstance(filters, type):
        return get_type_hints(filters)
    limits = () if time is None else (SINCE, UNTIL)
    return {name: field_type(record, name) for name in (*filters, *limits)}


def _condition(
    table: Table, column: str, name: str, kind: Any, time: str | None
) -> ColumnElement[bool]:
    """Compare a column with the value of a filter, or that of the time with its limit."""
    if time is None or name not in (SINCE, UNTIL):
        return equal(table, column, name, kind=kind)
    moment, limit = table.columns[time], bind(table, time, name)
    return moment >= limit if name == SINCE else moment <= limit


def _ends_before_it_begins(since: object, until: object) -> bool:
    """Compare two times, as far as they are times that are not refused later."""
    if not isinstance(since, datetime) or not isinstance(until, datetime):
        return False
    if reason_time_is_unstorable(since) or reason_time_is_unstorable(until):
        return False
    # In UTC, for Python compares two times of one zone by the clock, which may have been set back.
    return until.astimezone(UTC) < since.astimezone(UTC)
