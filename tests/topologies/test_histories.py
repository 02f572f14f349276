"""Units of work through several nodes, and through a failover: what a checker finds in them."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

import pytest

from synthorg.persistence import PersistenceConfig, TransactionalBackend, create_backend
from tests.conftest import with_parameter
from tests.dialects.places import connected, with_parameters
from tests.histories.recording import SECONDS, Recorder, check, record
from tests.servers.galera import Node
from tests.servers.galera import cluster as galera_cluster
from tests.servers.replication import Pair
from tests.topologies.load import CALLERS
from tests.topologies.test_postgresql_failover import DATABASE, WAYS

ROUTES: Final = {"fast": "true", "public": "false"}


async def joined(stack: AsyncExitStack, urls: list[str]) -> list[TransactionalBackend]:
    """Connect a backend to each of several nodes, with one migrated database."""
    async with create_backend(PersistenceConfig.from_url(urls[0])) as backend:
        await backend.migrate()
    return [await stack.enter_async_context(connected(url)) for url in urls]


@pytest.mark.parametrize("route", ROUTES)
async def test_units_on_three_nodes_are_in_an_order(
    urls: list[str], nodes: list[Node], route: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [with_parameter(url, f"prepared_statements={ROUTES[route]}") for url in urls]
    async with AsyncExitStack() as stack:
        backends = await joined(stack, own)
        for node in nodes:
            node.wait_for_others()
        recorder = await record(backends)
        for node in nodes:
            node.wait_for_others()
        summary = await check(recorder, backends[0])
    assert not recorder.errors
    with capsys.disabled():
        print(f"\n{route}: {summary}")  # noqa: T201 (figures for whoever runs it)


async def test_units_are_in_an_order_also_while_a_node_is_killed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with galera_cluster() as nodes:
        nodes[0].execute("CREATE DATABASE histories")
        for node in nodes:
            node.wait_for_others()
        async with AsyncExitStack() as stack:
            backends = await joined(stack, [node.database("histories") for node in nodes])
            recorder = Recorder(backends)
            async with recorder.running():
                await asyncio.sleep(SECONDS)
                nodes[2].kill()
                await asyncio.sleep(SECONDS + 6)  # until the others agree on who is left
            for node in nodes[:2]:
                node.wait_for_others()
            summary = await check(recorder, backends[0])
        with capsys.disabled():
            print(f"\nkilled: {summary}")  # noqa: T201 (see above)


@pytest.mark.parametrize("way", WAYS)
async def test_units_are_in_an_order_also_through_a_failover_of_postgresql(
    pair: Pair, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = with_parameters(pair.url(DATABASE), **WAYS[way], failover_timeout_seconds=20)
    async with AsyncExitStack() as stack:
        backends = [await stack.enter_async_context(connected(url)) for _ in range(2)]
        await backends[0].migrate()
        recorder = Recorder(backends)
        async with recorder.running():
            await asyncio.sleep(SECONDS)
            await asyncio.to_thread(pair.primary.kill)
            await asyncio.sleep(1)
            await asyncio.to_thread(pair.standby.promote)
            await asyncio.sleep(SECONDS + 2)
        summary = await check(recorder, backends[0])
    assert sum(recorder.errors.values()) <= 2 * CALLERS
    with capsys.disabled():
        print(f"\n{way}: {summary}")  # noqa: T201 (see above)
