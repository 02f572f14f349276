"""Tortoise ORM."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel
from tortoise import Model, Tortoise, fields
from tortoise.functions import Sum
from tortoise.transactions import in_transaction

from benchmarks.contenders.base import (
    NEWEST,
    Contender,
    changed,
    server_address,
    sqlite_pragmas,
)
from benchmarks.contenders.rows import AS_TEXT, COSTS, MESSAGES, TASKS, Layout
from benchmarks.data import Job
from synthorg.entities import CostRecord, Message, Task
from synthorg.persistence import PersistenceConfig, SQLiteConfig

Entity = TypeVar("Entity", bound=BaseModel)


class TaskModel(Model):
    """A row of tasks."""

    id = fields.CharField(255, primary_key=True)
    title = fields.TextField()
    description = fields.TextField()
    project = fields.CharField(255)
    created_by = fields.CharField(255)
    type = fields.CharField(32)
    priority = fields.CharField(32)
    assigned_to = fields.CharField(255, null=True)
    reviewers = fields.JSONField[Any]()
    dependencies = fields.JSONField[Any]()
    delegation_chain = fields.JSONField[Any]()
    artifacts_expected = fields.JSONField[Any]()
    acceptance_criteria = fields.JSONField[Any]()
    estimated_complexity = fields.CharField(32)
    budget_limit = fields.FloatField()
    deadline = fields.TextField(null=True)
    max_retries = fields.BigIntField()
    status = fields.CharField(32)
    parent_task_id = fields.CharField(255, null=True)
    task_structure = fields.CharField(32, null=True)
    coordination_topology = fields.CharField(32)

    class Meta:
        """The table."""

        table = "tasks"


class MessageModel(Model):
    """A row of messages."""

    id = fields.CharField(36, primary_key=True)
    timestamp = fields.DatetimeField()
    sender = fields.CharField(255)
    to = fields.CharField(255)
    type = fields.CharField(32)
    priority = fields.CharField(32)
    channel = fields.CharField(255)
    content = fields.TextField()
    attachments = fields.JSONField[Any]()
    metadata = fields.JSONField[Any]()

    class Meta:
        """The table."""

        table = "messages"


class CostModel(Model):
    """A row of cost_records."""

    sequence_number = fields.BigIntField(primary_key=True)
    agent_id = fields.CharField(255)
    task_id = fields.CharField(255)
    provider = fields.CharField(255)
    model = fields.CharField(255)
    input_tokens = fields.BigIntField()
    output_tokens = fields.BigIntField()
    cost_usd = fields.FloatField()
    timestamp = fields.DatetimeField()
    call_category = fields.CharField(32, null=True)

    class Meta:
        """The table."""

        table = "cost_records"


REPLACED: Final = tuple(name for name in TASKS.columns if name != "id")


class TortoiseOrm(Contender):
    """As https://tortoise.github.io/query.html shows it."""

    async def open(self) -> None:
        # Named, for Tortoise keeps the SQL of a connection for as long as the process lives.
        name = self.config.backend
        app = {"models": [__name__], "default_connection": name}
        await Tortoise.init({"connections": {name: _url(self.config)}, "apps": {"models": app}})
        # Tortoise has moments written with a space in them, by an adapter of the whole process.
        sqlite3.register_adapter(datetime, AS_TEXT.write)

    async def close(self) -> None:
        await Tortoise.close_connections()

    async def save(self, task: Task) -> None:
        await self.save_many([task])

    async def get(self, task_id: str) -> Task | None:
        row = await TaskModel.get_or_none(id=task_id)
        return None if row is None else _validated(TASKS, row)

    async def list_project(self, project: str) -> Sequence[Task]:
        rows = await TaskModel.filter(project=project).order_by("id")
        return [_validated(TASKS, row) for row in rows]

    async def newest(self, channel: str) -> Sequence[Message]:
        rows = (
            await MessageModel.filter(channel=channel).order_by("-timestamp", "-id").limit(NEWEST)
        )
        return [_validated(MESSAGES, row) for row in rows]

    async def spent(self, agent_id: str) -> float:
        row: Any = (
            await CostModel.filter(agent_id=agent_id)
            .annotate(total=Sum("cost_usd"))
            .first()
            .values("total")
        )
        return float(row["total"] or 0.0)

    async def save_many(self, tasks: Sequence[Task]) -> None:
        await TaskModel.bulk_create(
            [TaskModel(**TASKS.values(task)) for task in tasks],
            update_fields=REPLACED,
            on_conflict=["id"],
        )

    async def work(self, job: Job) -> None:
        async with in_transaction():
            await self.save(changed(await self.get(job.task_id), job))
            await self.add_message(job.message)
            await self.add_cost(job.cost)

    async def add_message(self, message: Message) -> None:
        await MessageModel.create(**MESSAGES.values(message))

    async def add_cost(self, cost: CostRecord) -> None:
        await CostModel.create(**COSTS.values(cost))


def _validated(layout: Layout[Entity], row: Model) -> Entity:
    return layout.validated({name: getattr(row, name) for name in layout.columns})


def _url(config: PersistenceConfig) -> str:
    # https://tortoise.github.io/databases.html#db-url
    section = config.section
    if isinstance(section, SQLiteConfig):
        return f"sqlite://{section.path}?{urlencode(sqlite_pragmas(section))}"
    size = {"minsize": section.pool_size, "maxsize": section.pool_size}
    return f"asyncpg://{server_address(section)}?{urlencode(size)}"
