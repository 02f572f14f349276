"""Which rows can be read: what no entity can be made of, and what refers to that."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json
from sqlalchemy import ColumnElement, Table

from synthorg.persistence.sql.repositories import repository_over
from synthorg.persistence.sql.repositories.records import RowReader
from synthorg.persistence.sql.statements.statement import field_names
from synthorg.persistence.sql.tables import record_key
from synthorg.persistence.sql.transfer.keys import Key
from synthorg.persistence.sql.types import JsonDocument


class PassedOver:
    """What could not be read and was left out, so that what refers to it is left out as well."""

    def __init__(self) -> None:
        self._values: dict[ColumnElement[Any], set[Any]] = {}

    def add(self, table: Table, key: Key) -> None:
        """Note a record that is left out."""
        for column, value in zip(record_key(table), key, strict=True):
            self._values.setdefault(column, set()).add(value)

    def has(self, column: ColumnElement[Any], value: object) -> bool:
        """Tell whether a record with this value in its key is left out."""
        return value in self._values.get(column, ())


class EntityCheck:
    """Whether the entity of a table can be made of its rows."""

    def __init__(self, table: Table, record: type[Any], names: Sequence[str]) -> None:
        self._reader: RowReader[Any] = RowReader(table, record)
        self._fields = field_names(record)
        keys = [each.name for each in record_key(table) if each.name not in self._fields]
        self._picked = [names.index(name) for name in (*self._fields, *keys)]
        self._documents = frozenset(
            names.index(name)
            for name in self._fields
            if isinstance(table.columns[name].type, JsonDocument)
        )

    @classmethod
    def of(cls, table: Table, names: Sequence[str]) -> "EntityCheck | None":
        """Make the check for a table; None where nobody has said what its rows are."""
        repository = repository_over(table)
        return None if repository is None else cls(table, repository.record, names)

    def check(self, row: Sequence[Any]) -> None:
        """Refuse a row of which no entity can be made."""
        values = [_parsed(row[at]) if at in self._documents else row[at] for at in self._picked]
        self._reader.read_named(self._fields, values)


def _parsed(document: Any) -> object:
    try:
        return from_json(document, allow_inf_nan=False)
    except (TypeError, ValueError):
        return document  # the entity refuses it, naming the field
