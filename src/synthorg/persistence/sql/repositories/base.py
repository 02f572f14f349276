"""The base of every repository: records to rows and back, and the verbs they share."""

import asyncio
import logging
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from itertools import count
from types import FunctionType
from typing import Any, ClassVar, Final, Generic, TypeVar

from sqlalchemy import Table, delete, select, update

from synthorg.entities import NotBlankStr
from synthorg.persistence.errors import (
    DuplicateRecordError,
    InvalidArgumentError,
    UnreadableRecordError,
    VersionConflictError,
)
from synthorg.persistence.log_events import LogEvent, log_event
from synthorg.persistence.paging import Arrival, Arrivals, Page
from synthorg.persistence.signatures import filters_of
from synthorg.persistence.sql.execution.executor import Executor, Rows
from synthorg.persistence.sql.execution.retrying import run_again_if_unknown
from synthorg.persistence.sql.repositories.chunks import ROWS_AT_ONCE, bytes_of, chunks
from synthorg.persistence.sql.repositories.declaration import copied, show_declaration
from synthorg.persistence.sql.repositories.fitness import (
    refuse_key_of_several,
    refuse_misfit,
    refuse_partial_order,
    refuse_unnumbered,
)
from synthorg.persistence.sql.repositories.large_rows import LargeRows
from synthorg.persistence.sql.repositories.one_ahead import OneAhead
from synthorg.persistence.sql.repositories.records import Records
from synthorg.persistence.sql.repositories.tailing import Tail
from synthorg.persistence.sql.statements.cursors import Position
from synthorg.persistence.sql.statements.queries import LIMIT, ListQuery
from synthorg.persistence.sql.statements.statement import (
    EXISTING,
    KeysStatement,
    Parameters,
    Statement,
    SwapStatement,
    accumulation,
    bind,
    deletion,
    equal,
    field_names,
    field_values,
    from_expression,
    insertion,
    long_columns,
    pick,
    replacement,
    selection,
)
from synthorg.persistence.sql.statements.tails import THROUGH, Place, TailQuery
from synthorg.persistence.sql.tables import NUMBER, record_key

Record = TypeVar("Record")

logger = logging.getLogger(__name__)

RECORDS_IN_A_TURN: Final = 50
"""How many records are checked before what was started may go on: about a millisecond."""


class Repository(Generic[Record]):
    """Records of one kind in one table, whose columns are named after the record's fields.

    Args:
        executor: Where the statements run: a database, or a transaction on one.
    """

    table: ClassVar[Table]
    record: type[Record]
    """An entity, or a named tuple of a row's values."""

    kept: ClassVar[frozenset[str]] = frozenset()
    """Columns that saving again does not change."""

    append_only: ClassVar[bool] = False
    """Whether a record is saved once and for all, rather than inserted or replaced."""

    idempotent: ClassVar[bool] = True
    """Whether saving a record twice comes to the same as saving it once."""

    _fields: ClassVar[tuple[str, ...]]
    _long_fields: ClassVar[tuple[str, ...]]
    _values_in: Callable[[Any], Mapping[str, Any]]
    _key: ClassVar[tuple[str, ...]]
    _tells_its_key: ClassVar[bool]
    _records: ClassVar[Records[Any]]
    _insertion: ClassVar[Statement]
    _saving: ClassVar[Statement]
    _selection: ClassVar[Statement]
    _deletion: ClassVar[Statement]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for method in vars(cls).values():
            if isinstance(method, FunctionType) and (
                filters_of(method) is not None or method.__doc__ is None
            ):
                show_declaration(method, cls)
        if "table" in vars(cls):
            cls._build_statements()

    @classmethod
    def _build_statements(cls) -> None:
        cls._fields = field_names(cls.record)
        refuse_misfit(cls.__name__, cls.table, cls.record.__name__, cls._fields)
        cls._long_fields = long_columns(cls.table, cls._fields)
        cls._values_in = staticmethod(field_values(cls.record))
        cls._key = tuple(column.name for column in record_key(cls.table))
        cls._tells_its_key = set(cls._key) <= set(cls._fields)
        cls.idempotent = cls.idempotent and not cls.append_only
        cls._insertion = insertion(cls.table)
        cls._saving = cls._insertion if cls.append_only else replacement(cls.table, cls.kept)
        cls._records = Records(cls.table, cls.record, cls._saving)
        cls._selection = selection(cls.table, cls._fields, cls._key)
        cls._deletion = deletion(cls.table, cls._key)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of the table {self.table.name}>"

    async def save_many(self, records: Iterable[Record] | AsyncIterable[Record]) -> None:
        if isinstance(records, self.record) or not isinstance(records, Iterable | AsyncIterable):
            raise InvalidArgumentError(
                f"cannot save {self.table.name}: records must be an iterable of "
                f"{self.record.__name__}, not {_kind(records)}"
            )

        async def save(executor: Executor) -> None:
            repository = type(self)(executor)
            # What is asynchronous may use the same unit of work, and SQLAlchemy takes several times
            # the memory for each row.
            waits = isinstance(records, AsyncIterable) or executor.route == "public"
            async with OneAhead() as steps:
                async for chunk in chunks(records, ROWS_AT_ONCE, self._weigh):
                    await repository._save_chunk(chunk, steps)  # noqa: SLF001 (of this class)
                    if waits:
                        await steps.finish()

        # What can be read only once would be missing from a second attempt.
        repeatable = isinstance(records, Collection)
        await self._executor.atomically(
            save, repeatable=repeatable, idempotent=repeatable and self.idempotent
        )

    async def _save(self, record: Record) -> None:
        if self.append_only and self._tells_its_key:
            await self._append(record)
        else:
            await self._executor.execute(self._saving, self._values_of(record))

    async def _append(self, record: Record) -> None:
        """Add a record, or find out by its key that it was added although the answer was lost."""
        values = self._values_of(record)
        attempts = count(1)

        async def attempt() -> None:
            is_first = next(attempts) == 1
            try:
                await self._executor.execute(self._insertion, values)
            except DuplicateRecordError:
                if is_first or not await self._holds(values):
                    raise

        await run_again_if_unknown(attempt)

    async def _holds(self, values: Mapping[str, Any]) -> bool:
        """Tell whether exactly these values are stored under their key."""
        stored = await self._get(*[values[name] for name in self._key])
        return stored is not None and self._records.values(stored) == values

    async def _insert(self, record: Record) -> None:
        await self._executor.execute(self._insertion, self._values_of(record))

    async def _save_chunk(self, records: Sequence[Record], steps: OneAhead) -> None:
        for record in records:
            self._check_kind(record)
        values: list[Mapping[str, Any]] = []
        try:
            for place, record in enumerate(records, 1):
                values.append(self._records.values(record))
                if place % RECORDS_IN_A_TURN == 0:
                    await steps.let_it_go_on()
        except InvalidArgumentError:
            # Those before it come first, for one of them may be the first at fault.
            await steps.start(self._executor.execute_many(self._saving, values))
            raise
        await steps.start(self._executor.execute_many(self._saving, values))

    def _values_of(self, record: Record) -> Mapping[str, Any]:
        self._check_kind(record)
        return self._records.values(record)

    def _weigh(self, record: Record) -> int:
        """Tell about how many bytes a record has in the fields that may have many."""
        if not isinstance(record, self.record):
            return 0  # it is refused later
        value_of = self._values_in(record).get
        return bytes_of([value for name in self._long_fields if (value := value_of(name))])

    def _check_kind(self, record: object) -> None:
        if not isinstance(record, self.record):
            raise InvalidArgumentError(
                f"cannot save {self.table.name}: a record must be a {self.record.__name__}, "
                f"not {_kind(record)}"
            )

    async def _get(self, *key: object) -> Record | None:
        return await self._first(self._selection, dict(zip(self._key, key, strict=True)))

    async def _first(self, statement: Statement, parameters: Mapping[str, object]) -> Record | None:
        rows = await self._executor.fetch(statement, parameters)
        return self._records.read(rows[0]) if rows else None

    async def _first_of(self, query: ListQuery, filters: Parameters) -> Record | None:
        query.refuse_unknown(filters)
        return await self._first(*query.narrowed({**filters, LIMIT: 1}))

    async def _list(
        self, query: ListQuery, filters: Parameters | None = None, *, limit: int | None = None
    ) -> tuple[Record, ...]:
        filters = filters or {}
        query.refuse_unknown(filters)
        listed: list[Record] = []
        while True:
            statement, parameters = query.narrowed({**filters, LIMIT: limit})
            rows = await self._executor.for_lists.fetch(statement, parameters)
            found = [record for _, record in self._readable(rows)]
            listed += found
            if len(found) == len(rows) or len(rows) != limit:
                return tuple(listed)
            # Others take the places of those that were passed over.
            limit -= len(found)
            filters = {**filters, **query.after(query.position(rows[-1]))}

    def _readable(
        self, rows: Rows, read: Callable[[Sequence[Any]], Any] | None = None
    ) -> Iterator[tuple[Sequence[Any], Any]]:
        """Pair rows with what they hold; those that hold nothing known are told or left out."""
        read = self._records.read if read is None else read
        for row in rows:
            record = self._read_or_pass_over(row, read)
            if record is not None:
                yield row, record

    def _read_or_pass_over(
        self, row: Sequence[Any], read: Callable[[Sequence[Any]], Any]
    ) -> Any | None:
        try:
            return read(row)
        except UnreadableRecordError as error:
            if not self._executor.skips_unreadable:
                raise
            log_event(
                logger,
                LogEvent.RECORD_PASSED_OVER,
                table=error.table,
                key=error.key,
                reason=str(error),
            )
            return None

    async def _delete(self, *key: object) -> bool:
        deleted = await self._executor.execute(
            self._deletion, dict(zip(self._key, key, strict=True))
        )
        return deleted > 0

    async def _scalar(self, statement: Statement, **parameters: object) -> Any:
        rows = await self._executor.fetch(statement, parameters)
        return rows[0][0]


class ListedRepository(Repository[Record]):
    """Records in a list that is walked through by pages or as a stream."""

    listing: ClassVar[ListQuery]
    """The list, in its order."""

    _may_be_large: ClassVar[bool]
    """Whether rows have values of any length, and a key in the record to read them by."""

    _selection_by_keys: ClassVar[KeysStatement | None]

    @classmethod
    def _build_statements(cls) -> None:
        super()._build_statements()
        for name in ("page", "stream"):
            method = copied(getattr(ListedRepository, name), cls, name)
            show_declaration(method, cls)
            setattr(cls, name, method)
        refuse_partial_order(cls.__name__, cls.table, cls.listing.ordered_by)
        cls._may_be_large = bool(cls._long_fields) and cls._tells_its_key
        cls._selection_by_keys = None
        if len(cls._key) == 1:
            every = select(*pick(cls.table, cls._fields))
            cls._selection_by_keys = KeysStatement("get", cls.table, every.where)

    async def find(self, *required: object, **filters: object) -> tuple[Record, ...]:
        """Return the records of the list, in its order.

        Args:
            required: The values that the list needs, in the order of its `required`.
            filters: A value for each of its filters to apply; None for all.

        Raises:
            InvalidArgumentError: If a value is of a wrong kind.
            TypeError: If there is no such filter.
            UnreadableRecordError: If a stored record does not fit its model.
        """
        return await self._list(self.listing, self._named(required, filters))

    async def page(
        self, *required: object, limit: int = 100, after: str | None = None, **filters: object
    ) -> Page[Record]:
        filters = self._named(required, filters)
        self.listing.check_limit(limit)
        position = None if after is None else self.listing.read_cursor(filters, after)
        items: list[Record] = []
        while True:
            rows, last = await self._rows_after(position, limit - len(items), filters)
            items += (record for _, record in self._readable(rows))
            if last is None:
                return Page(tuple(items), None)
            if len(items) == limit:
                return Page(tuple(items), self.listing.write_cursor(filters, last))
            position = self.listing.position(last)  # past those that were left out

    async def stream(self, *required: object, **filters: object) -> AsyncIterator[Record]:
        filters = self._named(required, filters)
        query = self.listing.lean if self._may_be_large else self.listing.narrowed
        beginning: Mapping[str, object] = {}
        while True:
            # Some rows at a time, so that no connection is held while the caller works.
            statement, parameters = query({**filters, **beginning, LIMIT: ROWS_AT_ONCE})
            rows = await self._executor.for_lists.fetch(statement, parameters)
            large: LargeRows | None = None
            for row in rows:
                whole: Sequence[Any] | None = row
                if self._may_be_large and row[-1]:
                    if large is None:
                        large = LargeRows(rows, self._key_in, self._fetch_whole)
                    whole = await large.take(row)
                if whole is not None:
                    record = self._read_or_pass_over(whole, self._records.read)
                    if record is not None:
                        yield record
            if len(rows) < ROWS_AT_ONCE:
                return
            beginning = self.listing.after(self.listing.position(rows[-1]))

    def _named(
        self, required: tuple[object, ...], filters: Mapping[str, object]
    ) -> dict[str, object]:
        named = {**self.listing.name_required(required), **filters}
        self.listing.refuse_unknown(named)
        return named

    async def _rows_after(
        self, position: Position | None, limit: int, filters: Mapping[str, object]
    ) -> tuple[Rows, Sequence[Any] | None]:
        """Fetch a page, and its last row where another page follows."""
        beginning = {} if position is None else self.listing.after(position)
        # One more than asked for tells whether there is more.
        statement, parameters = self.listing.narrowed(
            {**filters, **beginning, LIMIT: limit}, extra_rows=1
        )
        rows = await self._executor.for_lists.fetch(statement, parameters)
        return (rows[:limit], rows[limit - 1]) if len(rows) > limit else (rows, None)

    def _key_in(self, row: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(row[self._fields.index(name)] for name in self._key)

    async def _fetch_whole(self, keys: Sequence[tuple[Any, ...]]) -> Rows:
        executor = self._executor.for_lists
        if self._selection_by_keys is not None:
            return await executor.fetch(*self._selection_by_keys.of([key for (key,) in keys]))
        return [
            row
            for key in keys
            for row in await executor.fetch(self._selection, dict(zip(self._key, key, strict=True)))
        ]


class AppendOnlyRepository(ListedRepository[Record]):
    """Listed records that are saved once and for all."""

    append_only = True

    async def save(self, record: Record, /) -> None:
        """Add a record.

        Raises:
            DuplicateRecordError: If its key is taken.
            InvalidArgumentError: If it could not be read again.
        """
        await self._save(record)


class NumberedRepository(AppendOnlyRepository[Record]):
    """Records that are saved once and for all, numbered in the order in which they are saved."""

    _tail: ClassVar[TailQuery]

    @classmethod
    def _build_statements(cls) -> None:
        super()._build_statements()
        refuse_unnumbered(cls.__name__, cls.table)
        for name in ("newer_than", "latest_cursor", "follow"):
            method = copied(getattr(NumberedRepository, name), cls, name)
            show_declaration(method, cls)
            setattr(cls, name, method)
        cls._tail = TailQuery(cls.listing, cls.table, NUMBER)

    async def newer_than(
        self, cursor: str | None = None, /, *, limit: int = 100, **filters: object
    ) -> Arrivals[Record]:
        query = self._tail
        query.records.refuse_unknown({**filters, THROUGH: None})
        query.records.check_limit(limit)
        self._executor.refuse_to_follow(self.table)
        place = Place() if cursor is None else query.read(filters, cursor)
        arrivals: list[Arrival[Record]] = []
        while len(arrivals) < limit:
            number, wanted = 0, limit - len(arrivals)
            async for row in Tail(self._executor, self.table, query).rows(place, filters, wanted):
                number += 1
                record = self._read_or_pass_over(row, self._records.read)
                if record is not None:
                    arrivals.append(Arrival(record, query.write(filters, place)))
            if number < wanted:
                break
        return Arrivals(tuple(arrivals), query.write(filters, place))

    async def latest_cursor(self, **filters: object) -> str:
        self._tail.records.refuse_unknown({**filters, THROUGH: None})
        self._executor.refuse_to_follow(self.table)
        place = await Tail(self._executor, self.table, self._tail).newest()
        return self._tail.write(filters, place)

    async def follow(
        self, cursor: str | None = None, /, *, poll_seconds: float = 0.5, **filters: object
    ) -> AsyncIterator[Arrival[Record]]:
        while True:
            found = await self.newer_than(cursor, limit=100, **filters)
            for arrival in found.arrivals:
                yield arrival
            cursor = found.cursor
            if not found.arrivals:
                await asyncio.sleep(poll_seconds)


class BulkKeyedRepository(ListedRepository[Record]):
    """Listed records of which any number are read and deleted by a key of one column."""

    _selection_by_keys: ClassVar[KeysStatement]  # their key has one column
    _deletion_by_keys: ClassVar[KeysStatement]

    @classmethod
    def _build_statements(cls) -> None:
        super()._build_statements()
        refuse_key_of_several(cls.__name__, cls.table)
        cls._selection = selection(cls.table, cls._fields, cls._key, cls._selection_by_keys)
        cls._deletion_by_keys = KeysStatement("delete", cls.table, delete(cls.table).where)

    async def get_many(self, keys: Iterable[NotBlankStr]) -> dict[NotBlankStr, Record]:
        wanted = self._as_stored("get", keys)
        found: dict[str, Record] = {}
        async for chunk in chunks(dict.fromkeys(wanted.values()), ROWS_AT_ONCE):
            rows = await self._executor.fetch(*self._selection_by_keys.of(chunk))
            place = self._fields.index(self._key[0])
            found.update((row[place], record) for row, record in self._readable(rows))
        return {key: found[stored] for key, stored in wanted.items() if stored in found}

    async def delete_many(self, keys: Iterable[NotBlankStr]) -> int:
        wanted = list(dict.fromkeys(self._as_stored("delete", keys).values()))
        self._check_deletable(wanted)

        async def delete_all(executor: Executor) -> int:
            return sum(
                [
                    await executor.execute(*self._deletion_by_keys.of(chunk))
                    async for chunk in chunks(wanted, ROWS_AT_ONCE)
                ]
            )

        return await self._executor.atomically(delete_all, repeatable=True)

    def _check_deletable(self, keys: Collection[str]) -> None:
        """Refuse keys whose records must stay; by default there are none."""

    def _as_stored(self, action: str, keys: Iterable[NotBlankStr]) -> dict[NotBlankStr, str]:
        """Give, for each key as the caller wrote it, the text that is stored for it."""
        if isinstance(keys, str | bytes) or not isinstance(keys, Iterable):
            raise InvalidArgumentError(
                f"cannot {action} {self.table.name}: keys must be an iterable of keys, "
                f"not {_kind(keys)}"
            )
        stored = {}
        for key in keys:
            try:
                stored[key] = self._selection_by_keys.coerce(key)
            except ValueError as error:
                raise InvalidArgumentError(
                    f"cannot {action} {self.table.name}: {self._key[0]} {error}"
                ) from None
        return stored


class KeyedRepository(BulkKeyedRepository[Record]):
    """Listed records that are read, replaced and deleted by a key of one column."""

    _swaps: ClassVar[SwapStatement]

    @classmethod
    def _build_statements(cls) -> None:
        super()._build_statements()
        cls._swaps = SwapStatement(cls.table, cls._fields, cls.kept)

    async def save(self, record: Record, /) -> None:
        """Add a record, or replace the one with its key.

        Raises:
            DuplicateRecordError: If another record has the same unique value.
            InvalidArgumentError: If it could not be read again.
            QueryError: If it refers to a record that is not there.
        """
        await self._save(record)

    async def insert(self, record: Record, /) -> None:
        """Add a record whose key must be new.

        Raises:
            DuplicateRecordError: If its key, or another unique value, is taken.
            InvalidArgumentError: If it could not be read again.
        """
        await self._insert(record)

    async def swap(self, record: Record, /, **expected: object) -> bool:
        """Replace the record with the same key if it is as expected (compare and swap).

        Args:
            record: The new record.
            expected: By field: the value that the stored record must have; None for none.

        Returns:
            Whether it was; otherwise nothing is changed.

        Raises:
            InvalidArgumentError: If nothing is expected, or something of the key or of no field.
        """
        return await self._executor.execute(*self._swaps.of(self._values_of(record), expected)) > 0

    async def get(self, key: NotBlankStr, /) -> Record | None:
        """Return the record with this key, or None."""
        return await self._get(key)

    async def delete(self, key: NotBlankStr, /) -> bool:
        """Delete the record with this key, and tell whether there was one.

        Raises:
            QueryError: If another record refers to it.
        """
        self._check_deletable([key])
        return await self._delete(key)


class AccumulatingRepository(KeyedRepository[Record]):
    """Records whose numbers are added up by the database itself, so that no two adds meet."""

    added: ClassVar[frozenset[str]]
    """The columns that `add` adds to; the others are replaced."""

    _accumulation: ClassVar[Statement]

    @classmethod
    def _build_statements(cls) -> None:
        super()._build_statements()
        cls._accumulation = accumulation(cls.table, cls.kept, cls.added)

    async def add(self, record: Record, /) -> None:
        """Add a record, or add its numbers to the one with its key.

        Raises:
            OutcomeUnknownError: If the answer was lost, since a second time would add twice.
            InvalidArgumentError: If it could not be read again.
        """
        await self._executor.execute(self._accumulation, self._values_of(record))


class VersionedRepository(KeyedRepository[Record]):
    """Records under optimistic concurrency: version N is saved over version N - 1 alone."""

    idempotent = False

    _advancement: ClassVar[Statement]

    async def save(self, record: Record, /) -> None:
        """Add version 1 of a record, or put a later version in place of the one before it.

        Raises:
            DuplicateRecordError: If it is version 1 and the key is taken.
            VersionConflictError: If the stored version is not the one before.
        """
        await self._save_version(record)

    async def _save_chunk(self, records: Sequence[Record], steps: OneAhead) -> None:  # noqa: ARG002 (each has to find the version before it)
        for record in records:
            self._check_kind(record)
        for record in records:
            await self.save(record)

    @classmethod
    def _build_statements(cls) -> None:
        super()._build_statements()
        changed = {
            name: bind(cls.table, name)
            for name in cls._fields
            if name not in cls._key and name not in cls.kept
        }
        matching = [equal(cls.table, name, EXISTING + name) for name in (*cls._key, "version")]
        cls._advancement = from_expression(
            "save", cls.table, update(cls.table).where(*matching).values(changed)
        )

    async def _save_version(self, record: Record) -> None:
        """Insert version 1, or put a later one in place of the one before it."""
        values = self._values_of(record)
        if values["version"] == 1:
            await self._executor.execute(self._insertion, values)
        else:
            await self._advance(values)

    async def _advance(self, values: Mapping[str, Any]) -> None:
        version = values["version"]
        before = version - 1
        existing = {EXISTING + name: values[name] for name in self._key}
        existing[EXISTING + "version"] = before
        if not await self._executor.execute(self._advancement, {**values, **existing}):
            raise VersionConflictError(
                f"cannot save {self._advancement.subject(values)}: version {version} replaces "
                f"version {before} alone, and that is not the stored one; read it again"
            )


def _kind(value: object) -> str:
    return "None" if value is None else f"one {type(value).__name__}"
