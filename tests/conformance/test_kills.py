"""Killed in the middle of units of work: each is stored as a whole, or not at all."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from multiprocessing import get_context
from random import Random
from typing import Final

import pytest

from synthorg.persistence import PersistenceBackend, PersistenceConfig, create_backend
from synthorg.persistence.testing.kinds import ARTIFACTS, COST_RECORDS, MESSAGES, TASKS
from synthorg.persistence.transactions import UnitOfWork
from tests.conftest import SERVERS, connected
from tests.servers.base import Server
from tests.servers.sqlite import SQLiteMemory

KILLS: Final = 4
WRITES: Final = 1000
TABLES: Final = 5
PATIENCE_SECONDS: Final = 60

BEGUN, COMMITTED = "begun", "committed"
Event = tuple[str, str]
"""One of the two, and the name of a unit."""

CarryOut = Callable[[str, str, Callable[[Event], None]], None]

shared_databases = pytest.mark.parametrize(
    "server",
    [kind for kind in SERVERS if kind is not SQLiteMemory],
    ids=lambda kind: kind.name,
    indirect=True,
)
"""Those that several processes can use; one in memory ends with its process anyway."""


async def write(unit: UnitOfWork, name: str) -> None:
    """Write to five tables."""
    for number in range(WRITES // TABLES):
        text = f"{name} {number}"
        await unit.tasks.save(TASKS.make(id=text, project=name))
        await unit.messages.save(MESSAGES.altered(MESSAGES.keyed(text), channel=name))
        await unit.cost_records.save(COST_RECORDS.make(agent_id=name))
        await unit.artifacts.save(ARTIFACTS.make(id=text, task_id=name))
        await unit.settings.set(name, text, "value", "now")


async def found(backend: PersistenceBackend, name: str) -> list[int]:
    """Count what there is of a unit, table by table."""
    return [
        len(await backend.tasks.list_tasks(project=name)),
        len(await backend.messages.get_history(name)),
        len(await backend.cost_records.query(agent_id=name)),
        len(await backend.artifacts.list_artifacts(task_id=name)),
        len(await backend.settings.get_namespace(name)),
    ]


def carry_out_units(url: str, name: str, tell: Callable[[Event], None]) -> None:
    """Carry out one unit after the other, telling the parent, until killed."""

    async def carry_out() -> None:
        backend = create_backend(PersistenceConfig.from_url(url))
        await backend.connect()
        for number in count():
            tell((BEGUN, f"{name} {number}"))
            async with backend.transaction() as unit:
                await write(unit, f"{name} {number}")
            tell((COMMITTED, f"{name} {number}"))

    asyncio.run(carry_out())


@shared_databases
def test_a_unit_whose_process_is_killed_is_stored_as_a_whole_or_not_at_all(
    server: Server, migrated_url: str
) -> None:
    random = Random(server.name)
    events = [
        event
        for name in map(str, range(KILLS))
        for event in events_until_killed(carry_out_units, migrated_url, name, random)
    ]
    begun, committed = (
        [unit for event, unit in events if event == wanted] for wanted in (BEGUN, COMMITTED)
    )
    assert len(begun) > len(committed) >= KILLS
    complete = asyncio.run(_complete_units(migrated_url, begun))
    assert set(committed) <= set(complete)


def events_until_killed(carry_out: CarryOut, url: str, name: str, random: Random) -> list[Event]:
    """Start a process that carries out units, and kill it at a random moment.

    Args:
        carry_out: What the process runs: one unit after the other, telling of each.
        url: Where.
        name: What the names of its units begin with.
        random: Chooses the moment.

    Returns:
        What it told until then.
    """
    fresh = get_context("forkserver")  # imports once, and shares nothing with this process
    fresh.set_forkserver_preload([carry_out.__module__])
    receiver, sender = fresh.Pipe(duplex=False)
    process = fresh.Process(target=carry_out, args=(url, name, sender.send))
    process.start()
    sender.close()
    with receiver:

        def heard() -> Event:
            assert receiver.poll(PATIENCE_SECONDS)
            event: Event = receiver.recv()
            return event

        events = [heard()]
        begun = time.monotonic()
        events.append(heard())
        unit_seconds = time.monotonic() - begun
        time.sleep(random.uniform(0, 2 * unit_seconds))
        process.kill()
        process.join(PATIENCE_SECONDS)
        with suppress(EOFError):
            while True:
                events.append(heard())
    return events


async def _complete_units(url: str, begun: list[str]) -> list[str]:
    complete = []
    async with connected(url) as backend:
        for name in begun:
            counts = await found(backend, name)
            assert counts in ([0] * TABLES, [WRITES // TABLES] * TABLES), name
            if counts[0]:
                complete.append(name)
    return complete
