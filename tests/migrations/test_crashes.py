"""A migration that is killed at any statement is completed by the next one.

Where DDL is final, each state between two statements is reached, and left by the next attempt.
Elsewhere they are all the same state, none, so that every twelfth statement has to do; with
TEST_KILL_STRIDE=1 in the environment it is each.
"""

import os
from pathlib import Path

from synthorg.persistence import PersistenceConfig
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.migrations.runner import find_schema_state
from synthorg.persistence.sql.migrations.state import Condition
from synthorg.persistence.sql.tables import VERSION_TABLE
from tests.migrations.support import CHECKOUT, Site, contents, program, site_at
from tests.servers.base import Server

PATIENCE_SECONDS = 300
STRIDE = int(os.environ.get("TEST_KILL_STRIDE", "12"))
FEWEST_KILLS = 1


def kill_at_every_statement(url: str, command: str, folder: Path, stride: int = STRIDE) -> int:
    """Migrate with a SIGKILL at one changing statement after the other, and count the kills."""
    is_final = not create_dialect(PersistenceConfig.from_url(url)).transactional_ddl
    journal = folder / f"{command}.journal"
    arguments = ["-m", "tests.migrations.crasher", url, command, str(journal)]
    arguments.append(str(1 if is_final else stride))
    with program(*arguments, folder=CHECKOUT, url=None) as process:
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, errors
    return int(output)


async def condition(site: Site) -> Condition:
    state = await site.run(lambda connection: find_schema_state(connection, site.dialect))
    assert state.unfinished is None
    return state.condition


async def test_an_upgrade_killed_at_any_statement_ends_like_one_that_was_not(
    shared_server: Server, tmp_path: Path
) -> None:
    with shared_server.empty_database() as url, shared_server.empty_database() as calm_url:
        killed = kill_at_every_statement(url, "upgrade", tmp_path)

        async with site_at(url) as site, site_at(calm_url) as calm:
            await calm.backend.migrate()
            await site.backend.migrate()

            assert killed > FEWEST_KILLS
            assert await condition(site) is Condition.CURRENT
            assert await site.schema() == await calm.schema()
            assert await site.run(contents) == await calm.run(contents)


async def test_a_downgrade_killed_at_any_statement_ends_like_one_that_was_not(
    shared_server: Server, tmp_path: Path
) -> None:
    with shared_server.empty_database() as url:
        async with site_at(url) as site:
            nothing = await site.schema()
            await site.backend.migrate()

        killed = kill_at_every_statement(url, "downgrade", tmp_path)

        async with site_at(url) as site:
            assert killed > FEWEST_KILLS
            assert await condition(site) is Condition.EMPTY
            assert await site.schema() == nothing
            assert await site.run(contents) == {VERSION_TABLE: []}
            await site.backend.migrate()
            assert await condition(site) is Condition.CURRENT
