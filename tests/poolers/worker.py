"""A process that uses a database through a pooler: by orders, or as hard as it can for a while.

`python -m tests.poolers.worker URL NAME` answers each line of its input (`get`, `list`, `save`,
`unit`, `delete`, `migrate`) with `right`, or with what was wrong. With SECONDS and TASKS after
those, it does all at once, and writes how many calls it made, and what was wrong, as JSON.
"""

import asyncio
import json
import random
import sys
import time

from synthorg.persistence import PersistenceConfig, TransactionalBackend, UnitOfWork, create_backend
from tests.dialects.places import task

VERBS = ("get", "list", "save", "unit", "delete")
KEPT = tuple(task(f"kept {number}", project="kept") for number in range(5))
"""What nobody changes."""


class Owner:
    """Somebody with a record of their own, who knows what has to be stored.

    Args:
        backend: The database.
        name: The key of the record.
    """

    def __init__(self, backend: TransactionalBackend, name: str) -> None:
        self._backend = backend
        self._name = name
        self._saved = 0

    async def do(self, verb: str) -> str:
        """Carry out an order, and say what came of it."""
        step = getattr(self, f"_{verb}")
        try:
            return "right" if await step() else f"{verb}: a wrong answer"
        except Exception as error:  # noqa: BLE001 (it is the answer)
            return f"{verb}: {type(error).__name__}: {error}"

    async def _get(self) -> bool:
        return await self._backend.tasks.get(KEPT[2].id) == KEPT[2]

    async def _list(self) -> bool:
        return await self._backend.tasks.list_tasks(project="kept") == KEPT

    async def _save(self) -> bool:
        self._saved += 1
        mine = task(self._name, title=f"{self._saved}", project=self._name)
        await self._backend.tasks.save(mine)
        return await self._backend.tasks.get(self._name) == mine

    async def _unit(self) -> bool:
        """Count in a unit of work what this has saved."""
        mine = task(self._name, title=f"{self._saved + 1}", project=self._name)

        async def count(unit: UnitOfWork) -> bool:
            found = await unit.tasks.get(self._name)
            if (0 if found is None else int(found.title)) != self._saved:
                return False
            await unit.tasks.save(mine)
            return await unit.tasks.list_tasks(project=self._name) == (mine,)

        is_right = await self._backend.run_in_transaction(count)
        self._saved += 1
        return is_right

    async def _delete(self) -> bool:
        return not await self._backend.tasks.delete("nobody has this one")

    async def _migrate(self) -> bool:
        await self._backend.migrate()
        return True


def say(line: str) -> None:
    """Answer whoever has started this process."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def obey(backend: TransactionalBackend, name: str) -> None:
    """Carry out one order after the other."""
    owner = Owner(backend, name)
    say("ready")
    while order := (await asyncio.to_thread(sys.stdin.readline)).strip():
        say(await owner.do(order))


async def insist(backend: TransactionalBackend, name: str, seconds: float, tasks: int) -> None:
    """Do everything at once for a while."""
    wrong: list[str] = []
    calls = 0

    async def use(owner: Owner) -> None:
        nonlocal calls
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            answer = await owner.do(random.choice(VERBS))
            calls += 1
            if answer != "right":
                wrong.append(answer)

    await asyncio.gather(*[use(Owner(backend, f"{name} {number}")) for number in range(tasks)])
    say(json.dumps({"calls": calls, "wrong": wrong}))


async def main(url: str, name: str, *load: str) -> None:
    """Connect, and do as the arguments say."""
    backend = create_backend(PersistenceConfig.from_url(url))
    await backend.connect()
    try:
        if load:
            await insist(backend, name, float(load[0]), int(load[1]))
        else:
            await obey(backend, name)
    finally:
        await backend.disconnect()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
