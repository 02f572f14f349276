"""Rows told apart: those that can be read, and those that are passed over or end everything."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from synthorg.persistence.errors import UnreadableRecordError
from synthorg.persistence.sql.transfer.canonical import CanonicalRows
from synthorg.persistence.sql.transfer.fitness import EntityCheck, PassedOver
from synthorg.persistence.sql.transfer.keys import Key, key_columns, unreadable


@dataclass(frozen=True)
class Chunk:
    """Some rows that follow each other.

    Attributes:
        rows: Their values.
        lines: Their canonical form.
        keys: Their keys.
        last: The key of the last one that was read, which may have been passed over.
    """

    rows: Sequence[Sequence[Any]]
    lines: Sequence[bytes]
    keys: Sequence[Key]
    last: Key | None


class CheckedRows:
    """The rows of a table that can be read, of those that are given.

    Args:
        table: The table.
        checks: Whether each row has to be one that its entity can be made of.
        passed_over: Where to note what is left out; without it, the first is an error.
    """

    def __init__(self, table: Table, *, checks: bool, passed_over: PassedOver | None) -> None:
        self.skipped = 0
        self.canonical = CanonicalRows(table)
        self._table = table
        names = [column.name for column in self.canonical.columns]
        self._key = key_columns(table)
        self._key_at = [names.index(column.key or "") for column in self._key]
        self._entity = EntityCheck.of(table, names) if checks else None
        self._passed_over = passed_over
        self._references = [
            (names.index(each.parent.name), each.column) for each in table.foreign_keys
        ]

    def of(self, rows: Iterable[Sequence[Any]]) -> Chunk:
        """Make a chunk of rows, without those that are passed over.

        Args:
            rows: The rows.

        Raises:
            UnreadableRecordError: If one cannot be read, and none is passed over.
        """
        kept: list[Sequence[Any]] = []
        lines: list[bytes] = []
        keys: list[Key] = []
        key: Key | None = None
        for row in rows:
            key = self.key_of(row)
            try:
                line = self._line(row, key)
            except UnreadableRecordError as error:
                self.pass_over(key, error)
            else:
                kept.append(row)
                lines.append(line)
                keys.append(key)
        return Chunk(kept, lines, keys, key)

    def key_of(self, row: Sequence[Any]) -> Key:
        """Give the key of a row.

        Args:
            row: The row.
        """
        return tuple([row[at] for at in self._key_at])

    def pass_over(self, key: Key, error: UnreadableRecordError) -> None:
        """Leave a row out, or raise what is wrong with it.

        Args:
            key: Its key, as far as it is known.
            error: What is wrong with it.
        """
        if self._passed_over is None:
            raise error
        if len(key) == len(self._key):
            self._passed_over.add(self._table, key)
        self.skipped += 1

    def unreadable(self, key: Key, reason: str) -> UnreadableRecordError:
        """Make the error for a row.

        Args:
            key: Its key.
            reason: What is wrong with it.
        """
        named = {str(each.key): value for each, value in zip(self._key, key, strict=True)}
        return unreadable(self._table, named, reason)

    def _line(self, row: Sequence[Any], key: Key) -> bytes:
        try:
            line = self.canonical.write(row)
        except ValueError as error:
            raise self.unreadable(key, str(error)) from None
        if self._entity is not None:
            self._entity.check(row)
        if self._passed_over is not None:
            for at, column in self._references:
                if self._passed_over.has(column, row[at]):
                    raise self.unreadable(key, "it refers to a record that is passed over")
        return line
