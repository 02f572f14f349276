"""A pooler that has no connection to give says whose limit it is, and what to change."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from synthorg.persistence import TooManyConnectionsError
from tests.dialects.places import connected, task, with_parameters
from tests.poolers.conftest import Through, by_each_driver


@by_each_driver
async def test_a_pooler_that_takes_no_more_clients_leaves_those_at_work_that_it_has(
    through: Through, driver: str
) -> None:
    url = through("transaction", driver, "max_client_conn = 3", "default_pool_size = 3")
    async with connected(f"{url}&pooler=transaction", pool_timeout_seconds=20) as backend:

        async def use(name: str) -> None:
            for number in range(5):
                await backend.tasks.save(task(f"{name} {number}"))
                await backend.tasks.list_tasks(project="nobody's")
                async with backend.transaction() as unit:
                    assert await unit.tasks.get(f"{name} {number}") is not None

        await asyncio.gather(*[use(f"{each}") for each in range(8)])
        with pytest.raises(TooManyConnectionsError, match="max_client_conn"):
            await connect_more(f"{url}&pooler=transaction&pool_size=1", 3)


async def connect_more(url: str, count: int) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(count):
            await stack.enter_async_context(connected(url))


@by_each_driver
async def test_a_pooler_that_waits_too_long_for_its_server_is_told_apart_from_a_lost_connection(
    through: Through, driver: str
) -> None:
    url = through("transaction", driver, "default_pool_size = 1", "query_wait_timeout = 1")
    async with (
        connected(with_parameters(url, pooler="transaction")) as busy,
        connected(with_parameters(url, pooler="transaction")) as backend,
        busy.transaction() as unit,
    ):
        await unit.tasks.save(task("first"))
        with pytest.raises(TooManyConnectionsError, match="default_pool_size"):
            await backend.tasks.save(task("second"))
        assert await unit.tasks.get("second") is None
