"""Two databases compared: the number of rows and the digest of each table."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.sql.ddl import sort_tables

from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.owned_tables import OwnedTables
from synthorg.persistence.sql.tables import DERIVED
from synthorg.persistence.sql.transfer.canonical import Digesting, TableDigest
from synthorg.persistence.sql.transfer.fitness import PassedOver
from synthorg.persistence.sql.transfer.reader import TableReader
from synthorg.persistence.sql.transfer.snapshot import Snapshot, snapshot_of

COPYING: Final = "copying"
COMPARING: Final = "comparing"

Progress = Callable[[str, str, int, int], None]
"""Told what is done, with which table, how many rows are done of all tables, and of how many."""


@dataclass(frozen=True)
class TableComparison:
    """One table on both sides.

    Attributes:
        name: Its name.
        first: Its rows and their digest in the first database.
        second: The same in the second one.
    """

    name: str
    first: TableDigest
    second: TableDigest

    @property
    def is_equal(self) -> bool:
        """Whether both have the same records."""
        return self.first == self.second


@dataclass(frozen=True)
class Comparison:
    """What came of comparing two databases.

    Attributes:
        first: The first one, in words.
        second: The second one.
        tables: Each table, in an order in which none comes before one that it refers to.
    """

    first: str
    second: str
    tables: tuple[TableComparison, ...]

    @property
    def differences(self) -> tuple[TableComparison, ...]:
        """The tables that are not the same."""
        return tuple(each for each in self.tables if not each.is_equal)

    def as_json(self) -> dict[str, Any]:
        """Give the comparison in the form of a JSON document."""
        return {
            "first": self.first,
            "second": self.second,
            "equal": not self.differences,
            "tables": {each.name: _both(each) for each in self.tables},
        }


class Counter:
    """Counts the rows that are done, and tells about them.

    Args:
        total: How many there are.
        progress: Who is told, if anybody.
    """

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done = 0
        self._total = total
        self._progress = progress

    def add(self, what: str, table: Table, rows: int) -> None:
        """Count some more.

        Args:
            what: What was done with them.
            table: Their table.
            rows: How many they are.
        """
        self._done += rows
        if self._progress is not None:
            self._progress(what, table.name, self._done, max(self._total, self._done))


def in_order(every: Sequence[OwnedTables]) -> list[Table]:
    """Give all tables that are moved, each after those that it refers to.

    Args:
        every: The tables of each owner.
    """
    tables = [table for owned in every for table in owned.metadata.sorted_tables]
    return sort_tables([table for table in tables if DERIVED not in table.info])


async def compare(
    first: Dialect,
    second: Dialect,
    every: Sequence[OwnedTables],
    *,
    skip_unreadable: bool = False,
    progress: Progress | None = None,
) -> Comparison:
    """Compare what two databases hold, and change neither.

    Args:
        first: The one.
        second: The other one.
        every: The tables of each owner.
        skip_unreadable: Whether to leave out what no entity can be made of.
        progress: Who is told how far it is.

    Raises:
        MigrationError: If one of them has other tables than those of this release.
        PersistenceConnectionError: If one cannot be reached.
    """
    async with snapshot_of(first) as one, snapshot_of(second) as other:
        for owned in every:
            await one.refuse_other_schema(owned)
            await other.refuse_other_schema(owned)
        pairs = list(
            zip(
                _readers(one, every, skip_unreadable=skip_unreadable),
                _readers(other, every, skip_unreadable=skip_unreadable),
                strict=True,
            )
        )
        total = sum([await reader.count() for pair in pairs for reader in pair])
        counter = Counter(total, progress)
        compared = []
        for reader, counterpart in pairs:
            digests = await asyncio.gather(
                digest_of(reader, counter), digest_of(counterpart, counter)
            )
            compared.append(TableComparison(reader.table.name, *digests))
    return Comparison(first.description, second.description, tuple(compared))


async def digest_of(reader: TableReader, counter: Counter) -> TableDigest:
    """Read a table for its digest.

    Args:
        reader: Reads it.
        counter: Is told of the rows.
    """
    digesting = Digesting()
    async for chunk in reader.chunks():
        digesting.add(chunk.lines)
        counter.add(COMPARING, reader.table, len(chunk.rows))
    return digesting.so_far


def _readers(
    snapshot: Snapshot, every: Sequence[OwnedTables], *, skip_unreadable: bool
) -> list[TableReader]:
    passed_over = PassedOver() if skip_unreadable else None
    return [
        TableReader(snapshot, table, checks=skip_unreadable, passed_over=passed_over)
        for table in in_order(every)
    ]


def _both(table: TableComparison) -> dict[str, Any]:
    return {
        "equal": table.is_equal,
        "rows": [table.first.rows, table.second.rows],
        "digests": [table.first.digest, table.second.digest],
    }
