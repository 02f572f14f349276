"""Costs rolled up: added to the sums of their days, while they stay or before they are pruned."""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from hashlib import sha256
from math import isfinite
from typing import Any, Final

from pydantic_core import to_json
from sqlalchemy import ColumnElement, Select, and_, exists, func, select, union_all

from synthorg.entities.base import LARGEST_INTEGER, LATEST_TIME
from synthorg.persistence.errors import QueryError
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.execution.database import Database
from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.repositories.cost_rollup_state import (
    NOTHING_ROLLED_UP,
    THE_ROW,
    RollupState,
    late,
    old,
    read_state,
    rolled_up,
)
from synthorg.persistence.sql.repositories.cost_sums import (
    DAY,
    grouped,
    midnight_before,
    sums_of,
)
from synthorg.persistence.sql.statements.statement import (
    Statement,
    accumulation,
    bind,
    from_expression,
    replacement,
    required_parameters,
)

_costs: Final = tables.cost_records
_rollups: Final = tables.cost_rollups
_state: Final = tables.cost_rollup_state

GROUPS: Final = ("day", "agent_id", "task_id", "project", "provider", "model", "call_category")
SUMS: Final = (
    "cost_usd",
    "input_tokens",
    "input_tokens_upper",
    "output_tokens",
    "output_tokens_upper",
    "records",
)
TOKENS: Final = ("input_tokens", "output_tokens")
LOWER_HALF: Final = 2**32 - 1

ADDING: Final = accumulation(_rollups, kept=(*GROUPS, "task_project"), added=SUMS)
SAVING_STATE: Final = replacement(_state, kept=())
LOCKING: Final = accumulation(_state, kept=[*RollupState._fields[1:]], added=["revision"])
"""Adds nothing to the one row, which nobody else can change until the transaction ends."""


Progress = Callable[[datetime], None]
"""Who is told of each day that is rolled up."""


@dataclass(frozen=True)
class RollUpReport:
    """What was rolled up.

    Attributes:
        days: How many days with costs were added.
        rolled_up_before: The costs of before this midnight (UTC) are in the roll-ups.
    """

    days: int
    rolled_up_before: datetime


async def roll_up(
    database: Database, before: datetime, progress: Progress | None = None
) -> RollUpReport:
    """Roll up the costs of past days, each in a transaction of its own.

    Args:
        database: The database.
        before: The midnight at which the first day begins that is left as it is.
        progress: Who is told of each day that is done.
    """
    await read_state(database)  # says what to do if there are no tables, before any is locked
    settled = await database.find_settled(_costs.c.sequence_number)
    days = 0
    until = None
    while until != before:
        first = await _first_left(database, await read_state(database))
        until = before if first is None else min(before, midnight_before(first) + DAY)
        step = partial(_roll_up_days, before=until, settled=settled)
        await database.atomically(step, repeatable=True)
        if first is not None and first < before:
            days += 1
            if progress is not None:
                progress(midnight_before(first))
    return RollUpReport(days, (await read_state(database)).rolled_up_before)


async def roll_up_pruned(executor: Executor, numbers: Sequence[int]) -> None:
    """Add costs to the roll-ups that the same transaction deletes, unless they are there already.

    Args:
        executor: The transaction.
        numbers: The sequence numbers of the costs.

    Raises:
        QueryError: If a sum of costs is too large.
    """
    if not numbers:
        return
    state = await _locked(executor)
    size = 1 << (len(numbers) - 1).bit_length()
    repeated = [*numbers, *[numbers[-1]] * (size - len(numbers))]
    chosen = {f"number_{place}": number for place, number in enumerate(repeated)}
    rows = await executor.fetch(_of_numbers(size), {**chosen, **state._asdict()})
    await _add(executor, rows)
    times = await executor.fetch(_times_of_numbers(size), chosen)
    if times:
        latest: datetime = max(time for (time,) in times)
        pruned_before = max(state.pruned_before, min(midnight_before(latest) + DAY, LATEST_TIME))
        # A database that counts on from the largest number gives those beyond it once more.
        left = await executor.fetch(_last_of_others(size), chosen)
        last = min(state.last_sequence_number, left[0][0] if left else 0)
        after = state._replace(pruned_before=pruned_before, last_sequence_number=last)
        await _change(executor, state, after)


async def _roll_up_days(executor: Executor, before: datetime, settled: int) -> None:
    """Roll up what is left of before a midnight, up to a number that is settled."""
    state = await _locked(executor)
    after = state._replace(
        rolled_up_before=max(state.rolled_up_before, before),
        last_sequence_number=max(state.last_sequence_number, settled),
    )
    parameters = {**state._asdict(), "before": after.rolled_up_before}
    rows = await executor.fetch(_MORE, {**parameters, "settled": after.last_sequence_number})
    await _add(executor, rows)
    await _change(executor, state, after)


async def _first_left(executor: Executor, state: RollupState) -> datetime | None:
    """Find the first moment whose costs are not rolled up, but for those recorded late."""
    rows = await executor.fetch(_FIRST_LEFT, state._asdict())
    moment: datetime | None = rows[0][0]
    return moment


async def _locked(executor: Executor) -> RollupState:
    """Keep others from rolling up until the transaction ends."""
    await executor.execute(LOCKING, {**NOTHING_ROLLED_UP._asdict(), "id": THE_ROW})
    state = await read_state(executor)
    if state == NOTHING_ROLLED_UP and (await executor.fetch(_ANY, {}))[0][0]:
        raise QueryError(
            f"cannot roll up {_costs.name}: {_rollups.name} has rows of an import that was "
            "interrupted; run that import again first"
        )
    return state


async def _change(executor: Executor, state: RollupState, after: RollupState) -> None:
    if after != state or not state.revision:
        # No counter, which a restored database would have at the same number for something else.
        changed = after._replace(revision=1 + secrets.randbelow(LARGEST_INTEGER))
        await executor.execute(SAVING_STATE, {**changed._asdict(), "id": THE_ROW})


async def _add(executor: Executor, rows: Iterable[Sequence[Any]]) -> None:
    await executor.execute_many(ADDING, [_rollup(row) for row in rows])


def _rollup(row: Sequence[Any]) -> Mapping[str, Any]:
    """Make the values of a roll-up of the sums of one group."""
    groups = dict(zip(GROUPS, row, strict=False))
    sums = dict(zip(SUMS, row[len(GROUPS) :], strict=True))
    if not isfinite(sums["cost_usd"]):
        raise QueryError(
            f"cannot roll up {_costs.name} of {groups['day']}: the costs of agent "
            f"{groups['agent_id']!r} are more than the largest number; mend them"
        )
    for name in TOKENS:
        total = int(sums[name])
        sums |= {name: total & LOWER_HALF, f"{name}_upper": total >> 32}
    return {
        **groups,
        **sums,
        "id": sha256(to_json(list(groups.values()))).hexdigest(),
        "day": datetime.fromisoformat(f"{groups['day']}T00Z"),
        "task_project": groups["project"],
    }


def _grouped(condition: ColumnElement[bool], dialect: Dialect) -> Select[Any]:
    sums = sums_of(_costs, dialect)
    return grouped(_costs, GROUPS, sums, dialect, unindexed=True).where(condition)


@lru_cache
def _of_numbers(size: int) -> Statement:
    """Make the statement that sums costs by their numbers, but for those that are rolled up."""
    condition = and_(_has_number(size), ~rolled_up())
    return Statement("sum", _costs, partial(_grouped, condition), required_parameters(condition))


@lru_cache
def _times_of_numbers(size: int) -> Statement:
    # Not their maximum, for which a database may look through its index on the time of all.
    expression = select(_costs.c.timestamp).where(_has_number(size))
    return from_expression("list", _costs, expression)


@lru_cache
def _last_of_others(size: int) -> Statement:
    number = _costs.c.sequence_number
    expression = select(number).where(~_has_number(size)).order_by(number.desc()).limit(1)
    return from_expression("get", _costs, expression)


def _has_number(size: int) -> ColumnElement[bool]:
    names = (f"number_{place}" for place in range(size))
    return _costs.c.sequence_number.in_([bind(_costs, "sequence_number", name) for name in names])


def _more() -> Statement:
    before, settled = (
        bind(_state, "rolled_up_before", "before"),
        bind(_state, "last_sequence_number", "settled"),
    )
    is_settled = _costs.c.sequence_number <= settled
    parts = (and_(~old(), _costs.c.timestamp < before), and_(old(), late()))
    conditions = [and_(part, is_settled) for part in parts]
    parameters = {
        each.key: each for condition in conditions for each in required_parameters(condition)
    }
    return Statement(
        "sum",
        _costs,
        lambda dialect: union_all(*[_grouped(each, dialect) for each in conditions]),
        parameters.values(),
    )


_MORE: Final = _more()
"""Sums what is rolled up next: costs of later days, and of earlier ones that were recorded late."""

_ANY: Final = from_expression("count", _rollups, select(exists(select(_rollups.c.id))))
"""Tells whether there are roll-ups."""

_FIRST_LEFT: Final = from_expression(
    "get", _costs, select(func.min(_costs.c.timestamp)).where(~old())
)
