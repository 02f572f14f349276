"""From a row as the predecessor stored it to the record that it stands for."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json
from sqlalchemy import Boolean, RowMapping
from sqlalchemy.types import TypeEngine

from synthorg.entities import EvaluationConfidence
from synthorg.persistence.errors import QueryError
from synthorg.persistence.sql.repositories.base import Repository
from synthorg.persistence.sql.statements.statement import field_names, insertion
from synthorg.persistence.sql.types import JsonDocument, UtcDateTime, coercion

NEW_FIELDS: Final[Mapping[str, Mapping[str, object]]] = {
    "task_metrics": {"started_at": None},
    "collaboration_metrics": {"interaction_summary": None},
    "audit_entries": {"confidence": EvaluationConfidence.HIGH},
    "artifacts": {"project_id": None},
}
"""By table: what the predecessor did not store, and what it is in an adopted row."""


class Conversion:
    """How the rows of one table become records, and the records rows again.

    Args:
        repository: The repository of the records.
    """

    def __init__(self, repository: type[Repository[Any]]) -> None:
        table = repository.table
        self.fields = field_names(repository.record)
        self._new = NEW_FIELDS.get(table.name, {})
        self.columns = tuple(name for name in self.fields if name not in self._new)
        self._read = {name: _reading(table.columns[name].type) for name in self.columns}
        self._insertion = insertion(table)
        self._adapter: TypeAdapter[Any] = TypeAdapter(repository.record)

    def convert(self, row: RowMapping) -> Any:
        """Make the record that a row of the predecessor stands for.

        Args:
            row: The values of `columns`, as the driver gives them.

        Raises:
            ValueError: With the reason, if there is no such record.
        """
        values: dict[str, object] = dict(self._new)
        for name, read in self._read.items():
            value = row[name]
            try:
                values[name] = None if value is None else read(value)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        try:
            return self._adapter.validate_python(values)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise ValueError("; ".join(f"{_place(fault['loc'])}: {fault['msg']}" for fault in faults))

    def to_row(self, record: Any) -> dict[str, object]:
        """Give the values to insert for a record.

        Args:
            record: The record.

        Raises:
            ValueError: With the reason, if they cannot be stored.
        """
        try:
            return self._insertion.coerce({name: getattr(record, name) for name in self.fields})
        except QueryError as error:
            raise ValueError(str(error)) from None

    def holds(self, row: Sequence[Any], record: Any) -> bool:
        """Tell whether what was stored for a record is that record.

        Args:
            row: The values of `fields`, as SQLAlchemy gives them.
            record: The record.
        """
        try:
            stored = self._adapter.validate_python(dict(zip(self.fields, row, strict=True)))
        except ValidationError:
            return False
        return bool(stored == record)


def _place(location: Sequence[str | int]) -> str:
    """Say where a fault is, without the names inside a document, as they are its content."""
    if not location:
        return "the whole"
    column, *inside = location
    return ".".join([str(column), *(str(step) for step in inside if isinstance(step, int))])


def _reading(type_: TypeEngine[Any]) -> Callable[[Any], object]:
    """Find how a value other than NULL is read that belongs into a column of this type."""
    for kind, read in (
        (JsonDocument, _read_json),
        (UtcDateTime, _read_time),
        (Boolean, _read_flag),
    ):
        if isinstance(type_, kind):
            return read
    return coercion(type_)


def _read_json(value: object) -> object:
    if isinstance(value, str):
        try:
            return from_json(value, allow_inf_nan=False)
        except ValueError:
            pass
    raise ValueError("must be valid JSON")


def _read_time(value: object) -> object:
    # Nothing but ISO 8601, though Pydantic would also take a number, as seconds since 1970.
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError("must be an ISO 8601 time")


def _read_flag(value: object) -> object:
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise ValueError("must be 0 or 1")
