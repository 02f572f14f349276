"""Statements compiled once to what a driver takes: SQL, values by position, decoded rows."""

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, overload

from sqlalchemy import Boolean, Dialect, Executable, TypeDecorator
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from synthorg.persistence.sql.dialects.joined_text import JoinedText
from synthorg.persistence.sql.drivers.base import Call
from synthorg.persistence.sql.statements.columns import Convert as ConvertColumn
from synthorg.persistence.sql.statements.columns import column_conversion
from synthorg.persistence.sql.statements.statement import Parameters, Statement
from synthorg.persistence.sql.tables import record_key

Convert = Callable[[Any], Any]


class PreparedStatement:
    """A statement in the words of one driver.

    The SQL, the conversion of values and of columns are SQLAlchemy's own; what is left out is
    all that it does around each execution.

    Args:
        statement: The statement.
        expression: Its expression for the database.
        dialect: SQLAlchemy's dialect for the driver.
        prepared: Prepares other statements for the same driver.
    """

    __slots__ = (
        "_columns",
        "_joined",
        "_key_of",
        "_parameters",
        "_prepared",
        "conversions",
        "finds_one",
        "inserts",
        "key_index",
        "reads",
        "repeatable",
        "scans",
        "sql",
        "statement",
        "types",
    )

    def __init__(
        self,
        statement: Statement,
        expression: Executable,
        dialect: Dialect,
        prepared: Callable[[Statement], "PreparedStatement"],
    ) -> None:
        compiled = expression.compile(dialect=dialect)  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)
        assert not compiled.post_compile_params  # for these the SQL would depend on the values
        self.sql = compiled.string
        self.reads = statement.reads
        self.repeatable = statement.repeatable
        self._prepared = prepared
        self.scans = statement.reads and statement.action != "get"
        self.finds_one = statement.finds_one
        self.inserts = statement.inserts or statement.replaces
        self.statement = statement
        constants = compiled.construct_params(_check=False)
        coercions = statement.coercions
        self._parameters = tuple(
            (
                name,
                constants[name],
                name in statement.needed,
                _to_driver(compiled, name, coercions.get(name)),
            )
            for name in compiled.positiontup or ()
        )
        self.types = tuple(compiled.binds[name].type for name, *_ in self._parameters)
        self.conversions: Sequence[ConvertColumn] | None = None
        self._joined = tuple(
            (place, type_.join)
            for place, type_ in enumerate(self.types)
            if isinstance(type_, JoinedText)
        )
        self._key_of = _key_of(statement, [name for name, *_ in self._parameters])
        columns = list(getattr(compiled.statement, "selected_columns", ()))
        self.key_index = None
        if statement.by_keys is not None:
            self.key_index = [column.name for column in columns].index(statement.by_keys.key.name)
        self._columns = tuple(
            (place, conversion)
            for place, column in enumerate(columns)
            if (conversion := _result_conversion(column.type, compiled.dialect)) is not None
        )

    def bind(self, parameters: Parameters) -> list[Any]:
        """Check and convert the values of one execution.

        Args:
            parameters: A value for each parameter of the statement.

        Returns:
            The values in the order in which the SQL takes them.

        Raises:
            InvalidArgumentError: If a value is one that some database could not hold exactly.
        """
        value_of = parameters.get
        try:
            # None where it must not be is taken by no type.
            return [
                to_driver(value)
                if (value := value_of(name, constant)) is not None or is_needed
                else None
                for name, constant, is_needed, to_driver in self._parameters
            ]
        except ValueError:
            self.statement.coerce(parameters)  # says which one
            raise

    def by_keys(self, keys: Sequence[Any]) -> tuple["PreparedStatement", Sequence[Any]]:
        """Find the statement for several keys, as `DriverStatement` says.

        Args:
            keys: The keys.
        """
        assert self.statement.by_keys is not None
        statement, parameters = self.statement.by_keys.of(keys)
        prepared = self._prepared(statement)
        return prepared, prepared.bind(parameters)

    def batched(
        self, rows: Sequence[Sequence[Any]]
    ) -> tuple["PreparedStatement", Sequence[Any]] | None:
        """Find the statement that writes several rows, as `DriverStatement` says.

        Args:
            rows: The values of each row by position.
        """
        batched = self.statement.batched
        if batched is None or self._repeat_a_key(rows):
            return None
        prepared = self._prepared(batched)
        columns = prepared.bind_columns(rows)
        return None if columns is None else (prepared, columns)

    def together(self, parameters: Sequence[Parameters], characters: int) -> Call | None:
        """Make one execution of many, if each of their values is fit for it at first glance.

        Args:
            parameters: The parameters of each.
            characters: How many they may have, or somewhat more.
        """
        if self.statement.batched is None:
            return None
        prepared = self._prepared(self.statement.batched)
        columns = self._columns_of(parameters)
        if columns is None:
            return None
        try:
            if self._has_a_key_twice(columns):
                return None
            for place, convert in enumerate(self._conversions_to(prepared)):
                value = columns[place] = convert(columns[place])
                characters -= len(value) if isinstance(value, str) else 0
                if characters < 0:
                    return None
        except (TypeError, ValueError):
            return None
        return Call(prepared, columns)

    def bind_many(self, parameters: Sequence[Parameters]) -> Sequence[Sequence[Any]] | None:
        """Do what `bind` does for many executions, if their values are fit for it at first glance.

        Args:
            parameters: The parameters of each.
        """
        columns = self._columns_of(parameters)
        if columns is None:
            return None
        conversions = self._conversions_to(self)
        try:
            converted = [
                convert(column) for convert, column in zip(conversions, columns, strict=True)
            ]
        except (TypeError, ValueError):
            return None
        return list(zip(*converted, strict=True))

    def _columns_of(self, parameters: Sequence[Parameters]) -> list[Any] | None:
        """Take the values by column; None if one is missing."""
        columns: list[Any] = []
        for name, constant, is_needed, _ in self._parameters:
            column = [each.get(name, constant) for each in parameters]
            if is_needed and None in column:
                return None
            columns.append(column)
        return columns

    def _conversions_to(self, prepared: "PreparedStatement") -> Sequence[ConvertColumn]:
        """Give what converts the columns for another statement, or this one, which keeps it."""
        if prepared.conversions is None:
            prepared.conversions = [
                column_conversion(sent_as, stored_as, convert_one)
                for sent_as, stored_as, (*_, convert_one) in zip(
                    prepared.types, self.types, self._parameters, strict=True
                )
            ]
        return prepared.conversions

    def bind_columns(self, rows: Sequence[Sequence[Any]]) -> Sequence[Any] | None:
        """Convert the values of many rows to a value for each column, if there is one.

        Args:
            rows: The values of each row by position, as another statement takes them.
        """
        columns: list[Any] = list(zip(*rows, strict=True))
        for place, join in self._joined:
            columns[place] = join(columns[place])
            if columns[place] is None:
                return None
        return columns

    def decode(self, rows: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Convert the columns of rows, as `DriverStatement` says.

        Args:
            rows: The rows as the driver returned them.
        """
        return DecodedRows(rows, self._columns) if self._columns else rows

    def _has_a_key_twice(self, columns: Sequence[list[Any]]) -> bool:
        if self._key_of is None:
            return False
        key = self._key_of(columns)
        keys = set(zip(*key, strict=True) if isinstance(key, tuple) else key)  # of many, or of one
        return len(keys) < len(columns[0])

    def _repeat_a_key(self, rows: Sequence[Sequence[Any]]) -> bool:
        return self._key_of is not None and len(set(map(self._key_of, rows))) < len(rows)


class DecodedRows(Sequence[Sequence[Any]]):
    """Rows whose columns are converted when they are looked at, so that few lie around at a time.

    Args:
        rows: The rows as the driver returned them.
        columns: The columns to convert, and how.
    """

    __slots__ = ("_columns", "_rows")

    def __init__(self, rows: Sequence[Any], columns: Sequence[tuple[int, Convert]]) -> None:
        self._rows = rows
        self._columns = columns

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Sequence[Any]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Sequence[Any]]: ...
    def __getitem__(self, place: int | slice) -> Sequence[Any]:
        if isinstance(place, slice):
            return DecodedRows(self._rows[place], self._columns)
        return self._decoded(self._rows[place])

    def __iter__(self) -> Iterator[Sequence[Any]]:
        return map(self._decoded, self._rows)

    def _decoded(self, row: Sequence[Any]) -> Sequence[Any]:
        values = list(row)
        for place, convert in self._columns:
            values[place] = convert(values[place])
        return values


def _key_of(statement: Statement, names: Sequence[str]) -> Callable[[Sequence[Any]], Any] | None:
    """Find what gives the key of the row that a statement replaces, from its values."""
    if not statement.replaces:
        return None
    return itemgetter(*[names.index(column.name) for column in record_key(statement.table)])


def _to_driver(compiled: SQLCompiler, name: str, coerce: Convert | None) -> Convert:
    """Find what makes of a value, which is not NULL, what the driver takes for a parameter."""
    type_ = compiled.binds[name].type
    convert = type_.dialect_impl(compiled.dialect).bind_processor(compiled.dialect)
    if coerce is None or convert is None:
        return coerce or convert or _unchanged
    return lambda value: convert(coerce(value))


def _unchanged(value: Any) -> Any:
    return value


def _result_conversion(type_: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    implementation = type_.dialect_impl(dialect)
    if not isinstance(implementation, TypeDecorator | Boolean):
        return None  # text and numbers come out of the driver as what they are
    return implementation.result_processor(dialect, None)
