"""A Galera cluster: what is promised of one server holds across its nodes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import make_url

from synthorg.persistence import (
    ManagedBackend,
    PersistenceConfig,
    PersistenceConnectionError,
    PersistenceError,
    TransactionConflictError,
    create_backend,
)
from synthorg.persistence.sql.dialects.galera import EXPIRY_SECONDS
from synthorg.persistence.testing.kinds import TASKS
from synthorg.persistence.transactions import UnitOfWork
from tests.conftest import with_parameter
from tests.packaging.conftest import CHECKOUT
from tests.servers.galera import Node
from tests.servers.galera import cluster as galera_cluster
from tests.topologies.conftest import ROUNDS
from tests.topologies.counting import COUNTERS
from tests.topologies.load import fail_over

SECONDS = float(os.environ.get("TEST_TOPOLOGY_SECONDS", "3"))
COMMAND = "synthorg.persistence.cli"
WAIT_SECONDS = 120


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of Python to its end."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        check=False,
        timeout=WAIT_SECONDS,
        capture_output=True,
        text=True,
    )


async def connected(stack: AsyncExitStack, urls: list[str]) -> list[ManagedBackend]:
    """Connect a backend to each node, and migrate the database."""
    backends = [
        await stack.enter_async_context(create_backend(PersistenceConfig.from_url(url)))
        for url in urls
    ]
    await backends[0].migrate()
    return backends


@pytest.fixture(params=["true", "false"], ids=["fast", "public"])
async def backends(
    request: pytest.FixtureRequest, urls: list[str], nodes: list[Node]
) -> AsyncIterator[list[ManagedBackend]]:
    """A backend on each node, on either route."""
    async with AsyncExitStack() as stack:
        route = f"prepared_statements={request.param}"
        found = await connected(stack, [with_parameter(url, route) for url in urls])
        for node in nodes:
            node.wait_for_others()
        yield found


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_processes_on_all_nodes_may_migrate_at_once(urls: list[str], round_number: int) -> None:
    done = run("tests.migrations.race", " ".join(urls), "8")
    assert done.returncode == 0, done.stderr
    for url in urls:
        found = run(COMMAND, "check", "--database", url)
        assert found.returncode == 0, found.stdout + found.stderr


def test_a_migration_on_one_node_goes_on_after_the_death_of_one_on_another(
    urls: list[str], nodes: list[Node]
) -> None:
    migrate = [sys.executable, "-m", COMMAND, "migrate", "--database", urls[0]]
    database = urls[0].rpartition("/")[2]
    tables = f"SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '{database}'"
    with subprocess.Popen(migrate, stderr=subprocess.PIPE) as first:
        while nodes[0].execute(tables)[0][0] < 5:
            assert first.poll() is None
        os.kill(first.pid, signal.SIGKILL)
    began = time.monotonic()
    second = run(COMMAND, "migrate", "--database", urls[1])
    assert second.returncode == 0, second.stderr
    assert time.monotonic() - began > EXPIRY_SECONDS, "it did not wait for the one that was killed"


async def test_units_on_different_nodes_have_the_effect_of_running_one_after_the_other(
    backends: list[ManagedBackend],
) -> None:
    """Each switches itself off only while both are on, so that never both are off."""
    first, second, third = backends

    async def switch_off(backend: ManagedBackend, key: str) -> None:
        async def work(unit: UnitOfWork) -> None:
            states = [await unit.settings.get("switches", each) for each in ("x", "y")]
            await asyncio.sleep(0.005)
            if all(state is not None and state[0] == "on" for state in states):
                await unit.settings.set("switches", key, "off", "1")

        await backend.run_in_transaction(work)

    for _ in range(15 * ROUNDS):
        for key in ("x", "y"):
            await third.settings.set("switches", key, "on", "0")
        await asyncio.sleep(0.05)  # until all nodes have it
        await asyncio.gather(switch_off(first, "x"), switch_off(second, "y"))
        await asyncio.sleep(0.05)
        found = [await third.settings.get("switches", key) for key in ("x", "y")]
        states = sorted(state[0] for state in found if state is not None)
        assert states == ["off", "on"]


async def test_no_update_of_a_counter_is_lost_through_all_nodes(
    backends: list[ManagedBackend],
) -> None:
    await backends[0].settings.set("n", "counter", "0", "0")
    await asyncio.sleep(0.1)

    async def increase(backend: ManagedBackend) -> None:
        async def work(unit: UnitOfWork) -> None:
            found = await unit.settings.get("n", "counter")
            assert found is not None
            await unit.settings.set("n", "counter", str(int(found[0]) + 1), found[1])

        for _ in range(10 * ROUNDS):
            await backend.run_in_transaction(work)

    await asyncio.gather(*map(increase, backends))
    await asyncio.sleep(0.2)
    for backend in backends:
        assert await backend.settings.get("n", "counter") == (str(30 * ROUNDS), "0")


async def test_processes_on_all_nodes_lose_no_update_and_are_told_of_no_conflict(
    urls: list[str], nodes: list[Node], capsys: pytest.CaptureFixture[str]
) -> None:
    async with AsyncExitStack() as stack:
        backends = await connected(stack, urls)
        for node in nodes:
            node.wait_for_others()
        command = (sys.executable, "-m", "tests.topologies.counting")
        processes = [
            await asyncio.create_subprocess_exec(
                *command, url, str(SECONDS), "4", stdout=asyncio.subprocess.PIPE, cwd=CHECKOUT
            )
            for url in urls
        ]
        reports = await asyncio.gather(*[process.communicate() for process in processes])
        counted = [json.loads(report) for report, _ in reports]
        expected = {key: sum(each.get(key, 0) for each in counted) for key in COUNTERS}
        for node, backend in zip(nodes, backends, strict=True):
            node.wait_for_others()
            found = {
                key: int(value)
                for key, value, _ in await backend.settings.get_namespace("counters")
            }
            assert found == expected
    with capsys.disabled():
        print(f"\n{counted}")  # noqa: T201 (figures for whoever runs it)
    for each in counted:
        assert {*each} <= {*COUNTERS, "saves"}


async def test_with_causal_reads_a_node_shows_what_another_one_has_saved(
    urls: list[str],
) -> None:
    async with AsyncExitStack() as stack:
        first, second, _ = await connected(
            stack, [with_parameter(url, "causal_reads=true") for url in urls]
        )
        for number in range(100 * ROUNDS):
            await first.tasks.save(TASKS.make(id="shared", title=f"title {number}"))
            found = await second.tasks.get("shared")
            assert found is not None
            assert found.title == f"title {number}"


async def test_no_acknowledged_write_is_lost_when_a_node_is_killed() -> None:
    with galera_cluster() as nodes:
        nodes[0].execute("CREATE DATABASE killed")
        for node in nodes:
            node.wait_for_others()
        async with AsyncExitStack() as stack:
            backends = await connected(stack, [node.database("killed") for node in nodes])
            nodes[2].wait_for_others()
            acknowledged: list[str] = []
            are_under_way = asyncio.Event()

            async def save(number: int) -> list[PersistenceError]:
                errors = []
                for count in range(300):
                    key = f"{number}-{count}"
                    try:
                        await backends[number].tasks.save(TASKS.make(id=key))
                    except PersistenceError as error:
                        errors.append(error)
                        await asyncio.sleep(0.02)
                    else:
                        acknowledged.append(key)
                        if len(acknowledged) == 100:
                            are_under_way.set()
                return errors

            async def kill() -> None:
                await are_under_way.wait()
                nodes[2].kill()

            first, second, of_killed, _ = await asyncio.gather(save(0), save(1), save(2), kill())
            assert of_killed
            assert all(isinstance(each, PersistenceConnectionError) for each in of_killed)
            for error in (*first, *second):  # while the others agree on who is left
                assert isinstance(error, PersistenceConnectionError | TransactionConflictError)
            for survivor in backends[:2]:
                assert len(await survivor.tasks.get_many(acknowledged)) == len(acknowledged)
            assert {"0-299", "1-299"} <= {*acknowledged}


@pytest.mark.parametrize("fate", ["killed", "cut off"])
@pytest.mark.parametrize("route", ["true", "false"], ids=["fast", "public"])
async def test_callers_go_on_with_another_node_when_theirs_is_killed_or_cut_off(
    fate: str, route: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with galera_cluster() as nodes:
        nodes[0].execute("CREATE DATABASE several")
        for node in nodes:
            node.wait_for_others()
        url = make_url(nodes[0].database("several"))
        hosts = ",".join(f"{node.url.host}:{node.url.port}" for node in nodes)
        parameters = f"prepared_statements={route}&causal_reads=true&failover_timeout_seconds=20"
        place = f"{url.username}:{url.password}@{hosts}/several?{parameters}"

        def go_away() -> None:
            if fate == "killed":
                nodes[0].kill()
            else:
                nodes[0].execute("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'")

        _, measured = await fail_over(f"mariadb://{place}", go_away, lambda: None)
        with capsys.disabled():
            print(f"\n{fate}, {parameters}: {measured}")  # noqa: T201 (figures for whoever runs it)
