"""Tails: what is newer than a cursor, in a table whose rows are numbered as they are saved.

A number is given before its row is committed, so that a row may become visible after rows with
larger numbers. A place in a tail therefore keeps the numbers below it that were not there: they
stay open until their row appears, or until nobody is left who could have it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Table, bindparam, func, select

from synthorg.persistence.sql.statements.cursors import read_cursor, write_cursor
from synthorg.persistence.sql.statements.queries import AFTER, LIMIT, ListQuery
from synthorg.persistence.sql.statements.statement import (
    Parameters,
    Statement,
    bind,
    from_expression,
)

WINDOW: Final = 1000
"""How many numbers are looked at together."""

MOST_OPEN: Final = 64
"""How many ranges of numbers stay open; a cursor has to fit into a header of HTTP."""

MOST_WRITERS: Final = 16
"""How many transactions are kept whose end settles numbers."""

THROUGH: Final = "through"

Range = tuple[int, int]
"""Numbers from one to another, both included."""


class Pending(NamedTuple):
    """Transactions after whose end no row appears up to a number."""

    through: int
    writers: tuple[str, ...]


@dataclass
class Place:
    """How much of a tail was seen.

    Attributes:
        seen: The largest number that was looked at.
        open: Ranges of smaller ones whose rows were not there, and may still come.
        pending: After whose end they cannot.
    """

    seen: int = 0
    open: list[Range] = field(default_factory=list)
    pending: Pending | None = None

    def take(self, number: int, gaps: Iterable[Range]) -> None:
        """Note that the row with a number is given out.

        Args:
            number: The number.
            gaps: Ranges beyond what was seen whose rows were not there.
        """
        if number > self.seen:
            self.move(number, gaps)
        self.open = [
            part
            for first, last in self.open
            for part in _without(first, last, number)
            if part[0] <= part[1]
        ]

    def move(self, number: int, gaps: Iterable[Range]) -> None:
        """Note that all was looked at up to a number.

        Args:
            number: The number.
            gaps: Ranges beyond what was seen whose rows were not there.
        """
        self.open += [
            (max(first, self.seen + 1), min(last, number))
            for first, last in gaps
            if last > self.seen and first <= number
        ]
        self.seen = max(self.seen, number)

    def settle(self, number: int) -> None:
        """Close what is open up to a number, for nothing can appear there.

        Args:
            number: The number.
        """
        self.open = beyond(self.open, number)


def _without(first: int, last: int, number: int) -> Sequence[Range]:
    """Take a number out of a range."""
    if not first <= number <= last:
        return [(first, last)]
    return [(first, number - 1), (number + 1, last)]


def beyond(ranges: Iterable[Range], number: int) -> list[Range]:
    """Give what ranges have beyond a number.

    Args:
        ranges: The ranges.
        number: The number.
    """
    return [(max(first, number + 1), last) for first, last in ranges if last > number]


def gaps_in(numbers: Sequence[int], after: int) -> list[Range]:
    """Give the ranges of numbers that are missing between others.

    Args:
        numbers: The others, in their order.
        after: The number before the first.
    """
    before = [after, *numbers]
    return [
        (last + 1, number - 1)
        for last, number in zip(before, numbers, strict=False)
        if number > last + 1
    ]


class TailQuery:
    """The statements of one tail.

    Args:
        listing: The list of the table, whose filters it has.
        table: The table.
        number: The column that numbers its rows.
    """

    def __init__(self, listing: ListQuery, table: Table, number: str) -> None:
        self.records = listing.tail(number, bind(table, number, THROUGH))
        self._table = table
        self._number = number
        column = table.columns[number]
        beginning = column > bind(table, number, AFTER + number)
        limit = bindparam(LIMIT, type_=BigInteger(), required=True)
        self._numbers = from_expression(
            "list", table, select(column).where(beginning).order_by(column).limit(limit)
        )
        self.newest = from_expression("list", table, select(func.coalesce(func.max(column), 0)))
        """The statement that finds the largest number, which is 0 without rows."""

    def numbers(self, after: int) -> tuple[Statement, Parameters]:
        """Find the statement for the numbers of the rows that come next.

        Args:
            after: The number after which they come.
        """
        return self._numbers, {AFTER + self._number: after, LIMIT: WINDOW}

    def between(
        self, filters: Parameters, after: int, through: int, limit: int
    ) -> tuple[Statement, Parameters]:
        """Find the statement for the rows with some numbers.

        Args:
            filters: What they are narrowed by.
            after: The number after which they come.
            through: The largest number.
            limit: How many of them.
        """
        beginning = self.records.after((after,))
        return self.records.narrowed({**filters, **beginning, THROUGH: through, LIMIT: limit})

    def write(self, filters: Parameters, place: Place) -> str:
        """Write a place down as a cursor.

        Args:
            filters: What the tail is narrowed by.
            place: The place.
        """
        pending = place.pending if place.open else None
        flat: list[Any] = [number for each in place.open for number in each]
        position = (place.seen, flat, [] if pending is None else [pending[0], *pending[1]])
        return write_cursor(self._table.name, self._identity(filters), position)

    def read(self, filters: Parameters, cursor: str) -> Place:
        """Read a place back.

        Args:
            filters: What the tail is narrowed by.
            cursor: The cursor.

        Raises:
            InvalidArgumentError: If it is none of this tail with these filters.
        """
        found: tuple[Any, ...] = read_cursor(
            self._table.name,
            self._identity(filters),
            cursor,
            columns=3,
            argument="cursor",
            remedy="give one of newer_than or follow, or None to begin with the oldest",
        )
        seen, flat, pending = found
        return Place(
            seen,
            list(zip(flat[::2], flat[1::2], strict=True)),
            Pending(pending[0], tuple(pending[1:])) if pending else None,
        )

    def _identity(self, filters: Parameters) -> Parameters:
        beginning = self.records.after((0,))
        statement, present = self.records.narrowed({**filters, **beginning, THROUGH: 0})
        coerced = statement.coerce(present)
        given = {name: coerced[name] for name in self.records.filters.names if name in coerced}
        return {**given, "order": [self._number, THROUGH]}
