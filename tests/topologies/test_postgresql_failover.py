"""A PostgreSQL primary that is killed, and its synchronous standby promoted in its place."""

import asyncio
import os
import subprocess
import sys
from typing import Final

import pytest

from synthorg.persistence import PersistenceConfig, PersistenceConnectionError, create_backend
from synthorg.persistence.testing.kinds import TASKS
from tests.dialects.places import with_parameters
from tests.servers.replication import Pair
from tests.topologies.load import CALLERS, fail_over

ROUNDS: Final = int(os.environ.get("TEST_FAILOVER_ROUNDS", "1"))
DATABASE: Final = "organisation"
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
    parameters = {**WAYS[way], "failover_timeout_seconds": patience}
    url = with_parameters(pair.url(DATABASE), **parameters)
    load, measured = await fail_over(url, pair.primary.kill, pair.standby.promote)
    with capsys.disabled():
        # Figures for whoever runs it.
        print(f"\nround {round_number}, {parameters}: {measured}")  # noqa: T201
    if patience:  # each caller has at most one call under way that cannot be made again
        assert len(load.errors) <= CALLERS


@pytest.mark.parametrize("way", WAYS)
async def test_a_primary_that_says_nothing_any_more_is_left_after_the_time_for_a_statement(
    pair: Pair, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    timeouts = {
        "failover_timeout_seconds": 20,
        "statement_timeout_seconds": 1,
        "connect_timeout_seconds": 2,
    }
    url = with_parameters(pair.url(DATABASE), **WAYS[way], **timeouts)
    _, measured = await fail_over(url, pair.primary.pause, pair.standby.promote)
    pair.primary.kill()
    with capsys.disabled():
        print(f"\n{way}: {measured}")  # noqa: T201 (see above)


async def test_a_standby_is_passed_over_by_whoever_writes_and_read_on_request(pair: Pair) -> None:
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
