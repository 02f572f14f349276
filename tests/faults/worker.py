"""Somebody who writes and reads records of their own, and notes what they are told."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from itertools import count
from random import Random
from typing import Any, Final

from synthorg.persistence import TransactionalBackend, VersionConflictError
from synthorg.persistence.testing.kinds import COST_RECORDS, DEFINITIONS, MESSAGES, TASKS
from synthorg.persistence.transactions import Stores
from tests.faults.ledger import Key, Ledger, State, Told

KEYS: Final = 3
CHANCE_OF_CANCELLATION: Final = 0.1
LONGEST_PATIENCE: Final = 0.02

Step = Callable[[], Awaitable[None]]


class Worker:
    """Does one random thing after the other.

    Nobody else writes its records, so that what it is told is all that can happen to them.

    Args:
        name: The beginning of the names of its records.
        backend: Where it writes.
        ledger: What it notes.
        random: What it does.
    """

    def __init__(
        self, name: str, backend: TransactionalBackend, ledger: Ledger, random: Random
    ) -> None:
        self._name = name
        self._backend = backend
        self._ledger = ledger
        self._random = random
        self._numbers: Iterator[int] = count(1)

    async def step(self) -> None:
        """Do something."""
        steps: list[Step] = [
            self._save,
            self._delete,
            self._read,
            self._swap,
            self._advance,
            self._append,
            self._spend,
            self._save_many,
            self._unit,
        ]
        await self._random.choice(steps)()

    async def _told(self, call: Coroutine[Any, Any, Any]) -> tuple[Told, Any]:
        """Make a call, and sometimes cancel it."""
        task = asyncio.ensure_future(call)
        if self._random.random() < CHANCE_OF_CANCELLATION:
            patience = self._random.uniform(0, LONGEST_PATIENCE)
            asyncio.get_running_loop().call_later(patience, task.cancel)
        return await self._ledger.told(task)

    def _new(self) -> str:
        return f"{self._name}-{next(self._numbers)}"

    def _own(self) -> str:
        return f"{self._name}-own-{self._random.randrange(KEYS)}"

    async def _save(self) -> None:
        name, title = self._own(), self._new()
        told, _ = await self._told(self._backend.tasks.save(TASKS.make(id=name, title=title)))
        self._ledger.write(("task", name), title, told)

    async def _delete(self) -> None:
        key = ("task", self._own())
        before = self._ledger.possible(key)
        told, deleted = await self._told(self._backend.tasks.delete(key[1]))
        if told is Told.DONE:
            assert before != {None} if deleted else None in before, (key, deleted, before)
        self._ledger.write(key, None, told)

    async def _read(self) -> None:
        key = ("task", self._own())
        told, task = await self._told(self._backend.tasks.get(key[1]))
        if told is Told.DONE:
            self._ledger.check(key, None if task is None else task.title)

    async def _swap(self) -> None:
        key, new = ("setting", self._own()), self._new()
        expected = self._one_of(key)
        told, swapped = await self._told(
            self._backend.settings.set(
                "n", key[1], new, new, expected_updated_at="" if expected is None else str(expected)
            )
        )
        if told is Told.DONE and not swapped:
            self._ledger.exclude(key, expected)
        else:
            self._ledger.write(key, new, told)

    async def _advance(self) -> None:
        key = ("definition", self._own())
        version = self._one_of(key)
        assert version is None or isinstance(version, int)
        new = 1 if version is None else version + 1

        async def save() -> bool:
            try:
                await self._backend.workflow_definitions.save(
                    DEFINITIONS.make(id=key[1], version=new)
                )
            except VersionConflictError:
                return False
            return True

        told, saved = await self._told(save())
        if told is Told.DONE and not saved:
            self._ledger.exclude(key, version)
        else:
            self._ledger.write(key, new, told)

    async def _append(self) -> None:
        name = self._new()
        told, _ = await self._told(self._backend.messages.save(message(name)))
        self._ledger.write(("message", name), 1, told)

    async def _spend(self) -> None:
        name = self._new()
        told, _ = await self._told(
            self._backend.cost_records.save(COST_RECORDS.make(agent_id=name))
        )
        self._ledger.write(("cost", name), 1, told)

    async def _save_many(self) -> None:
        name = self._new()
        tasks = [TASKS.make(id=f"{name}-{number}", project=name) for number in range(3)]
        told, _ = await self._told(self._backend.tasks.save_many(tasks))
        self._ledger.write(("many", name), 3, told)

    async def _unit(self) -> None:
        name = self._new()

        async def work(unit: Stores) -> None:
            await unit.tasks.get(name)
            await unit.messages.save(message(name))
            await unit.cost_records.save(COST_RECORDS.make(agent_id=name))

        told, _ = await self._told(self._backend.run_in_transaction(work))
        for kind in ("message", "cost"):
            self._ledger.write((kind, name), 1, told)
        self._ledger.write(("unit", name), 2, told)

    def _one_of(self, key: Key) -> State:
        return self._random.choice(sorted(self._ledger.possible(key), key=str))


def message(name: str) -> Any:
    """Make a message of that name, alone in a channel."""
    return MESSAGES.altered(MESSAGES.keyed(name), channel=name)


async def stored(backend: TransactionalBackend, key: Key) -> State:
    """Read what became of a record."""
    kind, name = key
    state: State
    match kind:
        case "task":
            task = await backend.tasks.get(name)
            state = None if task is None else task.title
        case "setting":
            setting = await backend.settings.get("n", name)
            state = None if setting is None else setting[1]
        case "definition":
            definition = await backend.workflow_definitions.get(name)
            state = None if definition is None else definition.version
        case "many":
            state = len(await backend.tasks.list_tasks(project=name)) or None
        case _:
            messages = len(await backend.messages.get_history(name))
            costs = len(await backend.cost_records.query(agent_id=name))
            state = {"message": messages, "cost": costs}.get(kind, messages + costs) or None
    return state
