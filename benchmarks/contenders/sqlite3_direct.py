"""Plain sqlite3: in the thread of the event loop, and through one worker thread."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from benchmarks.contenders.base import Contender, changed, sqlite_pragmas
from benchmarks.contenders.rows import AS_TEXT, COSTS, MESSAGES, TASKS, FastMapper, Row
from benchmarks.contenders.sql import sqlite_sql
from benchmarks.data import Job
from synthorg.entities import CostRecord, Message, Task
from synthorg.persistence import PersistenceConfig

Result = TypeVar("Result")


class Store:
    """One connection, blocking, and how entities lie in its tables.

    Args:
        config: The database.
    """

    def __init__(self, config: PersistenceConfig) -> None:
        # Transactions by hand: https://docs.python.org/3/library/sqlite3.html#transaction-control
        self.connection = sqlite3.connect(
            config.sqlite.path, isolation_level=None, check_same_thread=False
        )
        for pragma, value in sqlite_pragmas(config.sqlite).items():
            self.connection.execute(f"PRAGMA {pragma}={value}")
        self.sql = sqlite_sql()
        self.tasks = FastMapper(TASKS, AS_TEXT)
        self.messages = FastMapper(MESSAGES, AS_TEXT)
        self.costs = FastMapper(COSTS, AS_TEXT)

    def execute(self, statement: str, row: Row) -> None:
        """Run a statement that returns nothing."""
        self.connection.execute(statement, row)

    def one(self, statement: str, key: str) -> Row | None:
        """Read the first row."""
        row: Row | None = self.connection.execute(statement, (key,)).fetchone()
        return row

    def every(self, statement: str, key: str) -> Sequence[Row]:
        """Read all rows."""
        return self.connection.execute(statement, (key,)).fetchall()

    def save_many(self, tasks: Sequence[Task]) -> None:
        """Insert or replace tasks in one transaction."""
        rows = map(self.tasks.row, tasks)
        self.in_transaction(lambda: self.connection.executemany(self.sql.save_task, rows))

    def work(self, job: Job) -> None:
        """Do a unit of work in one transaction."""

        def steps() -> None:
            row = self.one(self.sql.get_task, job.task_id)
            task = changed(None if row is None else self.tasks.entity(row), job)
            self.execute(self.sql.save_task, self.tasks.row(task))
            self.execute(self.sql.add_message, self.messages.row(job.message))
            self.execute(self.sql.add_cost, self.costs.row(job.cost))

        self.in_transaction(steps)

    def in_transaction(self, steps: Callable[[], Any]) -> None:
        """Run steps of which all or none are stored."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            steps()
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")


class InProcess(Contender):
    """What SQLite itself needs: every call blocks the event loop until it is done."""

    async def open(self) -> None:
        self._store = Store(self.config)

    async def close(self) -> None:
        self._store.connection.close()

    async def save(self, task: Task) -> None:
        self._store.execute(self._store.sql.save_task, self._store.tasks.row(task))

    async def get(self, task_id: str) -> Task | None:
        row = self._store.one(self._store.sql.get_task, task_id)
        return None if row is None else self._store.tasks.entity(row)

    async def list_project(self, project: str) -> Sequence[Task]:
        rows = self._store.every(self._store.sql.list_tasks, project)
        return [self._store.tasks.entity(row) for row in rows]

    async def newest(self, channel: str) -> Sequence[Message]:
        rows = self._store.every(self._store.sql.newest, channel)
        return [self._store.messages.entity(row) for row in rows]

    async def spent(self, agent_id: str) -> float:
        (row,) = self._store.every(self._store.sql.spent, agent_id)
        return float(row[0])

    async def save_many(self, tasks: Sequence[Task]) -> None:
        self._store.save_many(tasks)

    async def work(self, job: Job) -> None:
        self._store.work(job)

    async def add_message(self, message: Message) -> None:
        self._store.execute(self._store.sql.add_message, self._store.messages.row(message))

    async def add_cost(self, cost: CostRecord) -> None:
        self._store.execute(self._store.sql.add_cost, self._store.costs.row(cost))


Waiting = tuple[Callable[[], Any], "asyncio.Future[Any]"]


@dataclass(frozen=True)
class Trip:
    """The calls that go to the thread together.

    Attributes:
        writes: They share one transaction.
        others: They come after it; a transaction that they need is their own.
    """

    writes: Sequence[Waiting]
    others: Sequence[Waiting]


class OneHop(Contender):
    """The practical limit: one thread, one trip to it for all calls that wait.

    Calls that wait while the thread works make the next trip together, and those among them that
    write share one transaction, so that one sync makes all of them durable. Entities are converted
    on the event loop, while the thread is busy with SQLite. A call that fails fails its whole trip.
    """

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._store = Store(self.config)
        self._writes: list[Waiting] = []
        self._others: list[Waiting] = []
        self._under_way = False
        self._trips: SimpleQueue[Trip | None] = SimpleQueue()
        self._thread = Thread(target=self._serve)
        self._thread.start()

    async def close(self) -> None:
        self._trips.put(None)
        await asyncio.to_thread(self._thread.join)
        self._store.connection.close()

    async def save(self, task: Task) -> None:
        await self._write(self._store.sql.save_task, self._store.tasks.row(task))

    async def get(self, task_id: str) -> Task | None:
        statement = self._store.sql.get_task
        row = await self._go(self._others, lambda: self._store.one(statement, task_id))
        return None if row is None else self._store.tasks.entity(row)

    async def list_project(self, project: str) -> Sequence[Task]:
        rows = await self._read(self._store.sql.list_tasks, project)
        return [self._store.tasks.entity(row) for row in rows]

    async def newest(self, channel: str) -> Sequence[Message]:
        rows = await self._read(self._store.sql.newest, channel)
        return [self._store.messages.entity(row) for row in rows]

    async def spent(self, agent_id: str) -> float:
        (row,) = await self._read(self._store.sql.spent, agent_id)
        return float(row[0])

    async def save_many(self, tasks: Sequence[Task]) -> None:
        await self._go(self._others, lambda: self._store.save_many(tasks))

    async def work(self, job: Job) -> None:
        await self._go(self._others, lambda: self._store.work(job))

    async def add_message(self, message: Message) -> None:
        await self._write(self._store.sql.add_message, self._store.messages.row(message))

    async def add_cost(self, cost: CostRecord) -> None:
        await self._write(self._store.sql.add_cost, self._store.costs.row(cost))

    async def _write(self, statement: str, row: Row) -> None:
        await self._go(self._writes, lambda: self._store.execute(statement, row))

    async def _read(self, statement: str, key: str) -> Sequence[Row]:
        return await self._go(self._others, lambda: self._store.every(statement, key))

    async def _go(self, waiting: list[Waiting], call: Callable[[], Result]) -> Result:
        answer: asyncio.Future[Result] = self._loop.create_future()
        waiting.append((call, answer))
        if not self._under_way:
            self._set_out()
        return await answer

    def _set_out(self) -> None:
        self._under_way = True
        self._trips.put(Trip(self._writes, self._others))
        self._writes, self._others = [], []

    def _serve(self) -> None:
        while (trip := self._trips.get()) is not None:
            results: list[Any] = []
            error: Exception | None = None
            try:
                self._carry_out(trip, results)
            except Exception as failure:  # noqa: BLE001 (whatever it is, the callers are told)
                error = failure
            self._loop.call_soon_threadsafe(self._return, trip, results, error)

    def _carry_out(self, trip: Trip, results: list[Any]) -> None:
        if len(trip.writes) == 1:
            results.append(trip.writes[0][0]())
        elif trip.writes:
            self._store.in_transaction(lambda: results.extend(call() for call, _ in trip.writes))
        results.extend(call() for call, _ in trip.others)

    def _return(self, trip: Trip, results: list[Any], error: Exception | None) -> None:
        self._under_way = False
        if self._writes or self._others:
            self._set_out()
        for position, (_, answer) in enumerate([*trip.writes, *trip.others]):
            if error is None:
                answer.set_result(results[position])
            else:
                answer.set_exception(error)
