"""Tasks."""

from synthorg.entities import NotBlankStr, Task, TaskStatus
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.queries import ListQuery
from synthorg.persistence.sql.repository import Repository


class SQLTaskRepository(Repository[Task]):
    """`TaskRepository` on SQL."""

    table = tables.tasks
    record = Task

    _tasks = ListQuery(
        table, record, order_by=("id",), filters=("status", "assigned_to", "project")
    )

    async def save(self, task: Task) -> None:
        await self._upsert(task)

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
            self._tasks, status=status, assigned_to=assigned_to, project=project
        )

    async def delete(self, task_id: NotBlankStr) -> bool:
        return await self._delete(task_id)
