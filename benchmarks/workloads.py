"""What is measured: each workload is the same operations for every contender."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from benchmarks import data
from benchmarks.contenders.base import Contender
from benchmarks.data import SEED, Volume
from synthorg.entities import Task

Operation = Callable[[Contender], Awaitable[Any]]
Item = TypeVar("Item")

FIRST_NEW_NUMBER: Final = 10_000_000
NUMBERS_OF_A_ROUND: Final = 100_000


class Supply:
    """What one round of one workload works with.

    Args:
        volume: What is stored from the start.
        workload: The name of the workload.
        round_number: The round, counted from 0; none sees what another one stored.
        place: The position of the workload among all.
    """

    def __init__(self, volume: Volume, workload: str, round_number: int, place: int) -> None:
        self._volume = volume
        self._choose = random.Random(f"{SEED} {workload} {round_number}")
        self._first_new = FIRST_NEW_NUMBER * (place + 1) + NUMBERS_OF_A_ROUND * round_number

    def stored_ids(self, number: int) -> list[str]:
        """Choose tasks that are stored, of those that are never saved again."""
        even = range(0, self._volume.rows, 2)
        return [data.task_id(each) for each in self._choose.choices(even, k=number)]

    def new_tasks(self, number: int) -> list[Task]:
        """Make tasks that are not stored yet, in a project that nobody lists."""
        project = self._volume.projects
        return [data.task(self._first_new + each, project=project) for each in range(number)]

    def changed_tasks(self, number: int) -> list[Task]:
        """Make tasks that are stored with other content, from anywhere in the table."""
        odd = range(1, self._volume.rows, 2)
        return [
            self._volume.task(each, revision=self._first_new)
            for each in self._choose.sample(odd, k=number)
        ]

    def projects(self, number: int) -> list[str]:
        """Choose projects."""
        return self._chosen(number, self._volume.projects, data.project_id)

    def channels(self, number: int) -> list[str]:
        """Choose channels."""
        return self._chosen(number, data.CHANNELS, data.channel_name)

    def agents(self, number: int) -> list[str]:
        """Choose agents."""
        return self._chosen(number, data.AGENTS, data.agent_id)

    def jobs(self, number: int) -> list[data.Job]:
        """Make units of work, each on a stored task."""
        tasks = self._choose.choices(range(1, self._volume.rows, 2), k=number)
        return [data.job(self._first_new + each, of_task) for each, of_task in enumerate(tasks)]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """Put the items into another order."""
        return self._choose.sample(items, k=len(items))

    def _chosen(self, number: int, among: int, name: Callable[[int], str]) -> list[str]:
        return [name(each) for each in self._choose.choices(range(among), k=number)]


@dataclass(frozen=True)
class Workload:
    """One kind of work.

    Attributes:
        title: What it is, for people.
        per_second: What is counted.
        units: How many a round has.
        quick_units: How many it has when there is little time.
        prepare: Makes the operations, before the clock starts.
        width: How many tasks carry them out at the same time.
    """

    title: str
    per_second: str
    units: int
    quick_units: int
    prepare: Callable[[Supply, int], Sequence[Operation]]
    width: int = 1


def _saves(supply: Supply, number: int) -> list[Operation]:
    return [_save(task) for task in supply.new_tasks(number)]


def _replacements(supply: Supply, number: int) -> list[Operation]:
    return [_save(task) for task in supply.changed_tasks(number)]


def _gets(supply: Supply, number: int) -> list[Operation]:
    return [_get(task_id) for task_id in supply.stored_ids(number)]


def _mixture(supply: Supply, number: int) -> list[Operation]:
    saves = [*_saves(supply, number // 10), *_replacements(supply, number // 10)]
    return supply.shuffled([*saves, *_gets(supply, number - len(saves))])


def _lists(supply: Supply, number: int) -> list[Operation]:
    return [_list_project(project) for project in supply.projects(number)]


def _histories(supply: Supply, number: int) -> list[Operation]:
    return [_newest(channel) for channel in supply.channels(number)]


def _sums(supply: Supply, number: int) -> list[Operation]:
    return [_spent(agent) for agent in supply.agents(number)]


def _bulk(supply: Supply, number: int) -> list[Operation]:
    return [_save_many(supply.new_tasks(number))]


def _units(supply: Supply, number: int) -> list[Operation]:
    return [_work(job) for job in supply.jobs(number)]


def _save(task: Task) -> Operation:
    return lambda contender: contender.save(task)


def _get(task_id: str) -> Operation:
    return lambda contender: contender.get(task_id)


def _list_project(project: str) -> Operation:
    return lambda contender: contender.list_project(project)


def _newest(channel: str) -> Operation:
    return lambda contender: contender.newest(channel)


def _spent(agent_id: str) -> Operation:
    return lambda contender: contender.spent(agent_id)


def _save_many(tasks: Sequence[Task]) -> Operation:
    return lambda contender: contender.save_many(tasks)


def _work(job: data.Job) -> Operation:
    return lambda contender: contender.work(job)


WORKLOADS: Final = {
    "save": Workload("Save a new task, one after the other", "tasks/s", 600, 200, _saves),
    "get": Workload("Get a task, one after the other", "tasks/s", 1_000, 300, _gets),
    "save-64": Workload("Save new tasks, 64 at a time", "tasks/s", 1_280, 384, _saves, width=64),
    "get-64": Workload("Get tasks, 64 at a time", "tasks/s", 1_920, 640, _gets, width=64),
    "replace": Workload(
        "Save a stored task, one after the other", "tasks/s", 600, 200, _replacements
    ),
    "replace-64": Workload(
        "Save stored tasks, 64 at a time", "tasks/s", 1_280, 384, _replacements, width=64
    ),
    "list": Workload("List the 1,000 tasks of a project", "lists/s", 10, 4, _lists),
    "newest": Workload("The newest 50 messages of a channel", "lists/s", 100, 40, _histories),
    "sum": Workload("Add up the costs of an agent", "sums/s", 200, 80, _sums),
    "bulk": Workload("Save 10,000 tasks at once", "tasks/s", 10_000, 2_000, _bulk),
    "mixed": Workload("80 % gets, 20 % saves, 16 at a time", "calls/s", 1_600, 480, _mixture, 16),
    "unit": Workload("A unit of work: get, save, two appends", "units/s", 200, 80, _units),
}


async def carry_out(operations: Sequence[Operation], contender: Contender, width: int) -> list[Any]:
    """Carry operations out, and give their results in the order of the operations.

    Args:
        operations: What to do.
        contender: By whom.
        width: How many tasks take one operation after the other.
    """
    if width == 1:
        return [await operation(contender) for operation in operations]
    results: list[Any] = [None] * len(operations)
    positions = count()

    async def work_off() -> None:
        while (position := next(positions)) < len(operations):
            results[position] = await operations[position](contender)

    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(work_off())
    return results


def fingerprint(results: Sequence[Any]) -> str:
    """Condense what was read, so that contenders can be seen to have read the same.

    Args:
        results: Entities, sequences of entities, numbers, or None.
    """
    digest = blake2b(digest_size=16)
    for part in _parts(results):
        digest.update(part.encode() + b"\n")
    return digest.hexdigest()


def _parts(result: Any) -> Iterator[str]:
    if isinstance(result, BaseModel):
        yield result.model_dump_json()
    elif isinstance(result, float):
        yield f"{result:.9g}"  # databases add up in different orders
    elif isinstance(result, list | tuple):
        for each in result:
            yield from _parts(each)
    else:
        yield repr(result)
