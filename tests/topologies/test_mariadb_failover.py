"""A MariaDB primary that is killed or made read-only, and its replica promoted in its place."""

import asyncio
import time
from collections.abc import Iterator
from typing import Final

import pytest

from synthorg.persistence import PersistenceConfig, PersistenceConnectionError, create_backend
from synthorg.persistence.testing.kinds import TASKS
from tests.dialects.places import with_parameters
from tests.servers.base import Unavailable, go_without
from tests.servers.mariadb_replication import USER, Pair
from tests.servers.mariadb_replication import pair as mariadb_pair
from tests.topologies.load import CALLERS, fail_over
from tests.topologies.test_postgresql_failover import ROUNDS, run

DATABASE: Final = "organisation"
ROUTES: Final = {"fast": {}, "sqlalchemy": {"prepared_statements": "false"}}


@pytest.fixture
def servers() -> Iterator[Pair]:
    """A primary and its replica, both of which a test may kill."""
    try:
        started = mariadb_pair(DATABASE)
        with started as found:
            yield found
    except Unavailable as reason:
        go_without("a MariaDB replica", reason)


@pytest.mark.parametrize("round_number", range(ROUNDS))
@pytest.mark.parametrize("fate", ["killed", "demoted"])
@pytest.mark.parametrize("patience", [0, 20])
@pytest.mark.parametrize("route", ROUTES)
async def test_no_acknowledged_write_is_lost_and_all_callers_recover_within_seconds(
    servers: Pair,
    route: str,
    patience: int,
    fate: str,
    round_number: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    parameters = {**ROUTES[route], "failover_timeout_seconds": patience}
    url = with_parameters(servers.url(DATABASE), **parameters)
    away = servers.kill if fate == "killed" else servers.demote
    load, measured = await fail_over(url, away, servers.promote)
    with capsys.disabled():
        # Figures for whoever runs it.
        print(f"\nround {round_number}, {fate}, {parameters}: {measured}")  # noqa: T201
    if patience:  # each caller has at most one call under way that cannot be made again
        assert len(load.errors) <= CALLERS


async def test_no_connection_to_a_demoted_server_is_kept(servers: Pair) -> None:
    ours = f"SELECT 1 FROM information_schema.processlist WHERE user = '{USER}'"
    sessions = servers.primary.administrator
    url = with_parameters(servers.url(DATABASE), failover_timeout_seconds=20)
    async with create_backend(PersistenceConfig.from_url(url)) as backend:
        await backend.migrate()
        await asyncio.gather(*[backend.tasks.save(TASKS.make(id=str(key))) for key in range(20)])
        await backend.tasks.get("1")
        servers.demote()
        servers.promote()
        await backend.tasks.save(TASKS.make(id="after"))
        deadline = time.monotonic() + 5
        while await asyncio.to_thread(sessions.execute, ours):
            assert time.monotonic() < deadline, "a connection to the demoted server is kept"
            # What is not used is replaced when it is.
            await asyncio.gather(
                backend.tasks.get("1"),
                backend.tasks.list_tasks(),
                backend.tasks.save(TASKS.make(id="again")),
                *[backend.tasks.save_many([TASKS.make(id=str(key))]) for key in range(10)],
            )


@pytest.mark.parametrize("route", ROUTES)
async def test_a_replica_is_passed_over_by_whoever_writes_and_read_on_request(
    servers: Pair, route: str
) -> None:
    replica_first = Pair(servers.replica, servers.primary, servers.password).url(DATABASE)
    url = with_parameters(replica_first, **ROUTES[route])
    async with create_backend(PersistenceConfig.from_url(url)) as backend:
        await backend.migrate()
        await backend.tasks.save(TASKS.make(id="one"))
    await asyncio.sleep(0.5)  # until the replica shows it
    anywhere = with_parameters(url, target_session_attrs="any")
    async with create_backend(PersistenceConfig.from_url(anywhere)) as backend:
        assert await backend.tasks.get("one") is not None
        with pytest.raises(PersistenceConnectionError, match="read-only"):
            await backend.tasks.save(TASKS.make(id="two"))


async def test_commands_find_the_primary_before_and_after_a_failover(servers: Pair) -> None:
    url = servers.url(DATABASE)
    assert run("migrate", "--database", url).returncode == 0
    servers.kill()
    refused = run("check", "--database", url)
    assert refused.returncode != 0
    assert "read-only" in refused.stdout + refused.stderr
    servers.promote()
    for command in ("check", "status", "migrate"):
        done = run(command, "--database", url)
        assert done.returncode == 0, done.stdout + done.stderr
