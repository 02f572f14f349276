"""Sums of costs: of those that are there, and of those for which only roll-ups stand."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import add
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Select,
    Table,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.sql.visitors import replacement_traverse

from synthorg.entities.base import EARLIEST_TIME, LATEST_TIME, reason_time_is_unstorable
from synthorg.persistence.errors import InvalidArgumentError, TransactionConflictError
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.execution.executor import Executor, Rows
from synthorg.persistence.sql.repositories.cost_rollup_state import (
    NOTHING_ROLLED_UP,
    RollupState,
    late,
    old,
    read_state,
)
from synthorg.persistence.sql.statements.queries import SINCE, UNTIL, Conditions
from synthorg.persistence.sql.statements.statement import (
    Parameters,
    Statement,
    bind,
    equal,
    from_expression,
    required_parameters,
)

_costs: Final = tables.cost_records
_rollups: Final = tables.cost_rollups

DAY: Final = timedelta(days=1)
MICROSECOND: Final = timedelta(microseconds=1)

OF_TASK: Final = tables.tasks.c.project
"""The project of a cost, for which its task has to be looked up."""

ATTEMPTS: Final = 10
"""How often a sum is asked for while others go on rolling costs up, which is rare."""

Group = tuple[Any, ...]


class Sums(NamedTuple):
    """What is added up over the costs of a group."""

    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    records: int = 0


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        filters: The values of the filters that are given.
        groups: What to group by, each a `CostGroup`.
        costs_alone: Whether no tokens are asked for, which indexes do not have.
    """

    filters: Parameters
    groups: tuple[str, ...] = ()
    costs_alone: bool = False


class CostSums:
    """Adds costs up in the database, whether they are there or only roll-ups stand for them.

    For which of them roll-ups stand is assumed to be as it was at the last call on the same
    database or transaction. Each statement returns the revision of that as well: where the
    assumption was wrong, the sum is asked for again.

    Args:
        filters: What costs can be narrowed by.
    """

    def __init__(self, filters: Conditions) -> None:
        self._filters = filters
        self._statements: dict[object, Statement] = {}
        self._states: WeakKeyDictionary[Executor, RollupState] = WeakKeyDictionary()

    def wanted(
        self, given: Parameters, groups: Sequence[str] = (), *, costs_alone: bool = False
    ) -> Wanted:
        """Say what is asked for.

        Args:
            given: A value or None for each filter.
            groups: What to group by, each a `CostGroup`.
            costs_alone: Whether no tokens are asked for.

        Raises:
            TypeError: If a filter is unknown.
            InvalidArgumentError: If the range ends before it begins.
        """
        self._filters.refuse_unknown(given, "sum")
        return Wanted(self._filters.present(given, "sum"), tuple(groups), costs_alone)

    async def fetch(self, executor: Executor, wanted: Wanted) -> Mapping[Group, Sums]:
        """Add up.

        Args:
            executor: What runs the statements.
            wanted: What is asked for.

        Returns:
            The sums of each group that occurs.

        Raises:
            InvalidArgumentError: If a limit is within a day of which only a roll-up is left.
        """
        days = WholeDays.of(wanted.filters)
        state = self._states.get(executor, NOTHING_ROLLED_UP)
        for _ in range(ATTEMPTS):
            edges = Edges.of(wanted.filters, days, state)
            parameters = {
                **wanted.filters,
                **state._asdict(),
                **days._asdict(),
                **edges._asdict(),
            }
            rows = await executor.fetch(self._statement(wanted, state), parameters)
            found = state if rows and rows[0][-1] == state.revision else await read_state(executor)
            if found == state:
                await self._refuse_parts_of_days(executor, wanted, state)
                return _merged(rows, len(wanted.groups))
            self._states[executor] = state = found
        raise TransactionConflictError(
            f"cannot sum {_costs.name}: others kept rolling costs up; try again"
        )

    def _statement(self, wanted: Wanted, state: RollupState) -> Statement:
        has_rollups = state != NOTHING_ROLLED_UP
        key = (frozenset(wanted.filters), wanted.groups, wanted.costs_alone, has_rollups)
        if key not in self._statements:
            parts = [*self._parts(wanted)] if has_rollups else [self._all(wanted)]
            parameters = {
                each.key: each
                for part in parts
                for condition in part.all_conditions()
                for each in required_parameters(condition)
            }
            self._statements[key] = Statement(
                "sum", _costs, partial(_expression, wanted, parts), parameters.values()
            )
        return self._statements[key]

    def _all(self, wanted: Wanted) -> "Part":
        return Part(_costs, self._filters.compared(wanted.filters))

    def _parts(self, wanted: Wanted) -> Iterator["Part"]:
        """Divide what matches so that each part can be read by an index.

        Each has at most one limit at either end: of several, SQLite takes any for its index.
        """
        names = wanted.filters.keys()
        filters = self._filters.compared({*names} - {SINCE, UNTIL})
        limits = self._filters.compared({*names} & {SINCE, UNTIL})
        until = self._filters.compared({*names} & {UNTIL})
        yield Part(_costs, [*filters, _costs.c.timestamp >= _edge("first_left"), *until])
        yield Part(_costs, [*filters, late()], unindexed=[*limits, old()])
        # Roll-ups are of whole days: what is left of days at both ends has to be there.
        if SINCE in names:
            since = self._filters.compared({SINCE})
            before = _costs.c.timestamp < _edge("before_whole_days")
            yield Part(_costs, [*filters, *since, before, ~late()])
        if UNTIL in names:
            after = _costs.c.timestamp >= _edge("after_whole_days")
            before = _costs.c.timestamp < _edge("end")
            yield Part(_costs, [*filters, after, before, ~late()])
        begins, ends = bind(_rollups, "day", "begins"), bind(_rollups, "day", "ends")
        whole = [*_of_rollups(names)]
        if SINCE in names:
            whole.append(_rollups.c.day >= begins)
        if UNTIL in names:
            whole.append(_rollups.c.day < ends)
        if "project" not in wanted.groups:
            yield Part(_rollups, whole)
            return
        # To look up the project of each would take most of the time.
        known = _rollups.c.task_project.is_not(None)
        unknown = func.coalesce(OF_TASK, _rollups.c.project)
        yield Part(_rollups, [*whole, ~known], project=unknown)
        yield Part(_rollups, [*whole, known], project=_rollups.c.task_project)

    async def _refuse_parts_of_days(
        self, executor: Executor, wanted: Wanted, state: RollupState
    ) -> None:
        """Refuse limits within days of which costs are gone that the other filters match."""
        for limit in (SINCE, UNTIL):
            moment = _moment(wanted.filters, limit)
            if moment is None:
                continue
            day = midnight_before(moment)
            whole = day if limit == SINCE else day + (DAY - MICROSECOND)
            if day >= state.pruned_before or moment == whole:
                continue
            key = frozenset({limit, *wanted.filters} - {SINCE, UNTIL})
            if key not in self._statements:
                self._statements[key] = _presence(key)
            if (await executor.fetch(self._statements[key], {**wanted.filters, "day": day}))[0][0]:
                raise InvalidArgumentError(
                    f"cannot sum {_costs.name}: {limit} is within {day.date()} in UTC, of which "
                    "costs were pruned, so that only their sum over the whole day is left; give "
                    f"{whole.isoformat()} instead"
                )


@dataclass(frozen=True)
class Part:
    """Some of what is added up: the rows of a table that meet conditions.

    Attributes:
        table: The table.
        conditions: By which its rows are found.
        unindexed: What they have to meet besides, though an index would find more by it.
        project: The project of each.
    """

    table: Table
    conditions: Sequence[ColumnElement[bool]]
    unindexed: Sequence[ColumnElement[bool]] = ()
    project: ColumnElement[Any] = OF_TASK

    def all_conditions(self) -> Iterator[ColumnElement[bool]]:
        """Give all that its rows have to meet."""
        yield from self.conditions
        yield from self.unindexed

    def met(self, dialect: Dialect) -> Iterator[ColumnElement[bool]]:
        """Build the conditions for a kind of database.

        Args:
            dialect: The kind of database.
        """

        def unindexed(element: Any, **_: object) -> Any:
            return dialect.unindexed(element) if isinstance(element, Column) else None

        yield from self.conditions
        for each in self.unindexed:
            yield replacement_traverse(each, {}, unindexed)


class WholeDays(NamedTuple):
    """The whole days between two moments, from one midnight (UTC) to another."""

    begins: datetime = EARLIEST_TIME
    ends: datetime = LATEST_TIME

    @classmethod
    def of(cls, filters: Parameters) -> "WholeDays":
        """Find the whole days within the limits of a call, as far as it has any."""
        since, until = _moment(filters, SINCE), _moment(filters, UNTIL)
        begins = EARLIEST_TIME if since is None else midnight_before(since - MICROSECOND) + DAY
        ends = LATEST_TIME if until is None else midnight_before(until + MICROSECOND)
        return cls(min(begins, LATEST_TIME), min(ends, LATEST_TIME))


class Edges(NamedTuple):
    """Where those costs are that have to be read, of which each part has a range of times.

    Attributes:
        first_left: From here on, no cost is in the roll-ups.
        before_whole_days: Before this, those of the day of the beginning.
        after_whole_days: From here on, those of the day of the end.
        end: Before this, those of it that are in the roll-ups.
    """

    first_left: datetime
    before_whole_days: datetime
    after_whole_days: datetime
    end: datetime

    @classmethod
    def of(cls, filters: Parameters, days: WholeDays, state: RollupState) -> "Edges":
        """Find where costs are read.

        Args:
            filters: What is asked for.
            days: The whole days within.
            state: Which costs the roll-ups stand for.
        """
        since, until = _moment(filters, SINCE), _moment(filters, UNTIL)
        end = state.rolled_up_before
        if until is not None:
            end = min(end, until + MICROSECOND)
        return cls(
            max(since or EARLIEST_TIME, state.rolled_up_before),
            min(days.begins, end),
            days.ends if since is None else max(days.begins, days.ends),
            end,
        )


def midnight_before(moment: datetime) -> datetime:
    """Give the beginning of a day in UTC.

    Args:
        moment: Some moment of the day.
    """
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def sums_of(table: Table, dialect: Dialect) -> Iterator[ColumnElement[Any]]:
    """Build the sums of costs or of their roll-ups; each count is followed by its upper half.

    Args:
        table: The table.
        dialect: The kind of database.
    """
    nothing: ColumnElement[int] = literal_column("0")
    is_rollup = table is _rollups
    yield dialect.sum_of_amounts(table.c.cost_usd)
    for name in ("input_tokens", "output_tokens"):
        yield dialect.sum_of_counts(table.columns[name])
        yield dialect.sum_of_counts(table.columns[f"{name}_upper"] if is_rollup else nothing)
    yield func.sum(table.c.records) if is_rollup else func.count()


def grouped(
    table: Table,
    groups: Sequence[str],
    sums: Iterable[ColumnElement[Any]],
    dialect: Dialect,
    *,
    unindexed: bool,
    project: ColumnElement[Any] = OF_TASK,
) -> Select[Any]:
    """Build the sums of costs, or of their roll-ups, by group.

    Args:
        table: The table.
        groups: What to group by, each a `CostGroup`.
        sums: What to add up.
        dialect: The kind of database.
        unindexed: Whether no index on the groups would help.
        project: The project of each.
    """
    columns = [project if name == "project" else _group(table, name, dialect) for name in groups]
    if unindexed:  # since it would find few among all, or all one by one
        columns = [*map(dialect.unindexed, columns)]
    statement = select(*columns, *sums).select_from(table).group_by(*columns)
    if "project" in groups and project is not _rollups.c.task_project:
        task = tables.tasks
        statement = statement.join(task, table.c.task_id == task.c.id, isouter=True)
    return statement


def sums_in(row: Sequence[Any]) -> Sums:
    """Read the sums of one row.

    Args:
        row: The values of `sums_of`, of which those at the end may be missing.
    """
    cost, *counts = [0 if value is None else value for value in (*row, *[None] * 6)][:6]
    sent, sent_upper, received, received_upper, records = map(int, counts)
    return Sums(float(cost), (sent_upper << 32) + sent, (received_upper << 32) + received, records)


def _group(table: Table, name: str, dialect: Dialect) -> ColumnElement[Any]:
    if name == "day":
        return dialect.utc_day(table.c.day if table is _rollups else table.c.timestamp)
    return table.columns[name]


def _expression(
    wanted: Wanted, parts: Sequence[Part], dialect: Dialect
) -> Select[Any] | CompoundSelect[Any]:
    revision = select(tables.cost_rollup_state.c.revision).scalar_subquery()
    found = []
    for part in parts:
        sums = [*sums_of(part.table, dialect)]
        asked_for = sums[:1] if wanted.costs_alone else sums
        each = grouped(
            part.table,
            wanted.groups,
            asked_for,
            dialect,
            unindexed=part is not parts[-1] or part.project is _rollups.c.task_project,
            project=part.project,
        )
        each = each.where(*part.met(dialect))
        found.append(each.add_columns(func.coalesce(revision, literal_column("0"))))
    return found[0] if len(found) == 1 else union_all(*found)


def _presence(names: Collection[str]) -> Statement:
    """Make the statement that counts the roll-ups of a day."""
    conditions = [*_of_rollups(names), equal(_rollups, "day")]
    return from_expression("count", _rollups, select(func.count()).where(*conditions))


def _edge(name: str) -> ColumnElement[Any]:
    return bind(_costs, "timestamp", name)


def _of_rollups(names: Collection[str]) -> Iterator[ColumnElement[bool]]:
    return (equal(_rollups, name) for name in names if name not in (SINCE, UNTIL))


def _moment(filters: Parameters, limit: str) -> datetime | None:
    """Give a limit in UTC, unless it is one that the statement refuses.

    Where clocks are put back, a sum of a local time and a span may be the wrong one of two moments.
    """
    moment = filters.get(limit)
    if not isinstance(moment, datetime) or reason_time_is_unstorable(moment) is not None:
        return None
    return moment.astimezone(UTC)


def _merged(rows: Rows, groups: int) -> Mapping[Group, Sums]:
    """Add up the parts of each group, in the order of groups, with None last."""
    found: dict[Group, Sums] = {}
    for row in rows:
        group, sums = tuple(row[:groups]), sums_in(row[groups:-1])
        known = found.get(group)
        found[group] = sums if known is None else Sums(*map(add, known, sums))
    return dict(sorted(found.items(), key=lambda each: [(it is None, it) for it in each[0]]))
