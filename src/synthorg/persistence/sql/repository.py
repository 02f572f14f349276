"""The base of every repository: records to rows and back, and the verbs they share."""

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Row, Table, update

from synthorg.persistence.errors import QueryError, VersionConflictError
from synthorg.persistence.sql.database import Executor
from synthorg.persistence.sql.queries import ListQuery
from synthorg.persistence.sql.statements import (
    EXISTING,
    Statement,
    bind,
    deletion,
    equal,
    field_names,
    from_expression,
    insertion,
    replacement,
    selection,
)

Record = TypeVar("Record")


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

    _fields: ClassVar[tuple[str, ...]]
    _key: ClassVar[tuple[str, ...]]
    _adapter: ClassVar[TypeAdapter[Any]]
    _insertion: ClassVar[Statement]
    _replacement: ClassVar[Statement]
    _by_key: ClassVar[Statement]
    _deletion: ClassVar[Statement]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "table" in vars(cls):
            cls._build_statements()

    @classmethod
    def _build_statements(cls) -> None:
        cls._fields = field_names(cls.record)
        cls._key = tuple(column.name for column in cls.table.primary_key)
        cls._adapter = TypeAdapter(cls.record)
        cls._insertion = insertion(cls.table)
        cls._replacement = replacement(cls.table, cls.kept)
        cls._by_key = selection(cls.table, cls._fields, cls._key)
        cls._deletion = deletion(cls.table, cls._key)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def _insert(self, record: Record) -> None:
        await self._executor.execute(self._insertion, self._values(record))

    async def _upsert(self, record: Record) -> None:
        await self._executor.execute(self._replacement, self._values(record))

    async def _get(self, *key: object) -> Record | None:
        return await self._first(self._by_key, dict(zip(self._key, key, strict=True)))

    async def _first(self, statement: Statement, parameters: Mapping[str, object]) -> Record | None:
        rows = await self._executor.fetch(statement, parameters)
        return self._decode(rows[0]) if rows else None

    async def _list(self, query: ListQuery, **filters: object) -> tuple[Record, ...]:
        statement, parameters = query.narrowed(filters)
        rows = await self._executor.fetch(statement, parameters)
        return tuple(map(self._decode, rows))

    async def _delete(self, *key: object) -> bool:
        deleted = await self._executor.execute(
            self._deletion, dict(zip(self._key, key, strict=True))
        )
        return deleted > 0

    async def _scalar(self, statement: Statement, **parameters: object) -> Any:
        rows = await self._executor.fetch(statement, parameters)
        return rows[0][0]

    def _values(self, record: Record) -> dict[str, object]:
        return {name: getattr(record, name) for name in self._fields}

    def _decode(self, row: Row[Any]) -> Record:
        values = dict(zip(self._fields, row, strict=True))
        try:
            record: Record = self._adapter.validate_python(values)
        except ValidationError as error:
            raise self._misfit(values, error) from None
        return record

    def _misfit(self, values: Mapping[str, object], error: ValidationError) -> QueryError:
        key = ", ".join(f"{name}={values[name]!r}" for name in self._key if name in values)
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'the whole'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        )
        return QueryError(
            f"cannot read {self.table.name} ({key}): the stored row does not fit "
            f"{self.record.__name__}: {faults}"
        )


class VersionedRepository(Repository[Record]):
    """Records under optimistic concurrency: version N is saved over version N - 1 alone."""

    _advancement: ClassVar[Statement]

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

    async def _advance(self, record: Record) -> None:
        """Save a version above 1 over the one before it."""
        values = self._values(record)
        version = values["version"]
        assert isinstance(version, int)
        existing = {EXISTING + name: values[name] for name in self._key}
        existing[EXISTING + "version"] = version - 1
        if not await self._executor.execute(self._advancement, values | existing):
            raise VersionConflictError(
                f"cannot save {self._advancement.subject(values)}: version {version} replaces "
                f"version {version - 1} alone, and that is not the stored one; read it again"
            )
