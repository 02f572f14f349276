"""Statements built once from Core expressions, and prepared once for each database."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from sqlalchemy import (
    BindParameter,
    ClauseElement,
    ColumnElement,
    Executable,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.sql import visitors

from synthorg.persistence.errors import InvalidArgumentError
from synthorg.persistence.sql.dialects.base import Dialect, insert_values
from synthorg.persistence.sql.tables import LibraryName, record_key
from synthorg.persistence.sql.types import Choice, JsonDocument, LongText, ShortText, coercion

EXISTING: Final = "existing_"
"""The prefix of a parameter that selects the row to change, beside the one with its new value."""

SAVING: Final = "save"
"""The action that gives values to columns; all others compare them."""

READING: Final = frozenset({"count", "get", "list", "sum"})
"""The actions that change nothing."""

Parameters = Mapping[str, object]
Coercion = Callable[[Any], Any]


class Statement:
    """One expression over one table, with what an error has to say about it.

    Args:
        action: What the statement does, as a verb for error messages.
        table: The table it works on.
        build: Makes the expression for a dialect; most are the same for all.
        parameters: The bind parameters that each execution has to give.
        by_keys: Finds the statement that reads several of its rows at once, where it reads one.
        batched: Does the same with many rows, given as a value for each column, where it writes
            one; on databases with arrays.
        inserts: Whether it adds a row, so that a protected one that exists is a duplicate.
        replaces: Whether it adds a row or replaces the one with its key.
    """

    __slots__ = (
        "_coercions",
        "action",
        "batched",
        "build",
        "by_keys",
        "finds_one",
        "inserts",
        "needed",
        "parameters",
        "replaces",
        "table",
    )

    def __init__(
        self,
        action: str,
        table: Table,
        build: Callable[[Dialect], Executable],
        parameters: Iterable[BindParameter[Any]],
        *,
        by_keys: "KeysStatement | None" = None,
        batched: "Statement | None" = None,
        inserts: bool = False,
        replaces: bool = False,
    ) -> None:
        self.action = action
        self.table = table
        self.build = build
        self.by_keys = by_keys
        self.batched = batched
        self.inserts = inserts
        self.replaces = replaces
        self.finds_one = False
        """Whether it reads at most one row, by a key that an index has."""
        self.parameters = tuple(parameters)
        self._coercions = tuple(
            (parameter.key, coercion(parameter.type)) for parameter in self.parameters
        )
        self.needed = frozenset(name for name, _ in self._coercions if self._is_needed(name))
        """The parameters that must not be None."""

    def _is_needed(self, parameter: str) -> bool:
        if self.action != SAVING:
            return True  # what is compared with NULL matches nothing
        column = self.table.columns.get(parameter.removeprefix(EXISTING))
        return column is not None and not column.nullable

    @property
    def repeatable(self) -> bool:
        """Whether running it twice has the effect and the result of running it once."""
        return self.replaces or self.reads

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.action in READING

    @property
    def deletes_one(self) -> bool:
        """Whether it deletes the row with a key, if there is one."""
        key = {column.name for column in record_key(self.table)}
        return self.action == "delete" and {name for name, _ in self._coercions} == key

    @property
    def coercions(self) -> Mapping[str, Coercion]:
        """By parameter: what its value has to pass before it is bound."""
        return dict(self._coercions)

    def coerce(self, parameters: Parameters) -> dict[str, object]:
        """Check and convert the values of one execution.

        Args:
            parameters: A value for each parameter, None for one left out; others are ignored.

        Returns:
            What to bind.

        Raises:
            InvalidArgumentError: If a value is needed and None, or one that some database could not
                hold exactly.
        """
        coerced: dict[str, object] = {}
        name = ""
        try:
            for name, coerce in self._coercions:
                value = parameters.get(name)
                if value is None and name in self.needed:
                    raise ValueError("must not be None")  # noqa: TRY301 (as the others do)
                coerced[name] = None if value is None else coerce(value)
        except ValueError as error:
            raise self.refusal(name, error, parameters) from None
        return coerced

    def is_complete(self, parameters: Parameters) -> bool:
        """Tell whether each column that needs a value is given one."""
        return all(
            parameters.get(name) is not None
            for name, _ in self._coercions
            if name in self.table.columns and not self.table.columns[name].nullable
        )

    def subject(self, parameters: Parameters, table_prefix: str = "") -> str:
        """Name the table, and the row where the parameters identify one, for an error.

        Args:
            parameters: The values of the execution.
            table_prefix: That of the database which has answered.
        """
        is_ours = isinstance(self.table.name, LibraryName)
        table = table_prefix + self.table.name if is_ours else self.table.name
        key = []
        for column in record_key(self.table):
            value = parameters.get(EXISTING + column.name, parameters.get(column.name))
            if value is None:
                return table
            key.append(f"{column.name}={str(value)!r}")
        return f"{table} ({', '.join(key)})"

    def refusal(
        self, parameter: str, reason: ValueError, parameters: Parameters
    ) -> InvalidArgumentError:
        """Make the error for a value that was refused.

        Args:
            parameter: The name of its parameter.
            reason: What is wrong with it.
            parameters: The values of the execution.
        """
        field = parameter.removeprefix(EXISTING)
        is_key = field in {column.name for column in record_key(self.table)}
        subject = self.table.name if is_key else self.subject(parameters)
        return InvalidArgumentError(f"cannot {self.action} {subject}: {field} {reason}")


class KeysStatement:
    """A statement over the rows with certain keys, built for one, two, four and so on of them.

    So there are few, and each can be prepared, which a list of any length cannot.

    Args:
        action: What it does, as a verb for error messages.
        table: The table, with a key of one column.
        build: Makes the expression of the condition.
    """

    def __init__(
        self, action: str, table: Table, build: Callable[[ColumnElement[bool]], Executable]
    ) -> None:
        self._action = action
        self._table = table
        (self.key,) = record_key(table)
        self.coerce = coercion(self.key.type)
        self._build = build
        self._statements: dict[int, Statement] = {}

    def of(self, keys: Sequence[object]) -> tuple[Statement, Parameters]:
        """Find the statement for some keys.

        Args:
            keys: The keys, at least one.

        Returns:
            The statement and its parameters.
        """
        size = 1 << (len(keys) - 1).bit_length()
        statement = self._statements.get(size)
        if statement is None:
            names = [f"keys_{place}" for place in range(size)]
            keys_to_come = [bind(self._table, self.key.name, name) for name in names]
            expression = self._build(self.key.in_(keys_to_come))
            statement = from_expression(self._action, self._table, expression)
            self._statements[size] = statement
        repeated = [*keys, *[keys[-1]] * (size - len(keys))]
        return statement, {f"keys_{place}": value for place, value in enumerate(repeated)}


class SwapStatement:
    """The statement that changes a row if some of its values are those expected.

    Args:
        table: The table.
        columns: The columns that get new values, beside the key.
        kept: Those of them that keep the value of the row.
    """

    def __init__(self, table: Table, columns: Iterable[str], kept: Collection[str]) -> None:
        self._table = table
        self._key = [column.name for column in record_key(table)]
        self._changed = [name for name in columns if name not in self._key and name not in kept]
        self._statements: dict[tuple[tuple[str, bool], ...], Statement] = {}

    def of(self, values: Parameters, expected: Parameters) -> tuple[Statement, Parameters]:
        """Find the statement for some expectations.

        Args:
            values: The new values, by column.
            expected: The values that the row must have, by column.

        Returns:
            The statement and its parameters.

        Raises:
            InvalidArgumentError: If there is no such column.
        """
        unknown = ", ".join(name for name in expected if name not in self._changed)
        if unknown or not expected:
            raise InvalidArgumentError(
                f"cannot save {self._table.name}: a swap expects values of "
                f"{', '.join(self._changed)}, not of {unknown or 'nothing'}"
            )
        wanted = tuple(sorted((name, value is None) for name, value in expected.items()))
        statement = self._statements.get(wanted)
        if statement is None:
            statement = self._statements[wanted] = self._build(wanted)
        of_row = {name: values[name] for name in self._key} | dict(expected)
        return statement, {**values, **{EXISTING + name: each for name, each in of_row.items()}}

    def _build(self, wanted: Iterable[tuple[str, bool]]) -> Statement:
        conditions = [equal(self._table, name, EXISTING + name) for name in self._key]
        for name, is_none in wanted:
            column = self._table.columns[name]
            found = column.is_(None) if is_none else equal(self._table, name, EXISTING + name)
            conditions.append(found)
        changed = {name: bind(self._table, name) for name in self._changed}
        expression = update(self._table).where(*conditions).values(changed)
        return from_expression(SAVING, self._table, expression)


def from_expression(action: str, table: Table, expression: Executable) -> Statement:
    """Make a statement of an expression that is the same on every database.

    Args:
        action: What it does, as a verb for error messages.
        table: The table it works on.
        expression: The expression; its named bind parameters become the statement's.
    """
    return Statement(action, table, lambda _: expression, required_parameters(expression))


def insertion(table: Table) -> Statement:
    """Make the statement that adds one row."""
    values = insert_values(table)
    return Statement(
        SAVING,
        table,
        lambda _: insert(table).values(values).inline(),
        values.values(),
        batched=Statement(SAVING, table, lambda dialect: dialect.insert_arrays(table), ()),
        inserts=True,
    )


def replacement(table: Table, kept: Collection[str]) -> Statement:
    """Make the statement that adds one row or replaces the one with its key.

    Args:
        table: The table.
        kept: Columns that keep the value of an existing row.
    """
    return Statement(
        SAVING,
        table,
        lambda dialect: dialect.upsert(table, kept),
        insert_values(table).values(),
        batched=Statement(SAVING, table, lambda dialect: dialect.upsert_arrays(table, kept), ()),
        replaces=True,
    )


def accumulation(table: Table, kept: Collection[str], added: Collection[str]) -> Statement:
    """Make the statement that adds one row, or adds to the one with its key.

    Args:
        table: The table.
        kept: Columns that keep the value of an existing row.
        added: Columns whose new value is added to that of an existing row.
    """
    values = insert_values(table).values()
    return Statement(SAVING, table, lambda dialect: dialect.upsert(table, kept, added), values)


def selection(
    table: Table, columns: Iterable[str], key: Iterable[str], by_keys: KeysStatement | None = None
) -> Statement:
    """Make the statement that reads the one row with these values in its key columns.

    Args:
        table: The table.
        columns: The columns to read, in this order.
        key: The columns to compare.
        by_keys: Reads several such rows at once.
    """
    expression = select(*pick(table, columns)).where(*[equal(table, name) for name in key])
    parameters = required_parameters(expression)
    statement = Statement("get", table, lambda _: expression, parameters, by_keys=by_keys)
    statement.finds_one = True
    return statement


def deletion(table: Table, key: Iterable[str]) -> Statement:
    """Make the statement that deletes the rows whose columns equal the parameters of their name.

    Args:
        table: The table.
        key: The columns to compare.
    """
    matching = [equal(table, name) for name in key]
    return from_expression("delete", table, delete(table).where(*matching))


def bind(table: Table, column: str, parameter: str | None = None) -> BindParameter[Any]:
    """Make a parameter for values of a column, named after it or otherwise."""
    name = column if parameter is None else parameter
    return bindparam(name, type_=table.columns[column].type, required=True)


def equal(
    table: Table, column: str, parameter: str | None = None, *, kind: Any = None
) -> ColumnElement[bool]:
    """Compare a column with a parameter.

    Args:
        table: The table.
        column: The column.
        parameter: The name of the parameter, where it is not the column's.
        kind: The type of the values, where others of the same column are to be refused.
    """
    compared = table.columns[column]
    given = bind(table, column, parameter)
    members = _members(kind)
    if members is not None and isinstance(compared.type, ShortText):
        given.type = Choice(compared.type.length, members)
    return compared == given


def _members(kind: Any) -> tuple[str, ...] | None:
    """Find the texts of a type, beside None, where they are few."""
    is_union = get_origin(kind) in (Union, UnionType)
    kinds = [*get_args(kind)] if is_union else [kind]
    if NoneType in kinds:
        kinds.remove(NoneType)
    if len(kinds) != 1:
        return None
    (only,) = kinds
    if isinstance(only, type) and issubclass(only, StrEnum):
        return tuple(member.value for member in only)
    return get_args(only) if get_origin(only) is Literal else None


def field_names(record: type[Any]) -> tuple[str, ...]:
    """Name the fields of an entity or a named tuple, in their order."""
    if issubclass(record, BaseModel):
        return tuple(record.model_fields)
    names: tuple[str, ...] = record._fields
    return names


def field_type(record: type[Any], field: str) -> Any:
    """Find the type of a field of an entity or a named tuple; None where there is no such field."""
    if issubclass(record, BaseModel):
        found = record.model_fields.get(field)
        return None if found is None else found.annotation
    return get_type_hints(record).get(field)


def field_values(record: type[Any]) -> Callable[[Any], Parameters]:
    """Find what gives the values of an entity or a named tuple by field, without a copy."""
    if issubclass(record, BaseModel):
        return vars
    values: Callable[[Any], Parameters] = record._asdict
    return values


def long_columns(table: Table, columns: Iterable[str]) -> tuple[str, ...]:
    """Name those of some columns that hold values of any length."""
    return tuple(
        name for name in columns if isinstance(table.columns[name].type, LongText | JsonDocument)
    )


def pick(table: Table, columns: Iterable[str]) -> list[ColumnElement[Any]]:
    """Look up columns by their names, in the order given."""
    return [table.columns[name] for name in columns]


def required_parameters(expression: Executable | ColumnElement[Any]) -> list[BindParameter[Any]]:
    """Find the bind parameters that each execution has to give."""
    assert isinstance(expression, ClauseElement)
    found = {
        element.key: element
        for element in visitors.iterate(expression)
        if isinstance(element, BindParameter) and element.required
    }
    return list(found.values())
