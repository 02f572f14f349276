"""Whatever goes wrong, what callers were told is what is stored, and the backend goes on working.

`make test-faults` runs it for longer: TEST_FAULT_SEEDS says how many times on each database, and
TEST_FAULT_SECONDS how long each time.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final

import pytest

from synthorg.persistence import TransactionalBackend
from tests.conftest import checked_out_connections
from tests.dialects.places import Place, connected
from tests.dialects.relay import relayed
from tests.dialects.test_servers import other_sessions
from tests.faults.faults import Faults
from tests.faults.ledger import Ledger, Told
from tests.faults.worker import Worker, stored

SEEDS: Final = int(os.environ.get("TEST_FAULT_SEEDS", "1"))
SECONDS: Final = float(os.environ.get("TEST_FAULT_SECONDS", "3"))
WORKERS: Final = 12
TIME_TO_END: Final = 60

LIMITS: Final = {
    "pool_size": 6,
    "connect_timeout_seconds": 5,
    "statement_timeout_seconds": 5,
    "pool_timeout_seconds": 20,
}

ROUTES: Final = {
    "lanes": {"prepared_statements": "true"},
    "pool": {"prepared_statements": "false"},
}

seeds = pytest.mark.parametrize("seed", range(SEEDS))


@pytest.mark.parametrize("route", ROUTES)
@seeds
async def test_what_callers_are_told_is_what_is_stored(place: Place, route: str, seed: int) -> None:
    if route == "lanes" and not place.is_fast:
        pytest.skip("it has none")
    random = Random(f"{place.driver} {route} {seed}")
    async with (
        connected(place.url) as other,
        other.get_db().connect() as killer,
        relayed(place.url) as (url, relay),
    ):
        spared = await other_sessions(place, killer)
        async with (
            connected(url, **LIMITS, **ROUTES[route]) as backend,
            checked(backend, other, random) as ledger,
        ):
            await run(backend, ledger, random, Faults(place, relay, killer, spared, random))
        assert ledger.counts[Told.NOT_DONE] > 0, "nothing went wrong"


@pytest.mark.parametrize("prepared", ["true", "false"], ids=["sqlite-lanes", "sqlite-pool"])
@seeds
async def test_what_cancelled_callers_find_is_what_is_stored(
    sqlite_file: Path, prepared: str, seed: int
) -> None:
    random = Random(f"sqlite {prepared} {seed}")
    async with (
        connected(f"sqlite:///{sqlite_file}", prepared_statements=prepared) as backend,
        checked(backend, backend, random) as ledger,
    ):
        await run(backend, ledger, random, faults=None)


@asynccontextmanager
async def checked(
    backend: TransactionalBackend, other: TransactionalBackend, random: Random
) -> AsyncIterator[Ledger]:
    """Compare in the end what is stored with what was told, and try whether all works again."""
    ledger = Ledger()
    yield ledger
    assert checked_out_connections(backend) == 0
    for key in ledger.written():
        ledger.check(key, await stored(other, key))
    assert ledger.counts[Told.DONE] > 0
    for number in range(50):
        await asyncio.wait_for(Worker(f"after {number}", backend, ledger, random).step(), 10)


async def run(
    backend: TransactionalBackend, ledger: Ledger, random: Random, faults: Faults | None
) -> None:
    """Have many work at once, while things go wrong."""
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS

    async def work(worker: Worker) -> None:
        while loop.time() < end:
            await worker.step()

    going_on = None if faults is None else asyncio.create_task(faults.go_on())
    workers = [Worker(f"w{number}", backend, ledger, random) for number in range(WORKERS)]
    try:
        async with asyncio.timeout(SECONDS + TIME_TO_END), asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(work(worker))
    finally:
        if going_on is not None:
            going_on.cancel()
            await asyncio.wait([going_on])
            if not going_on.cancelled():
                going_on.result()
