"""One state of a database, read table by table in the order of keys."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pydantic_core import from_json
from sqlalchemy import (
    ColumnElement,
    Executable,
    Row,
    Select,
    Table,
    bindparam,
    func,
    inspect,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import MigrationError, UnreadableRecordError, UsageError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.drivers.batching import BYTES_AT_ONCE
from synthorg.persistence.sql.migrations.revisions import known_revisions
from synthorg.persistence.sql.migrations.state import Condition, read_state
from synthorg.persistence.sql.owned_tables import OwnedTables
from synthorg.persistence.sql.repositories import repository_over
from synthorg.persistence.sql.repositories.chunks import ROWS_AT_ONCE
from synthorg.persistence.sql.repositories.records import RowReader
from synthorg.persistence.sql.statements.statement import field_names, long_columns
from synthorg.persistence.sql.transfer.canonical import CanonicalRows
from synthorg.persistence.sql.transfer.faults import explained
from synthorg.persistence.sql.types import JsonDocument

Key = tuple[Any, ...]
"""The values of a primary key."""

AFTER: Final = "after_"
"""What the names of the parameters begin with that a list goes on after."""


@dataclass(frozen=True)
class Chunk:
    """Some rows that follow each other.

    Attributes:
        rows: Their values.
        lines: Their canonical form.
        keys: Their keys.
    """

    rows: Sequence[Sequence[Any]]
    lines: Sequence[bytes]
    keys: Sequence[Key]


def key_columns(table: Table) -> list[ColumnElement[Any]]:
    """Give the columns of the primary key, by which rows are told apart.

    Args:
        table: The table.

    Raises:
        UsageError: If it has none.
    """
    if not table.primary_key.columns:
        raise UsageError(f"cannot copy {table.name}: it has no primary key to tell its rows apart")
    return list(table.primary_key.columns)


def has_key(table: Table, keys: Sequence[Key]) -> ColumnElement[bool]:
    """Build the condition for the rows with some keys.

    Args:
        table: The table.
        keys: The keys.
    """
    columns = key_columns(table)
    if len(columns) == 1:
        return columns[0].in_([key[0] for key in keys])
    return tuple_(*columns).in_(keys)


def name_record(table: Table, key: Key) -> str:
    """Name a record for a message, by table and key.

    Args:
        table: Its table.
        key: Its key.
    """
    named = zip(table.primary_key.columns, key, strict=True)
    return f"{table.name} ({', '.join(f'{column.name}={value!r}' for column, value in named)})"


class PassedOver:
    """What could not be read and was left out, so that what refers to it is left out as well."""

    def __init__(self) -> None:
        self._values: dict[ColumnElement[Any], set[Any]] = {}

    def add(self, table: Table, key: Key) -> None:
        """Note a record that is left out."""
        for column, value in zip(table.primary_key.columns, key, strict=True):
            self._values.setdefault(column, set()).add(value)

    def has(self, column: ColumnElement[Any], value: object) -> bool:
        """Tell whether a record with this value in its key is left out."""
        return value in self._values.get(column, ())


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
        snapshot: "Snapshot",
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
        self._entity = _EntityCheck.of(table, self._names) if checks else None
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
            rows = await self._fetch(self._listed(self._canonical.expressions, limit, after), after)
            if not rows:
                return
            yield self.checked(rows)
            if is_last:
                return
            after = self._key_of(rows[-1])

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
        for row in rows:
            key = self._key_of(row)
            try:
                line = self._line(row, key)
            except UnreadableRecordError:
                if self._passed_over is None:
                    raise
                self._passed_over.add(self.table, key)
                self.skipped += 1
            else:
                kept.append(row)
                lines.append(line)
                keys.append(key)
        return Chunk(kept, lines, keys)

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
            if number and used > BYTES_AT_ONCE:
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


class _EntityCheck:
    """Whether the entity of a table can be made of its rows."""

    def __init__(self, table: Table, record: type[Any], names: Sequence[str]) -> None:
        self._reader: RowReader[Any] = RowReader(table, record)
        self._fields = field_names(record)
        keys = [each.name for each in table.primary_key if each.name not in self._fields]
        self._picked = [names.index(name) for name in (*self._fields, *keys)]
        self._documents = frozenset(
            names.index(name)
            for name in self._fields
            if isinstance(table.columns[name].type, JsonDocument)
        )

    @classmethod
    def of(cls, table: Table, names: Sequence[str]) -> "_EntityCheck | None":
        """Make the check for a table; None where nobody has said what its rows are."""
        repository = repository_over(table)
        return None if repository is None else cls(table, repository.record, names)

    def check(self, row: Sequence[Any]) -> None:
        """Refuse a row of which no entity can be made."""
        values = [_parsed(row[at]) if at in self._documents else row[at] for at in self._picked]
        self._reader.read_named(self._fields, values)


def _parsed(document: Any) -> object:
    try:
        return from_json(document, allow_inf_nan=False)
    except (TypeError, ValueError):
        return document  # the entity refuses it, naming the field


class Snapshot:
    """One state of a database, whatever others write meanwhile.

    Args:
        connection: A connection in a transaction that reads alone.
        dialect: The kind of database.
    """

    def __init__(self, connection: AsyncConnection, dialect: Dialect) -> None:
        self.dialect = dialect
        self._connection = connection

    async def fetch(
        self, query: Executable, table: Table, values: Mapping[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        """Read rows.

        Args:
            query: What to read.
            table: From which table, for messages.
            values: The values of its parameters.
        """
        with explained(self.dialect, f"read {table.name} of {self.dialect.description}"):
            step = self._connection.execute(query, dict(values or {}))
            return (await self.dialect.step(self._connection, step)).all()

    async def refuse_other_schema(self, owned: OwnedTables) -> None:
        """Refuse a database whose tables are not those of this release.

        Args:
            owned: The tables in question.

        Raises:
            MigrationError: If they are not, with what to do.
        """
        state = await self._connection.run_sync(
            read_state, known_revisions(owned), self.dialect, owned
        )
        if state.condition is not Condition.CURRENT:
            raise MigrationError(
                f"cannot read {self.dialect.description}, tables of {owned.owner}: "
                f"{state.description}"
            )

    async def find_others(self, every: Sequence[OwnedTables]) -> tuple[str, ...]:
        """Name the tables that are there beside those in question.

        Args:
            every: The tables in question.
        """
        known = {name for owned in every for name in owned.names}
        names = await self._connection.run_sync(lambda each: inspect(each).get_table_names())
        return tuple(sorted(set(names) - known))


@asynccontextmanager
async def snapshot_of(dialect: Dialect) -> AsyncIterator[Snapshot]:
    """Look at one state of an existing database for as long as it takes.

    Args:
        dialect: The kind of database.

    Raises:
        PersistenceConnectionError: If it cannot be reached.
    """
    dialect.refuse_absence()
    engine = dialect.create_engine()
    try:
        with explained(dialect, f"connect to {dialect.description}"):
            async with engine.connect() as connection:
                await dialect.inspect_server(connection)
                await connection.rollback()
                await connection.execution_options(**dialect.snapshot_options())
                yield Snapshot(connection, dialect)
    finally:
        await engine.dispose()
