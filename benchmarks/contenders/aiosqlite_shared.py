"""Hand-written aiosqlite on one shared connection, as in the predecessor of this library."""

import asyncio
from collections.abc import Sequence

import aiosqlite

from benchmarks.contenders.base import Contender, changed, sqlite_pragmas
from benchmarks.contenders.rows import AS_TEXT, COSTS, MESSAGES, TASKS, Mapper
from benchmarks.contenders.sql import sqlite_sql
from benchmarks.data import Job
from synthorg.entities import CostRecord, Message, Task


class SharedConnection(Contender):
    """Execute and commit for each save, as https://aiosqlite.omnilib.dev/en/stable/ shows it."""

    async def open(self) -> None:
        self._db = await aiosqlite.connect(self.config.sqlite.path)
        for pragma, value in sqlite_pragmas(self.config.sqlite).items():
            await self._db.execute(f"PRAGMA {pragma}={value}")
        self._sql = sqlite_sql()
        self._tasks = Mapper(TASKS, AS_TEXT)
        self._messages = Mapper(MESSAGES, AS_TEXT)
        self._costs = Mapper(COSTS, AS_TEXT)
        self._alone = asyncio.Lock()

    async def close(self) -> None:
        await self._db.close()

    async def save(self, task: Task) -> None:
        await self._db.execute(self._sql.save_task, self._tasks.row(task))
        await self._db.commit()

    async def get(self, task_id: str) -> Task | None:
        cursor = await self._db.execute(self._sql.get_task, (task_id,))
        row = await cursor.fetchone()
        return None if row is None else self._tasks.entity(tuple(row))

    async def list_project(self, project: str) -> Sequence[Task]:
        cursor = await self._db.execute(self._sql.list_tasks, (project,))
        return [self._tasks.entity(tuple(row)) for row in await cursor.fetchall()]

    async def newest(self, channel: str) -> Sequence[Message]:
        cursor = await self._db.execute(self._sql.newest, (channel,))
        return [self._messages.entity(tuple(row)) for row in await cursor.fetchall()]

    async def spent(self, agent_id: str) -> float:
        cursor = await self._db.execute(self._sql.spent, (agent_id,))
        row = await cursor.fetchone()
        return 0.0 if row is None else float(row[0])

    async def save_many(self, tasks: Sequence[Task]) -> None:
        """Save and commit one after the other, as the predecessor has to; not all or none."""
        for task in tasks:
            await self.save(task)

    async def work(self, job: Job) -> None:
        async with self._alone:
            await self._db.execute("BEGIN IMMEDIATE")
            try:
                task = await self.get(job.task_id)
                await self._db.execute(self._sql.save_task, self._tasks.row(changed(task, job)))
                await self._db.execute(self._sql.add_message, self._messages.row(job.message))
                await self._db.execute(self._sql.add_cost, self._costs.row(job.cost))
            except BaseException:
                await self._db.rollback()
                raise
            await self._db.commit()

    async def add_message(self, message: Message) -> None:
        await self._db.execute(self._sql.add_message, self._messages.row(message))
        await self._db.commit()

    async def add_cost(self, cost: CostRecord) -> None:
        await self._db.execute(self._sql.add_cost, self._costs.row(cost))
        await self._db.commit()


class ManyAtOnce(SharedConnection):
    """The same with what aiosqlite has for many rows, in one transaction."""

    async def save_many(self, tasks: Sequence[Task]) -> None:
        try:
            await self._db.executemany(self._sql.save_task, map(self._tasks.row, tasks))
        except BaseException:
            await self._db.rollback()
            raise
        await self._db.commit()
