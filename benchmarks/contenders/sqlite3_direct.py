"""Plain sqlite3: in the thread of the event loop, and through one worker thread."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from benchmarks.contenders.base import Contender, changed, sqlite_pragmas
from benchmarks.contenders.rows import AS_TEXT, COSTS, MESSAGES, TASKS, FastMapper
from benchmarks.contenders.sql import sqlite_sql
from benchmarks.data import Job
from synthorg.entities import CostRecord, Message, Task
from synthorg.persistence import PersistenceConfig

Result = TypeVar("Result")


class Store:
    """The operations on one connection, blocking; the caller begins and ends transactions.

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
        self._sql = sqlite_sql()
        self._tasks = FastMapper(TASKS, AS_TEXT)
        self._messages = FastMapper(MESSAGES, AS_TEXT)
        self._costs = FastMapper(COSTS, AS_TEXT)

    def save(self, task: Task) -> None:
        """Insert or replace a task."""
        self.connection.execute(self._sql.save_task, self._tasks.row(task))

    def get(self, task_id: str) -> Task | None:
        """Read a task."""
        row = self.connection.execute(self._sql.get_task, (task_id,)).fetchone()
        return None if row is None else self._tasks.entity(row)

    def list_project(self, project: str) -> Sequence[Task]:
        """Read the tasks of a project."""
        rows = self.connection.execute(self._sql.list_tasks, (project,)).fetchall()
        return [self._tasks.entity(row) for row in rows]

    def newest(self, channel: str) -> Sequence[Message]:
        """Read the newest messages of a channel."""
        rows = self.connection.execute(self._sql.newest, (channel,)).fetchall()
        return [self._messages.entity(row) for row in rows]

    def spent(self, agent_id: str) -> float:
        """Add up the costs of an agent."""
        row = self.connection.execute(self._sql.spent, (agent_id,)).fetchone()
        return float(row[0])

    def save_many(self, tasks: Sequence[Task]) -> None:
        """Insert or replace tasks in one transaction."""
        rows = map(self._tasks.row, tasks)
        self.in_transaction(lambda: self.connection.executemany(self._sql.save_task, rows))

    def work(self, job: Job) -> None:
        """Do a unit of work in one transaction."""

        def steps() -> None:
            self.save(changed(self.get(job.task_id), job))
            self.add_message(job.message)
            self.add_cost(job.cost)

        self.in_transaction(steps)

    def add_message(self, message: Message) -> None:
        """Append a message."""
        self.connection.execute(self._sql.add_message, self._messages.row(message))

    def add_cost(self, cost: CostRecord) -> None:
        """Append a cost."""
        self.connection.execute(self._sql.add_cost, self._costs.row(cost))

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
        self._store.save(task)

    async def get(self, task_id: str) -> Task | None:
        return self._store.get(task_id)

    async def list_project(self, project: str) -> Sequence[Task]:
        return self._store.list_project(project)

    async def newest(self, channel: str) -> Sequence[Message]:
        return self._store.newest(channel)

    async def spent(self, agent_id: str) -> float:
        return self._store.spent(agent_id)

    async def save_many(self, tasks: Sequence[Task]) -> None:
        self._store.save_many(tasks)

    async def work(self, job: Job) -> None:
        self._store.work(job)

    async def add_message(self, message: Message) -> None:
        self._store.add_message(message)

    async def add_cost(self, cost: CostRecord) -> None:
        self._store.add_cost(cost)


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
    write share one transaction, so that one sync makes all of them durable. A call that fails
    fails its whole trip.
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
        await self._go(self._writes, lambda: self._store.save(task))

    async def get(self, task_id: str) -> Task | None:
        return await self._go(self._others, lambda: self._store.get(task_id))

    async def list_project(self, project: str) -> Sequence[Task]:
        return await self._go(self._others, lambda: self._store.list_project(project))

    async def newest(self, channel: str) -> Sequence[Message]:
        return await self._go(self._others, lambda: self._store.newest(channel))

    async def spent(self, agent_id: str) -> float:
        return await self._go(self._others, lambda: self._store.spent(agent_id))

    async def save_many(self, tasks: Sequence[Task]) -> None:
        await self._go(self._others, lambda: self._store.save_many(tasks))

    async def work(self, job: Job) -> None:
        await self._go(self._others, lambda: self._store.work(job))

    async def add_message(self, message: Message) -> None:
        await self._go(self._writes, lambda: self._store.add_message(message))

    async def add_cost(self, cost: CostRecord) -> None:
        await self._go(self._writes, lambda: self._store.add_cost(cost))

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
