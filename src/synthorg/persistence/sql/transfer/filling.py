"""A table of the target filled with what the source has and it has not."""

from dataclasses import dataclass

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import DuplicateRecordError, QueryError
from synthorg.persistence.sql.tables import APPEND_ONLY
from synthorg.persistence.sql.transfer.canonical import Digesting, TableDigest
from synthorg.persistence.sql.transfer.checked_rows import Chunk
from synthorg.persistence.sql.transfer.comparing import COPYING, Counter
from synthorg.persistence.sql.transfer.keys import Key
from synthorg.persistence.sql.transfer.reader import TableReader
from synthorg.persistence.sql.transfer.snapshot import Snapshot
from synthorg.persistence.sql.transfer.writer import Target


@dataclass(frozen=True)
class Beginning:
    """What there is of a table in the target.

    Attributes:
        after: The last row up to which it has all that the source has.
        is_whole: Whether it has none beyond that.
        removed: How many rows were removed from it.
    """

    after: Key | None = None
    is_whole: bool = True
    removed: int = 0


class Filling:
    """Fills the tables of one target.

    Args:
        connection: The connection to it.
        own: Reads it through that connection.
        target: Writes to it through that connection.
    """

    def __init__(self, connection: AsyncConnection, own: Snapshot, target: Target) -> None:
        self._connection = connection
        self._own = own
        self._target = target

    async def prune(self, reader: TableReader) -> Beginning:
        """Remove what an earlier attempt has written and the source no longer has like this.

        Args:
            reader: Reads the table in the source.

        Returns:
            Up to where the target has all that the source has.

        Raises:
            QueryError: If the table lets nothing be removed.
        """
        table, removed, kept = reader.table, 0, 0
        last: Key | None = None
        async for chunk in TableReader(self._own, table).chunks():
            await self._connection.rollback()
            there = await reader.find(chunk.keys)
            expected = dict(zip(there.keys, there.lines, strict=True))
            found = zip(chunk.keys, chunk.lines, strict=True)
            wrong = [key for key, line in found if expected.get(key) != line]
            if wrong:
                self._refuse_to_remove(table)
                await self._target.delete(table, wrong)
            removed += len(wrong)
            kept += len(chunk.keys) - len(wrong)
            last = chunk.keys[-1]
        await self._connection.rollback()
        reader.skipped = 0
        if last is None:
            return Beginning(removed=removed)
        is_whole = await reader.count_up_to(last) == kept
        return Beginning(last if is_whole else None, is_whole or kept == 0, removed)

    def _refuse_to_remove(self, table: Table) -> None:
        if APPEND_ONLY in table.info:
            raise QueryError(
                f"cannot go on with the copy into {self._own.dialect.description}: {table.name} "
                "has rows that the source no longer has, and lets nothing be removed; begin again "
                "with an empty database"
            )

    async def fill(
        self, reader: TableReader, beginning: Beginning, counter: Counter
    ) -> TableDigest | None:
        """Write what the target has not.

        Args:
            reader: Reads the table in the source.
            beginning: What there is of it in the target.
            counter: Is told of the rows.

        Returns:
            The digest of the source, if all of it was read.
        """
        table, digesting = reader.table, Digesting()
        if beginning.after is not None:
            counter.add(COPYING, table, await reader.count_up_to(beginning.after))
        async for chunk in reader.chunks(beginning.after):
            await self._write_missing(table, chunk, is_new=beginning.is_whole)
            digesting.add(chunk.lines)
            counter.add(COPYING, table, len(chunk.rows))
        await self._target.complete(table)
        return digesting.so_far if beginning.after is None else None

    async def _write_missing(self, table: Table, chunk: Chunk, *, is_new: bool) -> None:
        """Write the rows of a chunk, but for those that are there.

        Args:
            table: Their table.
            chunk: The rows.
            is_new: Whether none should be there; but a server may still finish the last batch of
                a process that was killed.
        """
        try:
            if is_new:
                await self._target.insert(table, chunk.rows)
                return
        except DuplicateRecordError:
            pass
        there = await self._target.find(table, chunk.keys)
        rows = zip(chunk.keys, chunk.rows, strict=True)
        await self._target.insert(table, [row for key, row in rows if key not in there])
