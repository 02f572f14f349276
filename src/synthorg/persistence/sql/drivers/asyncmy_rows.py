"""Rows for one statement, in the shape in which MariaDB takes many of them without their SQL.

The driver sends the type of each column before the rows, and finds none in a column of NULLs alone.
So these are written into the statement. https://mariadb.com/kb/en/com_stmt_bulk_execute/
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import compress
from types import NoneType
from typing import Any, Final

PLACEHOLDER: Final = "%s"
ESCAPED: Final = "%%"

BYTES_AT_ONCE: Final = 900_000
"""How many bytes are sent together at most, unless one row alone has more. Servers may be set to
take little more than a million."""

WIDEST_CHARACTER: Final = 4
WIDEST_NUMBER: Final = 16


class Rows:
    """The values of some executions of one statement.

    Args:
        sql: The statement.
        values: The values of each execution by position; at least one.
    """

    def __init__(self, sql: str, values: Sequence[Sequence[Any]]) -> None:
        self.sql = sql
        self.values = values
        kinds = [set(map(type, column)) for column in zip(*values, strict=True)]
        self._has_values = [each != {NoneType} for each in kinds]
        self.are_alike = all(len(each - {NoneType}) <= 1 for each in kinds) and self._can_leave_out
        """Whether each column has values of one type, or else the driver sends text."""

    @property
    def _can_leave_out(self) -> bool:
        if all(self._has_values):
            return True
        is_plain = ESCAPED not in self.sql
        return is_plain and self.sql.count(PLACEHOLDER) == len(self._has_values) > 0

    @cached_property
    def sql_without_nulls(self) -> str:
        """The statement with NULL where no row has a value."""
        before, *parts = self.sql.split(PLACEHOLDER)
        values = [PLACEHOLDER if has_values else "NULL" for has_values in self._has_values]
        return before + "".join(map(str.__add__, values, parts))

    @cached_property
    def without_nulls(self) -> Sequence[Sequence[Any]]:
        """The values of each execution where any has one."""
        if all(self._has_values):
            return self.values
        return [tuple(compress(each, self._has_values)) for each in self.values]


def pieces(values: Iterable[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    """Cut the values of many executions into as many as are sent together.

    Args:
        values: The values of each execution, taken when they are needed.
    """
    piece: list[Sequence[Any]] = []
    size = 0
    for row in values:
        size_of_row = _most_bytes(row)
        if piece and size + size_of_row > BYTES_AT_ONCE:
            yield piece
            piece, size = [], 0
        piece.append(row)
        size += size_of_row
    if piece:
        yield piece


def _most_bytes(row: Sequence[Any]) -> int:
    """Tell how many bytes a row has at most as it is sent."""
    texts = [value for value in row if isinstance(value, str)]
    widest = 1 if all(map(str.isascii, texts)) else WIDEST_CHARACTER
    return WIDEST_NUMBER * len(row) + sum(map(len, texts)) * widest
