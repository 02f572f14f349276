"""This library, by its default route and by its public one."""

from collections.abc import Sequence
from typing import ClassVar

from benchmarks.contenders.base import NEWEST, Contender, changed
from benchmarks.data import Job
from synthorg.entities import CostRecord, Message, Task
from synthorg.persistence import PersistenceConfig, create_backend


class Library(Contender):
    """The library as it comes."""

    savepoints: ClassVar[bool] = True
    """Whether a call that fails is undone alone, in a unit of work."""

    def __init__(self, config: PersistenceConfig) -> None:
        super().__init__(config)
        self._backend = create_backend(config)

    async def open(self) -> None:
        await self._backend.connect()

    async def close(self) -> None:
        await self._backend.disconnect()

    async def save(self, task: Task) -> None:
        await self._backend.tasks.save(task)

    async def get(self, task_id: str) -> Task | None:
        return await self._backend.tasks.get(task_id)

    async def list_project(self, project: str) -> Sequence[Task]:
        return await self._backend.tasks.list_tasks(project=project)

    async def newest(self, channel: str) -> Sequence[Message]:
        return await self._backend.messages.get_history(channel, limit=NEWEST)

    async def spent(self, agent_id: str) -> float:
        return await self._backend.cost_records.aggregate(agent_id=agent_id)

    async def save_many(self, tasks: Sequence[Task]) -> None:
        await self._backend.tasks.save_many(tasks)

    async def work(self, job: Job) -> None:
        async with self._backend.transaction(savepoints=self.savepoints) as unit:
            task = await unit.tasks.get(job.task_id)
            await unit.tasks.save(changed(task, job))
            await unit.messages.save(job.message)
            await unit.cost_records.save(job.cost)

    async def add_message(self, message: Message) -> None:
        await self._backend.messages.save(message)

    async def add_cost(self, cost: CostRecord) -> None:
        await self._backend.cost_records.save(cost)


class WithoutSavepoints(Library):
    """The library with units of work that end with the first call that fails."""

    savepoints = False


class WithStepsOnTheLoop(Library):
    """The library with steps of units of work on the event loop's own thread."""

    def __init__(self, config: PersistenceConfig) -> None:
        section = config.sqlite.model_copy(update={"unit_steps": "adaptive"})
        super().__init__(config.model_copy(update={"sqlite": section}))


class PublicRoute(Library):
    """The library with every statement executed through SQLAlchemy."""

    def __init__(self, config: PersistenceConfig) -> None:
        section = config.section.model_copy(update={"prepared_statements": False})
        super().__init__(config.model_copy(update={config.backend: section}))
