"""Tasks."""

from functools import partial
from typing import NamedTuple

from sqlalchemy import func, select

from synthorg.entities import NotBlankStr, Task, TaskStatus
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import KeyedRepository
from synthorg.persistence.sql.repositories.records import RowReader
from synthorg.persistence.sql.statements.queries import Conditions, ListQuery
from synthorg.persistence.stores import TaskStore


class StatusCount(NamedTuple):
    """How many tasks are in one status."""

    status: TaskStatus
    tasks: int


class SQLTaskRepository(KeyedRepository[Task], TaskStore):
    """`TaskRepository` on SQL."""

    table = tables.tasks
    record = Task

    listing = ListQuery(
        table, record, order_by=("id",), filters=("status", "assigned_to", "project")
    )

    _conditions = Conditions(table, record, filters=("assigned_to", "project"))
    _status_counts = RowReader(table, StatusCount)
    _counts = select(table.c.status, func.count()).group_by(table.c.status).order_by(table.c.status)

    async def save(self, task: Task) -> None:
        await self._save(task)

    async def get(self, task_id: NotBlankStr) -> Task | None:
        return await self._get(task_id)

    async def list_tasks(
        self,
        *,
        status: TaskStatus | None = None,
        assigned_to: NotBlankStr | None = None,
        project: NotBlankStr | None = None,
    ) -> tuple[Task, ...]:
        return await self._list(
            self.listing, status=status, assigned_to=assigned_to, project=project
        )

    async def count_by_status(
        self, *, assigned_to: NotBlankStr | None = None, project: NotBlankStr | None = None
    ) -> dict[TaskStatus, int]:
        given = {"assigned_to": assigned_to, "project": project}
        statement, present = self._conditions.applied("count", given, lambda _: self._counts)
        rows = await self._executor.fetch(statement, present)
        read = partial(self._status_counts.read_named, StatusCount._fields)
        return dict(count for _, count in self._readable(rows, read))

    async def delete(self, task_id: NotBlankStr) -> bool:
        return await self._delete(task_id)
