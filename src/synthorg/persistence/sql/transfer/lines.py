"""Records as lines of JSON that other programs read: one object, named by column, for each."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pydantic_core import from_json, to_json
from sqlalchemy import Column, Double, LargeBinary, Table
from sqlalchemy.types import TypeEngine

from synthorg.persistence.errors import UnreadableRecordError
from synthorg.persistence.sql.tables import record_key
from synthorg.persistence.sql.transfer.canonical import moved_columns
from synthorg.persistence.sql.transfer.keys import unreadable
from synthorg.persistence.sql.types import JsonDocument, UtcDateTime, coercion

Convert = Callable[[Any], Any]

WHOLE_TABLE: Final[Mapping[str, object]] = {}
"""The key of a record whose key is not known."""


class RecordLines:
    """Writes rows of a table as lines of JSON, and reads them again.

    Texts, numbers and truth values are what they are, JSON is part of the line, times are ISO 8601
    in UTC to the microsecond, and bytes are hexadecimal.

    Args:
        table: The table.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._columns = moved_columns(table)
        self._names = [column.name for column in self._columns]
        self._told = [_told(column.type) for column in self._columns]
        self._coerced = [_coerced(column.type) for column in self._columns]

    def values(self, row: Sequence[Any]) -> dict[str, Any]:
        """Give the values of a row by column, with JSON as what it stands for.

        Args:
            row: The row, as it is moved.
        """
        return {
            column.name: _document(value) if isinstance(column.type, JsonDocument) else value
            for column, value in zip(self._columns, row, strict=True)
        }

    def write(self, row: Sequence[Any]) -> bytes:
        """Write a row, without an end of line.

        Args:
            row: The row, as it is moved.

        Raises:
            UnreadableRecordError: If JSON in it is none.
        """
        told = zip(self._names, self._told, row, strict=True)
        try:
            return to_json({name: tell(value) for name, tell, value in told})
        except ValueError:
            values = dict(zip(self._names, row, strict=True))
            raise self._refusal(values, "its JSON cannot be read") from None

    def read(self, record: bytes | Mapping[str, Any]) -> list[Any]:
        """Make a row of a line, or of values by column.

        Args:
            record: The line, or a value for each column.

        Returns:
            The row, as it is moved.

        Raises:
            UnreadableRecordError: If it is no record of the table.
        """
        values = self._parsed(record) if isinstance(record, bytes) else record
        unknown = sorted(set(values) - set(self._names))
        missing = [name for name in self._names if name not in values]
        for names, problem in ((unknown, "which is no column"), (missing, "which is missing")):
            if names:
                raise self._refusal(values, f"it has {names[0]!r}, {problem}")
        return [
            self._coerce(column, coerce, values)
            for column, coerce in zip(self._columns, self._coerced, strict=True)
        ]

    def _parsed(self, line: bytes) -> Mapping[str, Any]:
        try:
            found = from_json(line, allow_inf_nan=False)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._refusal(WHOLE_TABLE, "a line is no object of JSON")
        return found

    def _coerce(self, column: Column[Any], coerce: Convert, values: Mapping[str, Any]) -> object:
        value = values[column.name]
        if value is None and column.nullable:
            return None
        try:
            if value is None:
                raise ValueError("must not be None")  # noqa: TRY301 (as the others do)
            return coerce(value)
        except ValueError as error:
            raise self._refusal(values, f"{column.name} {error}") from None

    def _refusal(self, values: Mapping[str, Any], reason: str) -> UnreadableRecordError:
        # What is no key may be anything, and is not told.
        key = {
            column.name: value
            for column in record_key(self._table)
            if isinstance(value := values.get(column.name), str | int)
        }
        return unreadable(self._table, key, reason)


def _told(type_: TypeEngine[Any]) -> Convert:
    if isinstance(type_, JsonDocument):
        return _document
    if isinstance(type_, UtcDateTime):
        return _moment
    return _hexadecimal if isinstance(type_, LargeBinary) else _as_it_is


def _coerced(type_: TypeEngine[Any]) -> Convert:
    if isinstance(type_, LargeBinary):
        return _bytes
    coerce = coercion(type_)
    if isinstance(type_, UtcDateTime):
        return lambda value: coerce(_parsed(value))
    if isinstance(type_, Double):
        return lambda value: coerce(float(value) if type(value) is int else value)
    return coerce


def _as_it_is(value: object) -> object:
    return value


def _document(value: str | None) -> object:
    return None if value is None else from_json(value)


def _moment(value: datetime | None) -> str | None:
    if value is None:
        return None
    return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a time of ISO 8601") from None


def _hexadecimal(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError("must be bytes in hexadecimal")  # noqa: TRY004 (one error for every refusal)
    return bytes.fromhex(value)
