"""A table of one state of a database, read in the order of keys."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
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
    UnreadableRecordError,
)
from synthorg.persistence.sql.drivers.batching import BYTES_AT_ONCE
from synthorg.persistence.sql.repositories.chunks import ROWS_AT_ONCE
from synthorg.persistence.sql.statements.statement import long_columns
from synthorg.persistence.sql.transfer.canonical import CanonicalRows
from synthorg.persistence.sql.transfer.fitness import EntityCheck, PassedOver
from synthorg.persistence.sql.transfer.keys import Key, has_key, key_columns, name_record
from synthorg.persistence.sql.transfer.snapshot import Snapshot

BYTES_IN_CHUNK: Final = BYTES_AT_ONCE // 4
"""How many bytes of large values a chunk has, unless one row alone has more: it is held twice, as
values and in its canonical form, and Python takes up to four bytes for each of a text."""

AFTER: Final = "after_"
"""What the names of the parameters begin with that a list goes on after."""


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


class TableReader:
    """Reads one table of a `Snapshot`.

    Args:
        snapshot: The state of the database.
        table: The table.
        checks: Whether each row has to be one that its entity can be made of.
        passed_over: Where to note what is left out; without it, the first is an error.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        table: Table,
        *,
        checks: bool = False,
        passed_over: PassedOver | None = None,
    ) -> None:
        self.table = table
        self.skipped = 0
        self._snapshot = snapshot
        self._canonical = CanonicalRows(table)
        self._names = [column.name for column in self._canonical.columns]
        self._key = key_columns(table)
        self._key_at = [self._names.index(column.key or "") for column in self._key]
        self._entity = EntityCheck.of(table, self._names) if checks else None
        self._passed_over = passed_over
        self._references = [
            (self._names.index(each.parent.name), each.column) for each in table.foreign_keys
        ]

    async def count(self) -> int:
        """Count the rows."""
        rows = await self._snapshot.fetch(select(func.count()).select_from(self.table), self.table)
        return int(rows[0][0])

    async def count_up_to(self, key: Key) -> int:
        """Count the rows up to one.

        Args:
            key: Its key.
        """
        up_to = ~self._after
        counted = select(func.count()).select_from(self.table).where(up_to)
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

    async def find(self, keys: Sequence[Key]) -> Mapping[Key, bytes]:
        """Read the rows with some keys.

        Args:
            keys: The keys, few enough for one chunk.

        Returns:
            The canonical form of each row that is there.
        """
        wanted = select(*self._canonical.expressions).where(has_key(self.table, keys))
        found = self.checked(await self._snapshot.fetch(wanted, self.table))
        return dict(zip(found.keys, found.lines, strict=True))

    def checked(self, rows: Sequence[Row[Any]]) -> Chunk:
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
            key = self._key_of(row)
            try:
                line = self._line(row, key)
            except UnreadableRecordError as error:
                self._pass_over(key, error)
            else:
                kept.append(row)
                lines.append(line)
                keys.append(key)
        return Chunk(kept, lines, keys, key)

    async def _read(self, limit: int, after: Key | None) -> Chunk:
        listed = self._listed(self._canonical.expressions, limit, after)
        try:
            rows = await self._fetch(listed, after)
        except TransactionConflictError:
            raise
        except QueryError:
            rows, last = await self._read_one_by_one(limit, after)
            return replace(self.checked(rows), last=last)
        return self.checked(rows)

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
            wanted = select(*self._canonical.expressions).where(has_key(self.table, [key]))
            try:
                rows += await self._snapshot.fetch(wanted, self.table)
            except QueryError as error:
                self._pass_over(key, self._unreadable(key, str(error).rpartition(": ")[2]))
        return rows, key

    def _pass_over(self, key: Key, error: UnreadableRecordError) -> None:
        """Leave a row out, or raise what is wrong with it."""
        if self._passed_over is None:
            raise error
        self._passed_over.add(self.table, key)
        self.skipped += 1

    def _line(self, row: Sequence[Any], key: Key) -> bytes:
        try:
            line = self._canonical.write(row)
        except ValueError as error:
            raise self._unreadable(key, str(error)) from None
        if self._entity is not None:
            self._entity.check(row)
        if self._passed_over is not None:
            for at, column in self._references:
                if self._passed_over.has(column, row[at]):
                    raise self._unreadable(key, "it refers to a record that is passed over")
        return line

    def _unreadable(self, key: Key, reason: str) -> UnreadableRecordError:
        named = {str(each.key): value for each, value in zip(self._key, key, strict=True)}
        return UnreadableRecordError(
            f"cannot read {name_record(self.table, key)}: {reason}",
            table=self.table.name,
            key=named,
            reason=reason,
        )

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
        listed = select(*columns).order_by(*self._key).limit(limit)
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

    def _key_of(self, row: Sequence[Any]) -> Key:
        return tuple([row[at] for at in self._key_at])
