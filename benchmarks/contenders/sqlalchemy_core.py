"""SQLAlchemy Core, as its tutorial teaches it."""

from collections.abc import Sequence

from sqlalchemy import Executable, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.contenders.base import NEWEST, Contender, changed
from benchmarks.contenders.rows import COSTS, MESSAGES, TASKS
from benchmarks.contenders.sqlalchemy_tables import (
    cost_records,
    create_engine,
    messages,
    tasks,
    unit_options,
    upsert,
)
from benchmarks.data import Job
from synthorg.entities import CostRecord, Message, Task


class Core(Contender):
    """As https://docs.sqlalchemy.org/en/21/orm/extensions/asyncio.html#synopsis-core shows it."""

    async def open(self) -> None:
        self._engine = create_engine(self.config)

    async def close(self) -> None:
        await self._engine.dispose()

    async def save(self, task: Task) -> None:
        async with self._engine.begin() as connection:
            await self._save(connection, task)

    async def get(self, task_id: str) -> Task | None:
        async with self._engine.connect() as connection:
            return await self._get(connection, task_id)

    async def list_project(self, project: str) -> Sequence[Task]:
        statement = select(tasks).where(tasks.c.project == project).order_by(tasks.c.id)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return [TASKS.validated(dict(row)) for row in rows]

    async def newest(self, channel: str) -> Sequence[Message]:
        statement = (
            select(messages)
            .where(messages.c.channel == channel)
            .order_by(messages.c.timestamp.desc(), messages.c.id.desc())
            .limit(NEWEST)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return [MESSAGES.validated(dict(row)) for row in rows]

    async def spent(self, agent_id: str) -> float:
        total = func.coalesce(func.sum(cost_records.c.cost_usd), 0.0)
        statement = select(total).where(cost_records.c.agent_id == agent_id)
        async with self._engine.connect() as connection:
            return float(await connection.scalar(statement) or 0.0)

    async def save_many(self, tasks: Sequence[Task]) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(self._upsert(), [TASKS.values(task) for task in tasks])

    async def work(self, job: Job) -> None:
        engine = self._engine.execution_options(**unit_options(self.config))
        async with engine.begin() as connection:
            await self._save(connection, changed(await self._get(connection, job.task_id), job))
            await connection.execute(insert(messages), MESSAGES.values(job.message))
            await connection.execute(insert(cost_records), COSTS.values(job.cost))

    async def add_message(self, message: Message) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(insert(messages), MESSAGES.values(message))

    async def add_cost(self, cost: CostRecord) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(insert(cost_records), COSTS.values(cost))

    def _upsert(self) -> Executable:
        return upsert(self.config.backend, tasks)

    async def _save(self, connection: AsyncConnection, task: Task) -> None:
        await connection.execute(self._upsert(), TASKS.values(task))

    async def _get(self, connection: AsyncConnection, task_id: str) -> Task | None:
        statement = select(tasks).where(tasks.c.id == task_id)
        row = (await connection.execute(statement)).mappings().one_or_none()
        return None if row is None else TASKS.validated(dict(row))
