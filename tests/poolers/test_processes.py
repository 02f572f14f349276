"""Several processes behind a pooler of transactions, with fewer connections of the server."""

import asyncio
import json
import os
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
import pytest

from tests.conftest import ServerPool
from tests.dialects.places import connected
from tests.packaging.conftest import CHECKOUT
from tests.poolers.conftest import Through, by_each_driver, pooled_or_skipped
from tests.poolers.worker import KEPT, VERBS
from tests.servers.postgresql import PostgreSQL

TWO_CONNECTIONS: Final = (
    "default_pool_size = 2",
    "max_db_connections = 2",
    "max_client_conn = 200",
)

ROUNDS: Final = int(os.environ.get("TEST_POOLER_ROUNDS", "30"))
SECONDS: Final = float(os.environ.get("TEST_POOLER_SECONDS", "3"))
PROCESSES: Final = 10
TASKS: Final = 16


async def started(*arguments: str) -> Process:
    """Start a process that uses a database, in the folder where it finds itself."""
    command = (sys.executable, "-m", "tests.poolers.worker", *arguments)
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, cwd=CHECKOUT)


async def line_of(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def told(process: Process, order: str) -> str:
    """Give a process an order, and wait for its answer."""
    assert process.stdin is not None
    process.stdin.write(f"{order}\n".encode())
    await process.stdin.drain()
    return await line_of(process)


@asynccontextmanager
async def obedient(url: str, count: int) -> AsyncIterator[Sequence[Process]]:
    """Processes that wait for orders."""
    processes = await asyncio.gather(*[started(url, f"process {each}") for each in range(count)])
    try:
        assert [await line_of(each) for each in processes] == ["ready"] * count
        yield processes
    finally:
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        await asyncio.gather(*[process.wait() for process in processes])


@asynccontextmanager
async def busy_at_times(url: str) -> AsyncIterator[Any]:
    """A client that takes one of the connections of the server away, and gives it back."""
    address = url.partition("?")[0]
    connecting = psycopg.AsyncConnection.connect(address, prepare_threshold=None)
    async with await connecting as client:
        yield client


@by_each_driver
async def test_no_process_gets_what_another_one_has_asked_for(
    through: Through, driver: str
) -> None:
    """Statements have the same numbers in every process, and each gets the other's connection."""
    url = through("transaction", driver, *TWO_CONNECTIONS)
    async with connected(url) as backend:
        await backend.tasks.save_many(KEPT)
        async with obedient(url, 3) as processes, busy_at_times(url) as client:
            for _ in range(ROUNDS):
                if random.random() < 0.5:
                    await client.execute("SELECT 1")  # which begins a transaction
                orders = random.choices(VERBS, k=len(processes))
                pairs = zip(processes, orders, strict=True)
                answers = await asyncio.gather(*[told(*pair) for pair in pairs])
                assert answers == ["right"] * len(processes)
                await client.rollback()
        assert await backend.tasks.list_tasks(project="kept") == KEPT


@by_each_driver
async def test_many_tasks_of_ten_processes_share_two_connections(
    through: Through, driver: str
) -> None:
    url = through("transaction", driver, *TWO_CONNECTIONS)
    async with connected(url) as backend:
        await backend.tasks.save_many(KEPT)
        load = (str(SECONDS), str(TASKS))
        processes = [await started(url, f"{each}", *load) for each in range(PROCESSES)]
        reports = await asyncio.gather(*[process.communicate() for process in processes])
        done = [json.loads(report) for report, _ in reports]
        assert [wrong for each in done for wrong in each["wrong"]] == []
        assert all(each["calls"] > 0 for each in done), done
        assert await backend.tasks.list_tasks(project="kept") == KEPT


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_processes_that_migrate_at_once_all_succeed(
    server_pool: ServerPool, driver: str
) -> None:
    with (
        server_pool.get(PostgreSQL).empty_database() as empty,
        pooled_or_skipped(empty, "transaction", TWO_CONNECTIONS) as pooler,
    ):
        url = f"{pooler}?driver={driver}"
        async with obedient(url, 4) as processes:
            answers = await asyncio.gather(*[told(each, "migrate") for each in processes])
        assert answers == ["right"] * 4
        async with connected(url) as backend:
            await backend.tasks.save(KEPT[0])
            assert await backend.tasks.get(KEPT[0].id) == KEPT[0]
