"""The kinds of records that can be pruned: by which time, under which condition, with what."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import BindParameter, Column, ColumnElement, Table, and_, exists, func, or_, select

from synthorg.entities import TaskStatus
from synthorg.persistence.errors import UsageError
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.owned_tables import OwnedTables
from synthorg.persistence.sql.repositories.cost_rollups import roll_up_pruned
from synthorg.persistence.sql.repositories.cost_sums import midnight_before
from synthorg.persistence.sql.tables import own_time, record_key
from synthorg.persistence.sql.types import UtcDateTime

Key = tuple[Any, ...]
BeforeRemoval = Callable[[Executor, Sequence[Key]], Awaitable[None]]


async def _nothing(executor: Executor, keys: Sequence[Key]) -> None:
    """Do nothing before records are removed."""


def _as_it_is(moment: datetime) -> datetime:
    return moment


@dataclass(frozen=True, eq=False)
class PrunableKind:
    """What is known of a kind of records that grows for ever.

    Attributes:
        table: Its table.
        time: The column of its own time; None where others tell how old it is.
        condition: What records have to meet beside being old.
        is_before: Builds the condition for records of before a moment, where it has no such column.
        dependents: The columns of other tables that name the key, whose records go as well.
        before_removal: What the transaction does before it removes records, given their keys.
        rounded: Makes of the moment before which records are removed one that suits.
        is_recorded: Whether each removal is recorded, so that it needs an archive.
    """

    table: Table
    time: Column[Any] | None
    condition: ColumnElement[bool] | None = None
    is_before: Callable[[BindParameter[Any]], ColumnElement[bool]] | None = None
    dependents: Sequence[Column[Any]] = ()
    before_removal: BeforeRemoval = _nothing
    rounded: Callable[[datetime], datetime] = _as_it_is
    is_recorded: bool = False

    @property
    def key(self) -> Sequence[Column[Any]]:
        """The columns by which its records are known."""
        return record_key(self.table)


async def _roll_up(executor: Executor, keys: Sequence[Key]) -> None:
    await roll_up_pruned(executor, [number for (number,) in keys])


def _no_other_names(execution: Column[Any], others: Iterable[Column[Any]]) -> ColumnElement[bool]:
    """Build the condition for an execution that nothing shows to be under way."""
    return and_(*[~exists().where(other == execution) for other in others])


def _ended_before(moment: BindParameter[Any]) -> ColumnElement[bool]:
    """Build the condition for tasks whose last metric is of before a moment."""
    metrics = tables.task_metrics.c
    last = select(metrics.task_id).group_by(metrics.task_id)
    return tables.tasks.c.id.in_(last.having(func.max(metrics.completed_at) < moment))


_checkpoints, _tasks = tables.checkpoints.c, tables.tasks.c

ENDED: Final = (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)

PRUNABLE: Final[Mapping[str, PrunableKind]] = MappingProxyType(
    {
        kind.table.name: kind
        for kind in (
            PrunableKind(tables.messages, own_time(tables.messages)),
            PrunableKind(tables.lifecycle_events, own_time(tables.lifecycle_events)),
            PrunableKind(tables.collaboration_metrics, own_time(tables.collaboration_metrics)),
            PrunableKind(
                tables.workflow_executions,
                own_time(tables.workflow_executions),
                tables.workflow_executions.c.completed_at.is_not(None),
            ),
            PrunableKind(
                tables.tasks,
                None,
                or_(*[_tasks.status == each.value for each in ENDED]),
                _ended_before,
                dependents=(
                    _checkpoints.task_id,
                    tables.heartbeats.c.task_id,
                    tables.parked_contexts.c.task_id,
                ),
            ),
            PrunableKind(
                tables.checkpoints,
                own_time(tables.checkpoints),
                _no_other_names(
                    _checkpoints.execution_id,
                    (
                        tables.heartbeats.c.execution_id,
                        tables.agent_states.c.execution_id,
                        tables.parked_contexts.c.execution_id,
                    ),
                ),
            ),
            PrunableKind(tables.parked_contexts, own_time(tables.parked_contexts)),
            PrunableKind(tables.heartbeats, own_time(tables.heartbeats)),
            PrunableKind(
                tables.cost_records,
                own_time(tables.cost_records),
                before_removal=_roll_up,
                rounded=midnight_before,  # sums are of whole days
            ),
            PrunableKind(tables.task_metrics, own_time(tables.task_metrics)),
            PrunableKind(tables.audit_entries, own_time(tables.audit_entries), is_recorded=True),
        )
    }
)
"""By name, in the order in which they are pruned."""


def kind_of(name: str, time: str | None, extensions: Sequence[OwnedTables]) -> PrunableKind:
    """Find what is known of a kind.

    Args:
        name: The name of its table.
        time: The column of its time, for a table of an extension.
        extensions: The tables of each extension.

    Raises:
        UsageError: If it cannot be pruned, or nobody said by which time.
    """
    known = PRUNABLE.get(name)
    if known is not None:
        if time is not None:
            raise UsageError(f"cannot prune {name} by {time}: it is known how old they are")
        return known
    own = [table for owned in extensions for table in owned.metadata.sorted_tables]
    table = next((table for table in own if table.name == name), None)
    if table is None:
        can_be = ", ".join([*PRUNABLE, *(each.name for each in own)])
        raise UsageError(f"cannot prune {name}; what can be pruned is {can_be}")
    column = None if time is None else table.columns.get(time)
    times = [each.name for each in table.columns if isinstance(each.type, UtcDateTime)]
    if column is None or column.name not in times:
        raise UsageError(
            f"cannot prune {name} without its time: give one of its columns ({', '.join(times)})"
        )
    return _own_kind(table, column)


@lru_cache
def _own_kind(table: Table, time: Column[Any]) -> PrunableKind:
    return PrunableKind(table, time, time.is_not(None))
