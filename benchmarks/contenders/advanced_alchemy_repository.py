"""Advanced Alchemy: its repositories on the ORM of SQLAlchemy."""

from collections.abc import Sequence
from typing import Any, ClassVar

from advanced_alchemy.base import DefaultBase
from advanced_alchemy.filters import LimitOffset
from advanced_alchemy.repository import (
    SQLAlchemyAsyncQueryRepository,
    SQLAlchemyAsyncRepository,
)
from sqlalchemy import FromClause, func, select
from sqlalchemy.ext.asyncio import async_sessionmaker

from benchmarks.contenders import sqlalchemy_tables
from benchmarks.contenders.base import NEWEST, Contender, changed
from benchmarks.contenders.rows import COSTS, MESSAGES, TASKS
from benchmarks.contenders.sqlalchemy_orm import message_values, values_of
from benchmarks.contenders.sqlalchemy_tables import create_engine, unit_options
from benchmarks.data import Job
from synthorg.entities import CostRecord, Message, Task


class TaskRow(DefaultBase):
    """A row of tasks."""

    __table__: ClassVar[FromClause] = sqlalchemy_tables.tasks


class MessageRow(DefaultBase):
    """A row of messages."""

    __table__: ClassVar[FromClause] = sqlalchemy_tables.messages

    # Declarative mappings reserve the name "metadata".
    message_metadata = sqlalchemy_tables.messages.c.metadata


class CostRow(DefaultBase):
    """A row of cost_records."""

    __table__: ClassVar[FromClause] = sqlalchemy_tables.cost_records


class TaskRows(SQLAlchemyAsyncRepository[TaskRow]):
    """The repository of tasks."""

    model_type = TaskRow


class MessageRows(SQLAlchemyAsyncRepository[MessageRow]):
    """The repository of messages."""

    model_type = MessageRow


class CostRows(SQLAlchemyAsyncRepository[CostRow]):
    """The repository of costs."""

    model_type = CostRow


class AdvancedAlchemy(Contender):
    """As https://docs.advanced-alchemy.litestar.dev/latest/usage/repositories/ shows it."""

    async def open(self) -> None:
        self._engine = create_engine(self.config)
        self._session = async_sessionmaker(self._engine, expire_on_commit=False)

    async def close(self) -> None:
        await self._engine.dispose()

    async def save(self, task: Task) -> None:
        async with self._session() as session:
            await TaskRows(session=session).upsert(TaskRow(**TASKS.values(task)), auto_commit=True)

    async def get(self, task_id: str) -> Task | None:
        async with self._session() as session:
            row = await TaskRows(session=session).get_one_or_none(id=task_id)
        return None if row is None else TASKS.validated(values_of(row))

    async def list_project(self, project: str) -> Sequence[Task]:
        async with self._session() as session:
            rows = await TaskRows(session=session).get_many(project=project, order_by=("id", False))
        return [TASKS.validated(values_of(row)) for row in rows]

    async def newest(self, channel: str) -> Sequence[Message]:
        async with self._session() as session:
            rows = await MessageRows(session=session).get_many(
                LimitOffset(limit=NEWEST, offset=0),
                channel=channel,
                order_by=[("timestamp", True), ("id", True)],
            )
        return [MESSAGES.validated(values_of(row)) for row in rows]

    async def spent(self, agent_id: str) -> float:
        columns = sqlalchemy_tables.cost_records.c
        total = func.coalesce(func.sum(columns.cost_usd), 0.0)
        async with self._session() as session:
            # A number, although its annotation promises a row.
            found: Any = await SQLAlchemyAsyncQueryRepository(session=session).get_one(
                select(total).where(columns.agent_id == agent_id)
            )
        return float(found)

    async def save_many(self, tasks: Sequence[Task]) -> None:
        async with self._session() as session:
            # With its default, one statement for some hundred rows, it was four times slower.
            await TaskRows(session=session).upsert_many(
                [TaskRow(**TASKS.values(task)) for task in tasks], auto_commit=True, no_merge=True
            )

    async def work(self, job: Job) -> None:
        async with self._session.begin() as session:
            await session.connection(execution_options=unit_options(self.config))
            tasks = TaskRows(session=session)
            row = await tasks.get_one_or_none(id=job.task_id)
            task = changed(None if row is None else TASKS.validated(values_of(row)), job)
            await tasks.upsert(TaskRow(**TASKS.values(task)))
            await MessageRows(session=session).add(MessageRow(**message_values(job.message)))
            await CostRows(session=session).add(CostRow(**COSTS.values(job.cost)))

    async def add_message(self, message: Message) -> None:
        async with self._session() as session:
            await MessageRows(session=session).add(
                MessageRow(**message_values(message)), auto_commit=True
            )

    async def add_cost(self, cost: CostRecord) -> None:
        async with self._session() as session:
            await CostRows(session=session).add(CostRow(**COSTS.values(cost)), auto_commit=True)
