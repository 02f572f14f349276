"""The ORM of SQLAlchemy, as its documentation teaches it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase

from benchmarks.contenders import sqlalchemy_tables
from benchmarks.contenders.base import NEWEST, Contender, changed
from benchmarks.contenders.rows import COSTS, MESSAGES, TASKS
from benchmarks.contenders.sqlalchemy_tables import create_engine, unit_options, upsert
from benchmarks.data import Job
from synthorg.entities import CostRecord, Message, Task


class Base(DeclarativeBase):
    """What is mapped to the tables.

    https://docs.sqlalchemy.org/en/21/orm/declarative_tables.html#orm-imperative-table-configuration
    """

    __abstract__ = True


class TaskRow(Base):
    """A row of tasks."""

    __table__ = sqlalchemy_tables.tasks


class MessageRow(Base):
    """A row of messages."""

    __table__ = sqlalchemy_tables.messages

    # Declarative mappings reserve the name "metadata".
    message_metadata = sqlalchemy_tables.messages.c.metadata


class CostRow(Base):
    """A row of cost_records."""

    __table__ = sqlalchemy_tables.cost_records


def message_values(message: Message) -> dict[str, Any]:
    """Give the attributes of the row of a message."""
    values = MESSAGES.values(message)
    return {"message_metadata": values.pop("metadata"), **values}


def values_of(row: DeclarativeBase) -> dict[str, Any]:
    """Give the columns of a row by their names."""
    attributes = inspect(type(row)).column_attrs
    return {each.columns[0].name: getattr(row, each.key) for each in attributes}


class Orm(Contender):
    """As https://docs.sqlalchemy.org/en/21/orm/extensions/asyncio.html#synopsis-orm shows it."""

    async def open(self) -> None:
        self._engine = create_engine(self.config)
        self._session = async_sessionmaker(self._engine, expire_on_commit=False)

    async def close(self) -> None:
        await self._engine.dispose()

    async def save(self, task: Task) -> None:
        async with self._session.begin() as session:
            await session.merge(TaskRow(**TASKS.values(task)))

    async def get(self, task_id: str) -> Task | None:
        async with self._session() as session:
            return await self._get(session, task_id)

    async def list_project(self, project: str) -> Sequence[Task]:
        columns = sqlalchemy_tables.tasks.c
        statement = select(TaskRow).where(columns.project == project).order_by(columns.id)
        async with self._session() as session:
            rows = (await session.scalars(statement)).all()
        return [TASKS.validated(values_of(row)) for row in rows]

    async def newest(self, channel: str) -> Sequence[Message]:
        columns = sqlalchemy_tables.messages.c
        statement = (
            select(MessageRow)
            .where(columns.channel == channel)
            .order_by(columns.timestamp.desc(), columns.id.desc())
            .limit(NEWEST)
        )
        async with self._session() as session:
            rows = (await session.scalars(statement)).all()
        return [MESSAGES.validated(values_of(row)) for row in rows]

    async def spent(self, agent_id: str) -> float:
        columns = sqlalchemy_tables.cost_records.c
        total = func.coalesce(func.sum(columns.cost_usd), 0.0)
        async with self._session() as session:
            found = await session.scalar(select(total).where(columns.agent_id == agent_id))
        return float(found or 0.0)

    async def save_many(self, tasks: Sequence[Task]) -> None:
        # https://docs.sqlalchemy.org/en/21/orm/queryguide/dml.html#orm-upsert-statements
        statement = upsert(self.config.backend, TaskRow)
        async with self._session.begin() as session:
            await session.execute(statement, [TASKS.values(task) for task in tasks])

    async def work(self, job: Job) -> None:
        async with self._session.begin() as session:
            # https://docs.sqlalchemy.org/en/21/orm/session_transaction.html#setting-isolation-for-individual-transactions
            await session.connection(execution_options=unit_options(self.config))
            task = changed(await self._get(session, job.task_id), job)
            await session.merge(TaskRow(**TASKS.values(task)))
            session.add(MessageRow(**message_values(job.message)))
            session.add(CostRow(**COSTS.values(job.cost)))

    async def add_message(self, message: Message) -> None:
        async with self._session.begin() as session:
            session.add(MessageRow(**message_values(message)))

    async def add_cost(self, cost: CostRecord) -> None:
        async with self._session.begin() as session:
            session.add(CostRow(**COSTS.values(cost)))

    async def _get(self, session: AsyncSession, task_id: str) -> Task | None:
        row = await session.get(TaskRow, task_id)
        return None if row is None else TASKS.validated(values_of(row))
