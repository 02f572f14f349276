"""Tasks."""

from functools import partial
from typing import NamedTuple

from sqlalchemy import func, select
from typing_extensions import Unpack

from synthorg.entities import NotBlankStr, Task, TaskStatus
from synthorg.persistence.repositories import TaskFilters
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import KeyedRepository
from synthorg.persistence.sql.repositories.records import RowReader
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.stores import TaskStore


class StatusCount(NamedTuple):
    """How many tasks are in one status."""

    status: TaskStatus
    tasks: int


class SQLTaskRepository(KeyedRepository[Task], TaskStore):
    """`TaskRepository` on SQL."""

    table = tables.tasks
    record = Task

    listing = ListQuery(table, record, order_by=("id",), filters=TaskFilters)
    _status_counts = RowReader(table, StatusCount)
    _counts = select(table.c.status, func.count()).group_by(table.c.status).order_by(table.c.status)

    async def save(self, task: Task) -> None:
        await self._save(task)

    async def get(self, task_id: NotBlankStr) -> Task | None:
        return await self._get(task_id)

    async def list_tasks(self, **filters: Unpack[TaskFilters]) -> tuple[Task, ...]:
        return await self._list(self.listing, filters)

    async def count_by_status(self, **filters: Unpack[TaskFilters]) -> dict[TaskStatus, int]:
        statement, present = self.listing.filters.applied("count", filters, lambda _: self._counts)
        rows = await self._executor.for_lists.fetch(statement, present)
        read = partial(self._status_counts.read_named, StatusCount._fields)
        return dict(count for _, count in self._readable(rows, read))

    async def delete(self, task_id: NotBlankStr) -> bool:
        return await self._delete(task_id)
