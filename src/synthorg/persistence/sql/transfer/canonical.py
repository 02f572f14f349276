"""The canonical bytes of a row: the same, whichever database and driver it was read through."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from pydantic_core import to_json
from sqlalchemy import Column, ColumnElement, Double, LargeBinary, Table, type_coerce
from sqlalchemy.types import TypeEngine

from synthorg.persistence.sql.tables import DERIVED
from synthorg.persistence.sql.types import JsonDocument, LongText, UtcDateTime

DOCUMENT: Final = LongText()
"""The type under which JSON is moved: its text, which no database and no parser changes."""


def moved_type(column: Column[Any]) -> TypeEngine[Any]:
    """Give the type under which the values of a column are read and written.

    Args:
        column: The column.
    """
    return DOCUMENT if isinstance(column.type, JsonDocument) else column.type


def moved_columns(table: Table) -> list[Column[Any]]:
    """Give the columns that are moved: all but those that the database works out.

    Args:
        table: The table.
    """
    return [
        column for column in table.columns if column.computed is None and DERIVED not in column.info
    ]


class CanonicalRows:
    """Writes the rows of a table in their canonical form.

    A row is a JSON array of its values: text and numbers as they are, times in UTC to the
    microsecond, floating-point numbers in hexadecimal, which has every bit of them, and bytes in
    hexadecimal, too.

    Args:
        table: The table.
    """

    def __init__(self, table: Table) -> None:
        self.columns = moved_columns(table)
        self.expressions: list[ColumnElement[Any]] = [
            type_coerce(column, DOCUMENT).label(column.name)
            if isinstance(column.type, JsonDocument)
            else column
            for column in self.columns
        ]
        self._conversions = [
            (at, conversion)
            for at, column in enumerate(self.columns)
            if (conversion := _conversion(column.type)) is not None
        ]

    def write(self, row: Sequence[Any]) -> bytes:
        """Write a row.

        Args:
            row: The values of `expressions`.

        Raises:
            ValueError: If a value is none of its column, with the column named.
        """
        values = list(row)
        for at, convert in self._conversions:
            value = values[at]
            if value is not None:
                try:
                    values[at] = convert(value)
                except (AttributeError, TypeError, ValueError, OverflowError):
                    name = self.columns[at].name
                    raise ValueError(f"{name} has a value that is none of its kind") from None
        return to_json(values)


@dataclass(frozen=True)
class TableDigest:
    """How many rows a table has, and the digest of their canonical form in the order of keys."""

    rows: int
    digest: str


class Digesting:
    """The digest of a table in the making."""

    def __init__(self) -> None:
        self._rows = 0
        self._hash = sha256()

    def add(self, lines: Iterable[bytes]) -> None:
        """Add the rows that come next.

        Args:
            lines: Their canonical form.
        """
        for line in lines:
            self._rows += 1
            self._hash.update(line)
            self._hash.update(b"\n")

    @property
    def so_far(self) -> TableDigest:
        """The digest of what was added."""
        return TableDigest(self._rows, self._hash.hexdigest())


def _conversion(type_: TypeEngine[Any]) -> Callable[[Any], str] | None:
    if isinstance(type_, UtcDateTime):
        return _moment
    if isinstance(type_, LargeBinary):
        return bytes.hex
    return _bits if isinstance(type_, Double) else None


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds")


def _bits(value: float) -> str:
    return float(value).hex()
