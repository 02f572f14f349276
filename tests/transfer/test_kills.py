"""A copy that is killed again and again ends the same as one that was not."""

import asyncio
import os
import time
from collections.abc import Callable
from multiprocessing import get_context
from random import Random
from typing import Final

from sqlalchemy import insert

from synthorg.persistence import ManagedBackend, PersistenceConfig
from synthorg.persistence.sql.tables import cost_records
from synthorg.persistence.testing.kinds import COST_RECORDS, MESSAGES, TASKS
from synthorg.persistence.transfer import compare_databases
from tests.extensions.conftest import EXTENSIONS
from tests.transfer.conftest import copy, run

ROUNDS: Final = int(os.environ.get("TEST_KILL_ROUNDS", "3"))
"""How often a copy is killed on each database."""

RECORDS: Final = 2500
PATIENCE_SECONDS: Final = 60

Told = Callable[[int], None]


def copy_and_tell(source: str, target: str, tell: Told) -> None:
    """Copy a database, telling the parent how many rows are done."""
    tell(0)

    def progress(_what: str, _table: str, done: int, _total: int) -> None:
        tell(done)

    copy(source, target, progress=progress)


def copy_until_killed(source: str, target: str, random: Random) -> None:
    """Start a process that copies, and kill it at a random moment."""
    fresh = get_context("forkserver")  # imports once, and shares nothing with this process
    fresh.set_forkserver_preload([__name__])
    receiver, sender = fresh.Pipe(duplex=False)
    process = fresh.Process(target=copy_and_tell, args=(source, target, sender.send))
    process.start()
    sender.close()
    with receiver:
        wanted = random.randrange(4 * RECORDS)  # of six times as many, half of them copied
        done = -1
        while done < wanted and receiver.poll(PATIENCE_SECONDS):
            try:
                done = receiver.recv()
            except EOFError:  # all was done before that
                break
        time.sleep(random.uniform(0, 0.02))
        process.kill()
        process.join(PATIENCE_SECONDS)


async def fill_more(backend: ManagedBackend) -> None:
    await backend.messages.save_many([MESSAGES.keyed(f"m {n}") for n in range(RECORDS)])
    await backend.tasks.save_many([TASKS.keyed(f"t {n}") for n in range(RECORDS)])
    await backend.cost_records.save_many([COST_RECORDS.make() for _ in range(RECORDS)])
    numbers = [{**COST_RECORDS.example.model_dump(), "sequence_number": 10 * RECORDS}]
    async with backend.get_db().begin() as connection:  # and a gap in what is counted
        await connection.execute(insert(cost_records), numbers)


def test_a_copy_killed_at_random_moments_ends_the_same(source: str, target: str) -> None:
    run(source, fill_more)
    random = Random(target.partition(":")[0])
    for _ in range(ROUNDS):
        copy_until_killed(source, target, random)

    copy(source, target)

    ends = [PersistenceConfig.from_url(url) for url in (source, target)]
    assert not asyncio.run(compare_databases(*ends, extensions=EXTENSIONS)).differences
