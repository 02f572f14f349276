"""Records as values of rows, and rows as records: what is stored is what can be read."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Table

from synthorg.entities.base import Entity, is_as_validated
from synthorg.persistence.errors import InvalidArgumentError, UnreadableRecordError
from synthorg.persistence.sql.statements.statement import (
    Parameters,
    Statement,
    field_names,
    field_values,
)
from synthorg.persistence.sql.tables import record_key
from synthorg.persistence.sql.types import JsonDocument

Record = TypeVar("Record")

FAULTS_TOLD: Final = 5

_OBLIGATION: Final = re.compile(r"^(?:UUID )?\w+ should ")
"""How Pydantic begins most of its messages; ours begin with "must"."""


class RowReader(Generic[Record]):
    """How the rows of a table, or of sums over it, become records.

    Args:
        table: The table.
        kind: An entity, a named tuple or a dataclass.
    """

    def __init__(self, table: Table, kind: type[Record]) -> None:
        self._table = table
        self._kind = kind
        self._key = tuple(column.name for column in record_key(table))
        # Pydantic's core itself, without the layer in Python that a call would go through.
        self._validate = TypeAdapter(kind).validator.validate_python

    def read_named(self, names: Sequence[str], row: Sequence[Any]) -> Record:
        """Make the record that a row holds.

        Args:
            names: The names of its fields, in the order of the row.
            row: The values, and then what else a list adds.

        Raises:
            UnreadableRecordError: If there is no such record.
        """
        try:
            record: Record = self._validate(dict(zip(names, row, strict=False)))
        except ValidationError as error:
            reason = complaints(error)
        else:
            return record
        # A list adds the key where the record has none of its own.
        every = (*names, *(name for name in self._key if name not in names))
        stored = dict(zip(every, row, strict=False))
        key = {name: stored[name] for name in self._key if name in stored}
        where = ", ".join(f"{name}={value!r}" for name, value in key.items())
        raise UnreadableRecordError(
            f"cannot read {self._table.name}{where and f' ({where})'}: what is stored does not fit "
            f"{self._kind.__name__}: {reason}",
            table=self._table.name,
            key=key,
            reason=reason,
        )


class Records(RowReader[Record]):
    """How the records of a table become the values of its rows, and its rows records.

    Args:
        table: The table, whose columns are named after the record's fields.
        kind: An entity, or a named tuple.
        saving: The statement that takes the values.
    """

    def __init__(self, table: Table, kind: type[Record], saving: Statement) -> None:
        super().__init__(table, kind)
        self.fields = field_names(kind)
        self._saving = saving
        self._no_documents: Parameters = {
            name: () for name in self.fields if isinstance(table.columns[name].type, JsonDocument)
        }
        self._values_of: Callable[[Any], Parameters] = field_values(kind)

    def values(self, record: Record) -> Parameters:
        """Give the values to store for a record: those of a record that is valid for certain.

        That it is frozen says nothing, since `model_copy` and `model_construct` validate nothing,
        and what is frozen can be changed all the same. So it is validated, unless it is an entity
        that holds the very objects with which it was validated when it was made.

        Args:
            record: The record.

        Returns:
            A value for each field.

        Raises:
            InvalidArgumentError: If reading would refuse what is stored.
        """
        given = self._values_of(record)
        is_plain = type(record) is self._kind and len(given) == len(self.fields)
        if is_plain and isinstance(record, Entity) and is_as_validated(record):
            return given
        if not is_plain:
            given = self._without_caches(record, given)
        try:
            values = self._values_of(self._validate(given))
        except ValidationError as error:
            faults = faults_in(error)
            complaint = complaints(error)
        except AttributeError:  # of a model inside, made by `__new__` alone
            faults, complaint = frozenset(), "it holds a model that is incomplete"
        except RecursionError:  # of an enumeration, which quotes what is none of its members
            faults, complaint = frozenset(), "it is nested too deeply"
        else:
            if not is_plain:
                self._refuse_missing(given)
            # Pydantic makes a time of text, and a flag of a number, which no column does.
            if list(map(type, given.values())) != list(map(type, values.values())):
                self._refuse_by_type(given)
            return values
        self._refuse_by_type(given)
        raise self._refusal(given, complaint, names_key=faults.isdisjoint(self._key))

    def read(self, row: Sequence[Any]) -> Record:
        """Make the record that a row holds.

        Args:
            row: The values of `fields`, and then what else a list adds.

        Raises:
            UnreadableRecordError: If there is no such record.
        """
        return self.read_named(self.fields, row)

    def _without_caches(self, record: Record, given: Parameters) -> Parameters:
        """Add what a derived class keeps elsewhere, and leave out what it has only worked out."""
        extra = getattr(record, "__pydantic_extra__", None)
        everything: Mapping[str, object] = {**given, **(extra or {})}
        return {
            name: value
            for name, value in everything.items()
            if not isinstance(getattr(type(record), name, None), cached_property)
        }

    def _refuse_by_type(self, given: Parameters) -> None:
        """Refuse what some column does not take, whatever Pydantic could make of it."""
        self._saving.coerce({**given, **self._no_documents})

    def _refuse_missing(self, given: Parameters) -> None:
        """Refuse a record without a field that validation has filled in."""
        missing = ", ".join(name for name in self.fields if name not in given)
        if missing:
            raise self._refusal(given, f"it has no {missing}", names_key=True)

    def _refusal(
        self, given: Parameters, complaint: str, *, names_key: bool
    ) -> InvalidArgumentError:
        subject = self._saving.subject(given) if names_key else self._table.name
        return InvalidArgumentError(f"cannot {self._saving.action} {subject}: {complaint}")


def complaints(error: ValidationError) -> str:
    """Say what is wrong, by the names of fields, and never with a value.

    Args:
        error: What Pydantic raised.
    """
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    told = [_complaint(fault["loc"], fault["msg"]) for fault in faults[:FAULTS_TOLD]]
    if len(faults) > FAULTS_TOLD:
        told.append(f"and {len(faults) - FAULTS_TOLD} more")
    return "; ".join(told)


def faults_in(error: ValidationError) -> frozenset[int | str]:
    """Name the fields that are at fault.

    Args:
        error: What Pydantic raised.
    """
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return frozenset(fault["loc"][0] for fault in faults if fault["loc"])


def _complaint(location: Sequence[int | str], message: str) -> str:
    place = _place(location)
    reason = _OBLIGATION.sub("must ", message.removeprefix("Value error, "))
    if not place:
        return reason
    return f"{place} {reason}" if reason.startswith("must ") else f"{place}: {reason}"


def _place(location: Sequence[int | str]) -> str:
    """Name the field and the indexes in it, but no names inside, for they may be stored keys."""
    named = [str(part) for depth, part in enumerate(location) if not depth or isinstance(part, int)]
    return ".".join(named)
