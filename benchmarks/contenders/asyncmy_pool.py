"""asyncmy through its own pool."""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncmy

from benchmarks.contenders.base import Contender, changed, mariadb_session
from benchmarks.contenders.rows import COSTS, MESSAGES, TASKS, WITHOUT_ZONE, Mapper
from benchmarks.contenders.sql import mariadb_sql
from benchmarks.data import Job
from synthorg.entities import CostRecord, Message, Task
from synthorg.persistence import MariaDBConfig


class AsyncmyPool(Contender):
    """As https://github.com/long2ice/asyncmy#use-pool shows it."""

    async def open(self) -> None:
        section = self.config.section
        assert isinstance(section, MariaDBConfig)
        self._pool = await asyncmy.create_pool(
            minsize=section.pool_size,
            maxsize=section.pool_size,
            host=section.host,
            port=section.port,
            user=section.username,
            password="" if section.password is None else section.password.get_secret_value(),
            db=section.database,
            charset="utf8mb4",
            autocommit=True,
            init_command=mariadb_session(section),
        )
        self._sql = mariadb_sql()
        self._tasks = Mapper(TASKS, WITHOUT_ZONE)
        self._messages = Mapper(MESSAGES, WITHOUT_ZONE)
        self._costs = Mapper(COSTS, WITHOUT_ZONE)

    async def close(self) -> None:
        self._pool.close()
        await self._pool.wait_closed()

    async def save(self, task: Task) -> None:
        await self._execute(self._sql.save_task, self._tasks.row(task))

    async def get(self, task_id: str) -> Task | None:
        rows = await self._execute(self._sql.get_task, (task_id,))
        return self._tasks.entity(rows[0]) if rows else None

    async def list_project(self, project: str) -> Sequence[Task]:
        rows = await self._execute(self._sql.list_tasks, (project,))
        return [self._tasks.entity(row) for row in rows]

    async def newest(self, channel: str) -> Sequence[Message]:
        rows = await self._execute(self._sql.newest, (channel,))
        return [self._messages.entity(row) for row in rows]

    async def spent(self, agent_id: str) -> float:
        rows = await self._execute(self._sql.spent, (agent_id,))
        return float(rows[0][0])

    async def save_many(self, tasks: Sequence[Task]) -> None:
        async with self._pool.acquire() as connection:
            await connection.begin()
            try:
                async with connection.cursor() as cursor:
                    await cursor.executemany(
                        self._sql.save_task, [self._tasks.row(task) for task in tasks]
                    )
            except BaseException:
                await connection.rollback()
                raise
            await connection.commit()

    async def work(self, job: Job) -> None:
        async with self._pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            await connection.begin()
            try:
                await cursor.execute(self._sql.get_task, (job.task_id,))
                row = await cursor.fetchone()
                task = None if row is None else self._tasks.entity(row)
                await cursor.execute(self._sql.save_task, self._tasks.row(changed(task, job)))
                await cursor.execute(self._sql.add_message, self._messages.row(job.message))
                await cursor.execute(self._sql.add_cost, self._costs.row(job.cost))
            except BaseException:
                await connection.rollback()
                raise
            await connection.commit()

    async def add_message(self, message: Message) -> None:
        await self._execute(self._sql.add_message, self._messages.row(message))

    async def add_cost(self, cost: CostRecord) -> None:
        await self._execute(self._sql.add_cost, self._costs.row(cost))

    async def _execute(self, statement: str, values: Iterable[Any]) -> Sequence[Sequence[Any]]:
        async with self._pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(statement, values)
            rows: Sequence[Sequence[Any]] = await cursor.fetchall()
            return rows
