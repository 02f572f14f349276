"""asyncpg through its own pool."""

from collections.abc import Sequence

import asyncpg

from benchmarks.contenders.base import Contender, changed
from benchmarks.contenders.rows import AS_MOMENTS, COSTS, MESSAGES, TASKS, Mapper
from benchmarks.contenders.sql import postgresql_sql
from benchmarks.data import Job
from synthorg.entities import CostRecord, Message, Task
from synthorg.persistence import PostgreSQLConfig


class AsyncpgPool(Contender):
    """As https://magicstack.github.io/asyncpg/current/usage.html#connection-pools shows it."""

    async def open(self) -> None:
        section = self.config.section
        assert isinstance(section, PostgreSQLConfig)
        self._pool = await asyncpg.create_pool(
            host=section.host,
            port=section.port,
            user=section.username,
            password=None if section.password is None else section.password.get_secret_value(),
            database=section.database,
            min_size=section.pool_size,
            max_size=section.pool_size,
        )
        self._sql = postgresql_sql()
        self._tasks = Mapper(TASKS, AS_MOMENTS)
        self._messages = Mapper(MESSAGES, AS_MOMENTS)
        self._costs = Mapper(COSTS, AS_MOMENTS)

    async def close(self) -> None:
        await self._pool.close()

    async def save(self, task: Task) -> None:
        await self._pool.execute(self._sql.save_task, *self._tasks.row(task))

    async def get(self, task_id: str) -> Task | None:
        row = await self._pool.fetchrow(self._sql.get_task, task_id)
        return None if row is None else self._tasks.entity(tuple(row))

    async def list_project(self, project: str) -> Sequence[Task]:
        rows = await self._pool.fetch(self._sql.list_tasks, project)
        return [self._tasks.entity(tuple(row)) for row in rows]

    async def newest(self, channel: str) -> Sequence[Message]:
        rows = await self._pool.fetch(self._sql.newest, channel)
        return [self._messages.entity(tuple(row)) for row in rows]

    async def spent(self, agent_id: str) -> float:
        return float(await self._pool.fetchval(self._sql.spent, agent_id))

    async def save_many(self, tasks: Sequence[Task]) -> None:
        await self._pool.executemany(self._sql.save_task, map(self._tasks.row, tasks))

    async def work(self, job: Job) -> None:
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="serializable"),
        ):
            row = await connection.fetchrow(self._sql.get_task, job.task_id)
            task = None if row is None else self._tasks.entity(tuple(row))
            await connection.execute(self._sql.save_task, *self._tasks.row(changed(task, job)))
            await connection.execute(self._sql.add_message, *self._messages.row(job.message))
            await connection.execute(self._sql.add_cost, *self._costs.row(job.cost))

    async def add_message(self, message: Message) -> None:
        await self._pool.execute(self._sql.add_message, *self._messages.row(message))

    async def add_cost(self, cost: CostRecord) -> None:
        await self._pool.execute(self._sql.add_cost, *self._costs.row(cost))
