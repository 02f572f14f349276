"""The statements that choose, count and remove what is old."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    not_,
    select,
)

from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.pruning.kinds import Key, PrunableKind
from synthorg.persistence.sql.statements.statement import (
    KeysStatement,
    Parameters,
    Statement,
    deletion,
    from_expression,
    required_parameters,
)
from synthorg.persistence.sql.tables import RECORD_KEY
from synthorg.persistence.sql.types import utc_datetime

BEFORE: Final = "before"
LIMIT: Final = "limit"
SKIPPED: Final = "skipped"
LAST: Final = "last_"


class Selection:
    """Which records of a kind are removed: those of before a moment, or all but the newest.

    Args:
        kind: The kind.
        boundary: The moment; or the time and the key of the newest record that is removed.
    """

    def __init__(self, kind: PrunableKind, boundary: datetime | tuple[Any, ...]) -> None:
        self.kind = kind
        self._by_time = isinstance(boundary, datetime)
        self._values: Parameters
        if isinstance(boundary, datetime):
            self._values = {BEFORE: boundary}
        else:
            names = [column.name for column in _order(kind)]
            self._values = {f"{LAST}{name}": at for name, at in zip(names, boundary, strict=True)}

    async def choose(self, executor: Executor, limit: int) -> list[Key]:
        """Give the keys of the oldest, which nobody else can remove until the transaction ends.

        Args:
            executor: A transaction.
            limit: How many at most.
        """
        statement = _choosing(self.kind, by_time=self._by_time)
        rows = await executor.fetch(statement, {**self._values, LIMIT: limit})
        return [tuple(row) for row in rows]

    async def count(self, executor: Executor) -> int:
        """Count all of them."""
        statement = _counting(self.kind, by_time=self._by_time)
        return int((await executor.fetch(statement, self._values))[0][0])

    async def spares_any(self, executor: Executor) -> bool:
        """Tell whether any record of the kind is none of them."""
        statement = _sparing(self.kind, by_time=self._by_time)
        return bool(await executor.fetch(statement, self._values))


async def newest_beyond(
    executor: Executor, kind: PrunableKind, kept: int
) -> tuple[Any, ...] | None:
    """Find the newest record that is not among the newest of its kind.

    Args:
        executor: What runs the statement.
        kind: The kind, which has a time of its own.
        kept: How many are.

    Returns:
        Its time and its key; None if there are no more than that.
    """
    rows = await executor.fetch(_beyond(kind), {SKIPPED: kept})
    return tuple(rows[0]) if rows else None


async def remove(executor: Executor, kind: PrunableKind, keys: Sequence[Key]) -> None:
    """Remove records of a kind that keeps no record of it, and what hangs on them.

    Args:
        executor: A transaction.
        kind: The kind.
        keys: Their keys.
    """
    await kind.before_removal(executor, keys)
    for column in kind.dependents:
        dependent = _deletion(column.table, (column.name,))
        await executor.execute_many(dependent, [{column.name: key} for (key,) in keys])
    if len(kind.key) == 1:
        await executor.execute(*_deletions(kind.table).of([key for (key,) in keys]))
        return
    names = tuple(column.name for column in kind.key)
    values = [dict(zip(names, key, strict=True)) for key in keys]
    await executor.execute_many(_deletion(kind.table, names), values)


@lru_cache
def _choosing(kind: PrunableKind, *, by_time: bool) -> Statement:
    # By time alone, as an index has it: which of those of one moment are first does not matter.
    order = kind.key if kind.time is None else [kind.time]
    if kind.is_recorded:  # as a range, which has to have no others in it
        order = _order(kind)
    keys = select(*kind.key).order_by(*order).limit(_number(LIMIT)).with_for_update()
    return _selecting("list", kind, keys, by_time=by_time)


@lru_cache
def _counting(kind: PrunableKind, *, by_time: bool) -> Statement:
    number = select(func.count()).select_from(kind.table)
    return _selecting("count", kind, number, by_time=by_time)


@lru_cache
def _sparing(kind: PrunableKind, *, by_time: bool) -> Statement:
    one: Select[Any] = select(literal_column("1")).select_from(kind.table).limit(1)
    return _selecting("list", kind, one, by_time=by_time, others=True)


@lru_cache
def _beyond(kind: PrunableKind) -> Statement:
    order = _order(kind)
    found = select(*order).order_by(*[column.desc() for column in order])
    if kind.condition is not None:
        found = found.where(kind.condition)
    return from_expression("list", kind.table, found.limit(1).offset(_number(SKIPPED)))


@lru_cache
def _deletion(table: Table, names: tuple[str, ...]) -> Statement:
    return deletion(table, names)


@lru_cache
def _deletions(table: Table) -> KeysStatement:
    return KeysStatement("delete", table, lambda condition: delete(table).where(condition))


def _selecting(
    action: str,
    kind: PrunableKind,
    expression: Select[Any],
    *,
    by_time: bool,
    others: bool = False,
) -> Statement:
    """Make a statement over the records that are removed, or over the others."""

    def build(dialect: Dialect) -> Select[Any]:
        condition = _condition(kind, dialect, by_time=by_time)
        return expression.where(not_(condition) if others else condition)

    parameters = [*required_parameters(expression), *_boundary(kind, by_time=by_time)]
    return Statement(action, kind.table, build, parameters)


def _boundary(kind: PrunableKind, *, by_time: bool) -> Sequence[BindParameter[Any]]:
    if by_time:
        return [bindparam(BEFORE, type_=utc_datetime(), required=True)]
    return [
        bindparam(f"{LAST}{column.name}", type_=column.type, required=True)
        for column in _order(kind)
    ]


def _condition(kind: PrunableKind, dialect: Dialect, *, by_time: bool) -> ColumnElement[bool]:
    boundary = _boundary(kind, by_time=by_time)
    if not by_time:
        old = not_(dialect.after_position(_order(kind), boundary, descending=False))
    elif kind.is_before is not None:
        old = kind.is_before(boundary[0])
    else:
        assert kind.time is not None
        old = kind.time < boundary[0]
    return old if kind.condition is None else and_(old, kind.condition)


def _order(kind: PrunableKind) -> list[Column[Any]]:
    key = [column for column in kind.key if column is not kind.time]
    if RECORD_KEY in kind.table.info and not kind.is_recorded:
        key = [*kind.table.primary_key.columns]  # as the index of the list has it
    return key if kind.time is None else [kind.time, *key]


def _number(name: str) -> BindParameter[int]:
    return bindparam(name, type_=BigInteger(), required=True)
