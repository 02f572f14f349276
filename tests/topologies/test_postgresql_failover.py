"""A PostgreSQL primary that is killed, and its synchronous standby promoted in its place."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

import pytest

from synthorg.persistence import PersistenceConfig, PersistenceConnectionError, create_backend
from synthorg.persistence.testing.kinds import TASKS
from tests.dialects.places import with_parameters
from tests.servers.replication import Pair
from tests.topologies.load import CALLERS, Load

ROUNDS: Final = int(os.environ.get("TEST_FAILOVER_ROUNDS", "1"))
DATABASE: Final = "organisation"
OUTAGE_SECONDS: Final = 2.0
RECOVERY_SECONDS: Final = 10.0
WAYS: Final = {
    "asyncpg": {"driver": "asyncpg"},
    "asyncpg-sqlalchemy": {"driver": "asyncpg", "prepared_statements": "false"},
    "psycopg": {"driver": "psycopg"},
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `synthorg-db` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "synthorg.persistence.cli", *arguments],
        check=False,
        timeout=120,
        capture_output=True,
        text=True,
    )


async def fail_over(
    pair: Pair, away: Callable[[], None], way: str, **parameters: object
) -> tuple[Load, str]:
    """Fail over under load, and check what holds however the primary went away.

    Args:
        pair: The servers.
        away: What becomes of the primary.
        way: The way to them.
        parameters: Those of the URL.

    Returns:
        The load, and what was measured.
    """
    url = with_parameters(pair.url(DATABASE), **WAYS[way], **parameters)
    async with create_backend(PersistenceConfig.from_url(url)) as backend:
        await backend.migrate()
        load = Load(backend)
        async with load.running():
            await asyncio.sleep(2)
            await asyncio.to_thread(away)
            before = load.acknowledged
            await asyncio.sleep(OUTAGE_SECONDS)
            promoted = time.monotonic()
            await asyncio.to_thread(pair.standby.promote)
            async with asyncio.timeout(RECOVERY_SECONDS):
                recovered = await load.all_succeed_after(promoted)
            recovery = time.monotonic()
            await asyncio.sleep(1)
        assert await load.find_lost() == []
    assert before > 100
    for moment, error in load.errors:
        assert isinstance(error, PersistenceConnectionError), repr(error)
        assert moment < recovery, f"an error after the recovery: {error!r}"
    return load, (
        f"{way} {parameters}: recovered in {recovered:.2f} s; {before} writes acknowledged before, "
        f"{load.acknowledged} in all; longest call {load.longest_call:.2f} s; "
        f"errors {load.errors_by_class}"
    )


@pytest.mark.parametrize("round_number", range(ROUNDS))
@pytest.mark.parametrize("patience", [0, 20])
@pytest.mark.parametrize("way", WAYS)
async def test_no_acknowledged_write_is_lost_and_all_callers_recover_within_seconds(
    pair: Pair,
    way: str,
    patience: int,
    round_number: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    load, measured = await fail_over(
        pair, pair.primary.kill, way, failover_timeout_seconds=patience
    )
    with capsys.disabled():
        print(f"\nround {round_number}, {measured}")  # noqa: T201 (figures for whoever runs it)
    if patience:  # each caller has at most one call under way that cannot be made again
        assert len(load.errors) <= CALLERS


@pytest.mark.parametrize("way", WAYS)
async def test_a_primary_that_says_nothing_any_more_is_left_after_the_time_for_a_statement(
    pair: Pair, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, measured = await fail_over(
        pair,
        pair.primary.pause,
        way,
        failover_timeout_seconds=20,
        statement_timeout_seconds=1,
        connect_timeout_seconds=2,
    )
    pair.primary.kill()
    with capsys.disabled():
        print(f"\n{measured}")  # noqa: T201 (see above)


async def test_a_standby_is_passed_over_by_whoever_writes_and_reads_on_request(pair: Pair) -> None:
    reversed_pair = Pair(pair.standby, pair.primary)
    for way in WAYS.values():
        url = with_parameters(reversed_pair.url(DATABASE), **way)
        async with create_backend(PersistenceConfig.from_url(url)) as backend:
            await backend.migrate()
            await backend.tasks.save(TASKS.make(id="one"))
    await asyncio.sleep(0.2)  # until the standby shows it
    for way in WAYS.values():
        anywhere = with_parameters(reversed_pair.url(DATABASE), target_session_attrs="any", **way)
        async with create_backend(PersistenceConfig.from_url(anywhere)) as backend:
            assert await backend.tasks.get("one") is not None
            with pytest.raises(PersistenceConnectionError, match="read-only"):
                await backend.tasks.save(TASKS.make(id="two"))


async def test_commands_find_the_primary_before_and_after_a_failover(pair: Pair) -> None:
    url = pair.url(DATABASE)
    assert run("migrate", "--database", url).returncode == 0
    pair.primary.kill()
    refused = run("check", "--database", url)
    assert refused.returncode != 0
    assert "standby" in refused.stdout + refused.stderr
    pair.standby.promote()
    for command in ("check", "status", "migrate"):
        done = run(command, "--database", url)
        assert done.returncode == 0, done.stdout + done.stderr
