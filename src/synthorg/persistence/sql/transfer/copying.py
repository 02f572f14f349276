"""A database copied into another one: begun, gone on with after an interruption, and compared."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import (
    MigrationError,
    QueryError,
    UsageError,
)
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.execution.database import Database
from synthorg.persistence.sql.migrations import runner
from synthorg.persistence.sql.owned_tables import OwnedTables
from synthorg.persistence.sql.transfer.canonical import TableDigest
from synthorg.persistence.sql.transfer.comparing import (
    Counter,
    Progress,
    digest_of,
    in_order,
)
from synthorg.persistence.sql.transfer.faults import explained
from synthorg.persistence.sql.transfer.filling import Beginning, Filling
from synthorg.persistence.sql.transfer.fitness import PassedOver
from synthorg.persistence.sql.transfer.mark import MARK, read_mark, remove_mark, set_mark
from synthorg.persistence.sql.transfer.preparing import make_tables, refuse_memory
from synthorg.persistence.sql.transfer.reader import TableReader
from synthorg.persistence.sql.transfer.report import CopiedTable, CopyReport
from synthorg.persistence.sql.transfer.snapshot import Snapshot, snapshot_of
from synthorg.persistence.sql.transfer.writer import Target

PASSES: Final = 2
"""How often each row is counted: when it is copied, and when it is compared."""


async def copy(
    source: Dialect,
    target: Dialect,
    every: Sequence[OwnedTables],
    *,
    skip_unreadable: bool = False,
    progress: Progress | None = None,
) -> CopyReport:
    """Copy a database into an empty one, or go on with a copy that was interrupted.

    Args:
        source: The database to copy, of which one state is read.
        target: The database to write, which is migrated if it has no tables.
        every: The tables of each owner.
        skip_unreadable: Whether to leave out what no entity can be made of.
        progress: Who is told how far it is.

    Raises:
        MigrationError: If the source has other tables than those of this release, or is a copy
            that has not ended; or if the target has other tables or records of its own.
        QueryError: If the target holds something else in the end, or refuses a record.
        UnreadableRecordError: If no entity can be made of a record.
        UsageError: If both are the same, or one ends with its connection.
    """
    _refuse_same(source, target)
    async with snapshot_of(source) as snapshot:
        for owned in every:
            await snapshot.refuse_other_schema(owned)
        left_out = await snapshot.find_others(every)
        if MARK.name in left_out:
            raise MigrationError(
                f"cannot copy {source.description}: it holds the beginning of a copy itself, which "
                "has not ended; run that to its end first"
            )
        database = Database(target, runner.find_schema_problem)
        await database.open()
        try:
            await make_tables(database, every, "copy")
            async with database.migration_connection() as connection:
                work = _Copy(snapshot, connection, target, every, skip_unreadable=skip_unreadable)
                resumed, tables = await work.run(source, progress)
        finally:
            await database.close()
    return CopyReport(source.description, target.description, resumed, tables, left_out)


def _refuse_same(source: Dialect, target: Dialect) -> None:
    for dialect in (source, target):
        refuse_memory(dialect, "copy with")
    if source.place == target.place:
        raise UsageError(
            f"cannot copy {source.description} into itself; name another database as the target"
        )


def origin_of(source: Dialect, owners: Iterable[str]) -> str:
    """Name what is copied, as it is in the mark of a copy.

    Args:
        source: The database.
        owners: Whose tables are copied.
    """
    return f"{source.place} ({', '.join(owners)})"


class _Copy:
    """One run of a copy."""

    def __init__(
        self,
        snapshot: Snapshot,
        connection: AsyncConnection,
        dialect: Dialect,
        every: Sequence[OwnedTables],
        *,
        skip_unreadable: bool,
    ) -> None:
        self._source = snapshot
        self._connection = connection
        self._dialect = dialect
        self._owners = [owned.owner for owned in every]
        self._tables = in_order(every)
        self._target = Target(connection, dialect, self._tables)
        self._passed_over = PassedOver() if skip_unreadable else None
        self._own = Snapshot(connection, dialect)  # as nobody else writes there
        self._filling = Filling(connection, self._own, self._target)

    async def run(
        self, source: Dialect, progress: Progress | None
    ) -> tuple[bool, tuple[CopiedTable, ...]]:
        """Begin the copy, go on with it, or find that it has ended before.

        Args:
            source: The database that is copied.
            progress: Who is told how far it is.

        Returns:
            Whether there was an earlier attempt, and what came of each table.

        Raises:
            MigrationError: If the target has records of somebody else.
        """
        readers = [self._reader(table) for table in self._tables]
        totals = [await reader.count() for reader in readers]
        counter = Counter(PASSES * sum(totals), progress)
        origin = origin_of(source, self._owners)
        is_begun = await self._is_begun(origin)
        if not is_begun:
            filled = [each for each in self._tables if not await self._target.is_empty(each)]
            if filled:
                return True, await self._confirm(readers, totals, filled, counter)
            await self._mark(set_mark, origin)
        return is_begun, await self._carry_out(readers, counter, resumed=is_begun)

    async def _is_begun(self, origin: str) -> bool:
        with explained(self._dialect, f"mark {self._dialect.description}"):
            found = await self._connection.run_sync(read_mark)
            await self._connection.rollback()
        if found is not None and found != origin:
            raise MigrationError(
                f"cannot copy into {self._dialect.description}: it holds the beginning of a copy "
                f"of {found}, not of {origin}; go on with that one, or use an empty database"
            )
        return found is not None

    async def _confirm(
        self,
        readers: Sequence[TableReader],
        totals: Sequence[int],
        filled: Sequence[Table],
        counter: Counter,
    ) -> tuple[CopiedTable, ...]:
        """Find that the copy has ended before, or refuse a target that holds something else.

        It may have been killed when all was done, and before anybody was told.
        """
        is_full = [await TableReader(self._own, table).count() for table in self._tables] == totals
        await self._connection.rollback()
        if is_full or self._passed_over is not None:
            with suppress(QueryError):
                compared = await self._compare(readers, [None] * len(readers), counter)
                return _copied(readers, compared, [Beginning()] * len(readers))
        await self._connection.rollback()
        names = ", ".join(table.name for table in filled)
        raise MigrationError(
            f"cannot copy into {self._dialect.description}: it has records already, which are not "
            f"the beginning of this copy ({names}); use an empty database"
        )

    async def _mark(self, write: Callable[..., None], *arguments: object) -> None:
        with explained(self._dialect, f"mark {self._dialect.description}"):
            options = self._dialect.begin_options(write=True)
            await self._connection.execution_options(**options)
            await self._connection.run_sync(write, *arguments)
            await self._connection.commit()

    async def _carry_out(
        self, readers: Sequence[TableReader], counter: Counter, *, resumed: bool
    ) -> tuple[CopiedTable, ...]:
        begun = [
            await self._filling.prune(reader) if resumed else Beginning() for reader in readers
        ]
        digests = [
            await self._filling.fill(reader, beginning, counter)
            for reader, beginning in zip(readers, begun, strict=True)
        ]
        compared = await self._compare(readers, digests, counter)
        await self._mark(remove_mark)
        return _copied(readers, compared, begun)

    def _reader(self, table: Table) -> TableReader:
        return TableReader(self._source, table, checks=True, passed_over=self._passed_over)

    async def _compare(
        self,
        readers: Sequence[TableReader],
        digests: Sequence[TableDigest | None],
        counter: Counter,
    ) -> list[TableDigest]:
        """Read everything again, and refuse what is not the same."""
        compared, different = [], []
        for reader, known in zip(readers, digests, strict=True):
            expected = known
            if expected is None:
                reader.skipped = 0
                expected = await digest_of(reader, Counter(0, None))
            found = await digest_of(TableReader(self._own, reader.table), counter)
            await self._connection.rollback()
            compared.append(found)
            if found != expected:
                name = reader.table.name
                different.append(f"{name} has {found.rows} rows for {expected.rows}")
        if different:
            raise QueryError(
                f"the copy in {self._dialect.description} is not the same as the source "
                f"({'; '.join(different)}), as when somebody else writes to it; run the same "
                "command again, which mends it"
            )
        return compared


def _copied(
    readers: Sequence[TableReader],
    compared: Sequence[TableDigest],
    begun: Sequence[Beginning],
) -> tuple[CopiedTable, ...]:
    return tuple(
        CopiedTable(reader.table.name, digest.rows, digest.digest, reader.skipped, each.removed)
        for reader, digest, each in zip(readers, compared, begun, strict=True)
    )
