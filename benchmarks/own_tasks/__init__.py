"""Tasks as an application would keep them of its own, beside the library's."""

from typing import Final

from synthorg.entities import Task
from synthorg.persistence.extension import Extension, KeyedRepository, ListQuery

own: Final = Extension("own", migrations="benchmarks.own_tasks:migrations")

own_tasks: Final = own.table(
    Task,
    name="own_tasks",
    key="id",
    indexes=[("status", "id"), ("assigned_to", "id"), ("project", "id")],
)


class OwnTaskRepository(KeyedRepository[Task]):
    """The tasks, by their id."""

    table = own_tasks
    record = Task
    listing = ListQuery(
        table, record, order_by=("id",), filters=("status", "assigned_to", "project")
    )
