"""Records of an export saved into a database: what is there already is passed over, or refused."""

from collections import defaultdict
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import (
    DuplicateRecordError,
    QueryError,
    UnreadableRecordError,
)
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.execution.database import Database
from synthorg.persistence.sql.migrations import runner
from synthorg.persistence.sql.owned_tables import OwnedTables
from synthorg.persistence.sql.repositories import repository_over
from synthorg.persistence.sql.repositories.chunks import ROWS_AT_ONCE, chunks
from synthorg.persistence.sql.tables import APPEND_ONLY, RECORD_KEY, audit_removals, cost_records
from synthorg.persistence.sql.transfer.audit_guard import refuse_removals_of_others
from synthorg.persistence.sql.transfer.canonical import moved_columns
from synthorg.persistence.sql.transfer.checked_rows import CheckedRows, Chunk
from synthorg.persistence.sql.transfer.comparing import COMPARING, Counter, Progress, in_order
from synthorg.persistence.sql.transfer.cost_guard import is_blank, refuse_counted_costs
from synthorg.persistence.sql.transfer.exporting import ROLLUPS, chosen_tables
from synthorg.persistence.sql.transfer.fitness import PassedOver
from synthorg.persistence.sql.transfer.keys import Key, name_record
from synthorg.persistence.sql.transfer.lines import RecordLines
from synthorg.persistence.sql.transfer.manifest import Manifest
from synthorg.persistence.sql.transfer.preparing import make_tables, refuse_memory
from synthorg.persistence.sql.transfer.reader import TableReader
from synthorg.persistence.sql.transfer.record_files import read_records
from synthorg.persistence.sql.transfer.snapshot import Snapshot
from synthorg.persistence.sql.transfer.windows import Window
from synthorg.persistence.sql.transfer.writer import Check, Target

IMPORTING: Final = "importing"

PASSES: Final = 2
"""How often each record of an export is read: all are compared before any is saved."""

FIRST: Final[Mapping[Table, Check]] = {
    cost_records: refuse_counted_costs,
    audit_removals: refuse_removals_of_others,
}
"""What is looked at before records of a table are added."""

TOLD: Final = 5
"""How many records an error names."""

Record = bytes | Mapping[str, Any]


@dataclass
class ImportedKind:
    """What came of the records of one kind.

    Attributes:
        name: The name of their table.
        added: How many were not there before.
        replaced: How many took the place of another one with the same key.
        unchanged: How many were there already, just like this.
        skipped: How many were left out, since they do not fit their entity.
    """

    name: str
    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class ImportReport:
    """What was imported.

    Attributes:
        database: The database, in words.
        folder: The export.
        kinds: Each kind, in the order in which they were imported.
    """

    database: str
    folder: str
    kinds: tuple[ImportedKind, ...]

    @property
    def added(self) -> int:
        """How many records were not there before."""
        return sum(each.added for each in self.kinds)

    @property
    def skipped(self) -> int:
        """How many were left out."""
        return sum(each.skipped for each in self.kinds)

    def as_json(self) -> dict[str, Any]:
        """Give the report in the form of a JSON document."""
        return {
            "database": self.database,
            "folder": self.folder,
            "kinds": {each.name: _without_name(each) for each in self.kinds},
        }


async def import_folder(
    folder: Path,
    target: Dialect,
    every: Sequence[OwnedTables],
    *,
    replace: bool,
    skip_unreadable: bool,
    progress: Progress | None,
) -> ImportReport:
    """Save the records of an export, after all of it was checked and compared with the database.

    Args:
        folder: The export.
        target: The database.
        every: The tables of each owner.
        replace: Whether records replace others with the same key.
        skip_unreadable: Whether to leave out what no entity can be made of.
        progress: Who is told how far it is.
    """
    made = Manifest.read(folder)
    made.refuse_other_schema(every)
    made.refuse_damage(folder)
    chosen = [table for table in in_order(every) if table.name in made.kinds]
    unknown = sorted(set(made.kinds) - {table.name for table in chosen})
    if unknown:
        raise QueryError(f"cannot import {folder}: there is no kind {unknown[0]}")
    async with _opened(target, every) as connection:
        work = _Import(connection, target, chosen, replace=replace, skips=skip_unreadable)
        counter = Counter(PASSES * sum(each.rows for each in made.kinds.values()), progress)

        def records(table: Table) -> Iterator[Record]:
            file = made.kinds[table.name]
            found = read_records(folder / file.file, made.format, table)
            return _of_number(found, file.rows, folder / file.file)

        await work.compare_all(records, counter)
        kinds = [await work.save(table, records(table), counter) for table in chosen]
    return ImportReport(target.description, str(folder), tuple(kinds))


async def import_records(
    target: Dialect,
    every: Sequence[OwnedTables],
    kind: str,
    records: AsyncIterable[Mapping[str, Any]],
    *,
    replace: bool,
) -> ImportedKind:
    """Save records of one kind as they come, some hundred in each transaction.

    Args:
        target: The database.
        every: The tables of each owner.
        kind: The kind.
        records: The values of each by column.
        replace: Whether they replace others with the same key.
    """
    (table, *_) = [each for each in chosen_tables(every, [kind], Window()) if each.name == kind]
    async with _opened(target, every) as connection:
        work = _Import(connection, target, [table], replace=replace, skips=False)
        return await work.save(table, records, Counter(0, None))


@dataclass
class _Sorted:
    """Records of a chunk, by what there is in the database; the keys of those that stay out."""

    missing: list[Sequence[Any]] = field(default_factory=list)
    replacing: list[Sequence[Any]] = field(default_factory=list)
    taken: list[Key] = field(default_factory=list)
    unchanged: int = 0
    in_place: int = 0
    """How many of those have the same number, too."""


class _Import:
    """One run of an import."""

    def __init__(
        self,
        connection: AsyncConnection,
        dialect: Dialect,
        tables: Sequence[Table],
        *,
        replace: bool,
        skips: bool,
    ) -> None:
        self._connection = connection
        self._dialect = dialect
        self._tables = tables
        self._own = Snapshot(connection, dialect)
        self._target = Target(connection, dialect, tables)
        self._replaces = replace
        self._skips = skips
        self._passed_over = PassedOver() if skips else None
        self._in_place: dict[Table, int] = defaultdict(int)

    async def compare_all(
        self, records: Callable[[Table], Iterable[Record]], counter: Counter
    ) -> None:
        """Compare all records with what is there, and refuse before anything is saved.

        Args:
            records: Gives the records of a table.
            counter: Is told of them.

        Raises:
            DuplicateRecordError: If a key is taken by another record that stays.
            QueryError: If roll-ups do not stand for the costs that are there.
        """
        self._in_place.clear()
        taken, number = list[str](), 0
        costs_unchanged, has_rollups = 0, False
        for table in self._tables:
            async for chunk, _ in self._chunks(table, records(table)):
                found = await self._sort(table, chunk)
                number += len(found.taken)
                taken += [name_record(table, key) for key in found.taken[: TOLD - len(taken)]]
                self._in_place[table] += found.in_place
                costs_unchanged += found.unchanged if table is cost_records else 0
                if table in ROLLUPS:
                    has_rollups |= not all(is_blank(table, row) for row in chunk.rows)
                counter.add(COMPARING, table, len(chunk.rows))
        self._refuse_taken(taken, number)
        if has_rollups:
            await self._refuse_other_costs(costs_unchanged)
        self._passed_over = PassedOver() if self._skips else None

    async def save(
        self, table: Table, records: Iterable[Record] | AsyncIterable[Record], counter: Counter
    ) -> ImportedKind:
        """Save the records of one table.

        Args:
            table: The table.
            records: The records.
            counter: Is told of them.
        """
        result = ImportedKind(table.name)
        first = FIRST.get(table)
        renumbers = await self._renumbers(table)
        async for chunk, checked in self._chunks(table, records):
            found = await self._sort(table, chunk)
            taken = [name_record(table, key) for key in found.taken[:TOLD]]
            self._refuse_taken(taken, len(found.taken))
            await self._insert(table, chunk, found, first, renumbers=renumbers)
            await self._target.replace(table, found.replacing)
            result.added += len(found.missing)
            result.replaced += len(found.replacing)
            result.unchanged += found.unchanged
            result.skipped = checked.skipped
            counter.add(IMPORTING, table, len(chunk.rows))
        if result.added:
            await self._target.complete(table)
        return result

    async def _renumbers(self, table: Table) -> bool:
        """Tell whether records get new numbers, since others may have those that they had.

        What an earlier import of the same records has left has them already.
        """
        if RECORD_KEY not in table.info:
            return False
        number = await TableReader(self._own, table).count()
        await self._connection.rollback()
        return number > self._in_place[table]

    async def _insert(
        self, table: Table, chunk: Chunk, found: _Sorted, first: Check | None, *, renumbers: bool
    ) -> None:
        try:
            await self._target.insert(table, found.missing, first, renumbers=renumbers)
        except DuplicateRecordError:
            # A server may still have finished the last batch of an import that was killed.
            missing = (await self._sort(table, chunk)).missing
            if len(missing) == len(found.missing):
                raise
            await self._target.insert(table, missing, first, renumbers=renumbers)

    async def _chunks(
        self, table: Table, records: Iterable[Record] | AsyncIterable[Record]
    ) -> AsyncIterator[tuple[Chunk, CheckedRows]]:
        lines = RecordLines(table)
        checked = CheckedRows(table, checks=True, passed_over=self._passed_over)
        async for some in chunks(records, ROWS_AT_ONCE, _weight):
            rows = []
            for record in some:
                try:
                    rows.append(lines.read(record))
                except UnreadableRecordError as error:
                    checked.pass_over(tuple(error.key.values()), error)
            yield checked.of(rows), checked

    async def _sort(self, table: Table, chunk: Chunk) -> _Sorted:
        """Tell the records that are there from those that are not."""
        if not chunk.rows:
            return _Sorted()
        there = await TableReader(self._own, table).find(chunk.keys)
        await self._connection.rollback()
        # Compared as they are exported, since a database may hold the same JSON in other spaces.
        write = partial(_without_number, table, RecordLines(table))
        stored = dict(zip(there.keys, there.rows, strict=True))
        may_replace = self._may_replace(table)
        found = _Sorted()
        for key, row in zip(chunk.keys, chunk.rows, strict=True):
            if key not in stored:
                found.missing.append(row)
            elif write(stored[key]) == write(row):
                found.unchanged += 1
                found.in_place += _number_of(table, stored[key]) == _number_of(table, row)
            elif may_replace or is_blank(table, stored[key]):
                found.replacing.append(row)
            else:
                found.taken.append(key)
        return found

    def _may_replace(self, table: Table) -> bool:
        repository = repository_over(table)
        is_kept = APPEND_ONLY in table.info or table in ROLLUPS
        return self._replaces and not (is_kept or getattr(repository, "append_only", False))

    def _refuse_taken(self, taken: Sequence[str], number: int) -> None:
        if not taken:
            return
        more = f" and {number - len(taken)} more" if number > len(taken) else ""
        remedy = (
            "records of these kinds are never changed"
            if self._replaces
            else "say that they are to be replaced, or leave them out"
        )
        raise DuplicateRecordError(
            f"cannot import into {self._dialect.description}: there are other records with the "
            f"keys of {', '.join(taken)}{more}; {remedy}"
        )

    async def _refuse_other_costs(self, unchanged: int) -> None:
        """Refuse roll-ups where there are costs for which they do not stand."""
        number = await TableReader(self._own, cost_records).count()
        await self._connection.rollback()
        if number > unchanged:
            raise QueryError(
                f"cannot import all costs into {self._dialect.description}: it has costs of its "
                "own, for which the roll-ups of the export do not stand; use a database without "
                "costs, or export the costs of a span of time, which come without roll-ups"
            )


@asynccontextmanager
async def _opened(target: Dialect, every: Sequence[OwnedTables]) -> AsyncIterator[AsyncConnection]:
    """Give a connection to a database that has tables, or gets them."""
    refuse_memory(target, "import into")
    database = Database(target, runner.find_schema_problem)
    await database.open()
    try:
        await make_tables(database, every, "import")
        async with database.migration_connection() as connection:
            yield connection
    finally:
        await database.close()


def _of_number(records: Iterator[Record], number: int, path: Path) -> Iterator[Record]:
    """Give records that are as many as the manifest says."""
    found = 0
    for record in records:
        found += 1
        yield record
    if found != number:
        raise QueryError(f"{path} has {found} records, and not {number} as the manifest says")


def _without_number(table: Table, lines: RecordLines, row: Sequence[Any]) -> bytes:
    """Write what tells a record from another one: in another database it has another number."""
    if RECORD_KEY not in table.info:
        return lines.write(row)
    number = table.autoincrement_column
    columns = moved_columns(table)
    return lines.write(
        [0 if column is number else value for column, value in zip(columns, row, strict=True)]
    )


def _number_of(table: Table, row: Sequence[Any]) -> int | None:
    """Give the number of a record in the order of saving, if it has one."""
    number = table.autoincrement_column
    return None if number is None else row[moved_columns(table).index(number)]


def _weight(record: Record) -> int:
    if isinstance(record, bytes):
        return len(record)
    return sum(len(value) for value in record.values() if isinstance(value, str))


def _without_name(kind: ImportedKind) -> dict[str, int]:
    numbers = asdict(kind)
    del numbers["name"]
    return numbers
