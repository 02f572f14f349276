"""A table of one state of a database, read in the order of keys."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Executable,
    Row,
    Select,
    Table,
    bindparam,
    func,
    literal_column,
    select,
)

from synthorg.persistence.errors import (
    QueryError,
    TransactionConflictError,
)
from synthorg.persistence.sql.drivers.batching import BYTES_AT_ONCE
from synthorg.persistence.sql.repositories.chunks import ROWS_AT_ONCE
from synthorg.persistence.sql.statements.statement import long_columns
from synthorg.persistence.sql.transfer.checked_rows import CheckedRows, Chunk
from synthorg.persistence.sql.transfer.cost_guard import are_not_blank
from synthorg.persistence.sql.transfer.fitness import PassedOver
from synthorg.persistence.sql.transfer.keys import Key, has_key, key_columns
from synthorg.persistence.sql.transfer.snapshot import Snapshot

BYTES_IN_CHUNK: Final = BYTES_AT_ONCE // 4
"""How many bytes of large values a chunk has, unless one row alone has more: it is held twice, as
values and in its canonical form, and Python takes up to four bytes for each of a text."""

AFTER: Final = "after_"
"""What the names of the parameters begin with that a list goes on after."""


class TableReader:
    """Reads one table of a `Snapshot`.

    Args:
        snapshot: The state of the database.
        table: The table.
        checks: Whether each row has to be one that its entity can be made of.
        passed_over: Where to note what is left out; without it, the first is an error.
        where: What the rows have to meet; without it, all are read.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        table: Table,
        *,
        checks: bool = False,
        passed_over: PassedOver | None = None,
        where: Sequence[ColumnElement[bool]] = (),
    ) -> None:
        self.table = table
        self.checked = CheckedRows(table, checks=checks, passed_over=passed_over)
        self._snapshot = snapshot
        self._where = [*where, *are_not_blank(table)]
        self._expressions = self.checked.canonical.expressions
        self._names = [column.name for column in self.checked.canonical.columns]
        self._key = key_columns(table)

    @property
    def skipped(self) -> int:
        """How many rows were left out."""
        return self.checked.skipped

    @skipped.setter
    def skipped(self, number: int) -> None:
        self.checked.skipped = number

    async def count(self) -> int:
        """Count the rows."""
        counted = select(func.count()).select_from(self.table).where(*self._where)
        return int((await self._snapshot.fetch(counted, self.table))[0][0])

    async def count_up_to(self, key: Key) -> int:
        """Count the rows up to one.

        Args:
            key: Its key.
        """
        up_to = ~self._after
        counted = select(func.count()).select_from(self.table).where(up_to, *self._where)
        rows = await self._snapshot.fetch(counted, self.table, self._position(key))
        return int(rows[0][0])

    async def chunks(self, after: Key | None = None) -> AsyncIterator[Chunk]:
        """Read the rows in the order of keys, in chunks of few rows and few bytes.

        Args:
            after: The key that they come after; without it, all.
        """
        while True:
            limit, is_last = await self._fitting(after)
            if not limit:
                return
            chunk = await self._read(limit, after)
            if chunk.last is None:
                return
            yield chunk
            if is_last:
                return
            after = chunk.last

    async def find(self, keys: Sequence[Key]) -> Chunk:
        """Read the rows with some keys.

        Args:
            keys: The keys, few enough for one chunk.

        Returns:
            Those that are there.
        """
        wanted = select(*self._expressions).where(has_key(self.table, keys))
        return self.checked.of(await self._snapshot.fetch(wanted, self.table))

    async def _read(self, limit: int, after: Key | None) -> Chunk:
        listed = self._listed(self._expressions, limit, after)
        try:
            rows = await self._fetch(listed, after)
        except TransactionConflictError:
            raise
        except QueryError:
            rows, last = await self._read_one_by_one(limit, after)
            return replace(self.checked.of(rows), last=last)
        return self.checked.of(rows)

    async def _read_one_by_one(
        self, limit: int, after: Key | None
    ) -> tuple[Sequence[Row[Any]], Key | None]:
        """Find the row that cannot be read at all, as one of which a text is not UTF-8.

        Returns:
            The others, and the key of the last of them all.
        """
        rows: list[Row[Any]] = []
        key: Key | None = None
        for found in await self._fetch(self._listed(self._key, limit, after), after):
            key = tuple(found)
            wanted = select(*self._expressions).where(has_key(self.table, [key]))
            try:
                rows += await self._snapshot.fetch(wanted, self.table)
            except QueryError as error:
                reason = str(error).rpartition(": ")[2]
                self.checked.pass_over(key, self.checked.unreadable(key, reason))
        return rows, key

    @cached_property
    def _after(self) -> ColumnElement[bool]:
        position = [bindparam(f"{AFTER}{each.key}", type_=each.type) for each in self._key]
        return self._snapshot.dialect.after_position(self._key, position, descending=False)

    @cached_property
    def _bytes(self) -> ColumnElement[int] | None:
        """The bytes of a row in the columns that may have many, if there are any."""
        total: ColumnElement[int] | None = None
        for name in long_columns(self.table, self._names):
            size = func.coalesce(
                self._snapshot.dialect.bytes_of(self.table.columns[name]), literal_column("0")
            )
            total = size if total is None else total + size
        return total

    async def _fitting(self, after: Key | None) -> tuple[int, bool]:
        """Tell how many of the next rows fit into a chunk, and whether those are the last."""
        if self._bytes is None:
            return ROWS_AT_ONCE, False
        sizes = await self._fetch(self._listed([self._bytes], ROWS_AT_ONCE, after), after)
        used = 0
        for number, (size,) in enumerate(sizes):
            used += size
            if number and used > BYTES_IN_CHUNK:
                return number, False
        return len(sizes), len(sizes) < ROWS_AT_ONCE

    def _listed(
        self, columns: Collection[ColumnElement[Any]], limit: int, after: Key | None
    ) -> Select[Any]:
        listed = select(*columns).where(*self._where).order_by(*self._key).limit(limit)
        if after is None:
            return listed
        names = [str(each.key) for each in self._key]
        return self._snapshot.dialect.in_order(listed.where(self._after), self.table, names)

    async def _fetch(self, listed: Executable, after: Key | None) -> Sequence[Row[Any]]:
        return await self._snapshot.fetch(
            listed, self.table, {} if after is None else self._position(after)
        )

    def _position(self, key: Key) -> dict[str, Any]:
        named = zip(self._key, key, strict=True)
        return {f"{AFTER}{column.key}": value for column, value in named}
