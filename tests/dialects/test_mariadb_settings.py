"""A server whose operator has chosen what suits nobody: the library works on it as on any other."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import make_url, text

from synthorg.persistence import (
    PersistenceBackend,
    PersistenceConnectionError,
    TransactionalBackend,
)
from synthorg.persistence.sql.dialects.mysql import MariaDBDialect
from synthorg.persistence.testing.backend.keys import Keys
from tests.conformance.test_conflicts import (
    test_units_that_read_all_before_they_write_lose_no_update,
)
from tests.conformance.test_constraints import (
    test_the_database_refuses_a_second_ceo,
    test_the_database_refuses_an_invalid_row,
    test_the_database_refuses_to_change_or_delete_an_audit_entry,
)
from tests.conformance.test_saving import (
    test_saving_again_replaces_every_field,
)
from tests.conformance.units import neighbour_of
from tests.dialects.awkward_mariadb import SETTINGS, settings
from tests.dialects.places import connected, task
from tests.servers.administrator import Administrator
from tests.servers.mariadb import MariaDB

__all__ = [
    "test_saving_again_replaces_every_field",
    "test_the_database_refuses_a_second_ceo",
    "test_the_database_refuses_an_invalid_row",
    "test_the_database_refuses_to_change_or_delete_an_audit_entry",
    "test_units_that_read_all_before_they_write_lose_no_update",
]

SUITED = ("sql_mode", "time_zone")
"""What is neither the operator's nor the server's default."""

PINNED = (*MariaDBDialect.settings, "autocommit", "tx_isolation")


@pytest.fixture
def server(awkward_mariadb: MariaDB) -> Iterator[MariaDB]:
    """The server, with settings for its users that suit nobody."""
    with settings(awkward_mariadb, SETTINGS):
        yield awkward_mariadb


@pytest.fixture(params=(True, False), ids=("fast", "public"))
def migrated_url(server: MariaDB, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database at the head revision, on each route."""
    with server.migrated_database() as url:
        yield f"{url}?prepared_statements={request.param}"


@pytest.fixture
async def neighbour(
    server: MariaDB, migrated_url: str, backend: TransactionalBackend
) -> AsyncIterator[TransactionalBackend]:
    """Another backend on the same database, in the event loop of the test."""
    async with neighbour_of(backend, server, migrated_url) as neighbour:
        yield neighbour


async def test_no_session_keeps_a_setting_of_the_operator_that_matters(
    server: MariaDB, migrated_url: str
) -> None:
    values = f"SELECT {', '.join(f'@@{name}' for name in PINNED)}"
    entrance = make_url(migrated_url).set(drivername="mariadb+asyncmy", query={})
    with Administrator(entrance) as stranger:
        stranger.connect(is_starting=lambda: False)
        ((*chosen, _, level),) = stranger.execute(values)
    assert level == "READ-UNCOMMITTED"
    ((*usual, _, _),) = server.administrator.execute(values.replace("@@", "@@global."))
    async with connected(migrated_url) as backend, backend.get_db().connect() as connection:
        *own, commits_each, level = (await connection.execute(text(values))).one()
        character_sets = await connection.execute(
            text("SELECT @@character_set_client, @@character_set_results")
        )
    assert level == "READ-COMMITTED"
    assert not commits_each
    assert "STRICT_ALL_TABLES" in own[PINNED.index("sql_mode")]
    assert character_sets.one() == ("utf8mb4", "utf8mb4")
    for name, theirs, ours, default in zip(PINNED, chosen, own, usual, strict=False):
        assert theirs != ours, name
        assert name in SUITED or ours == default, name


async def test_lists_are_whole(backend: PersistenceBackend) -> None:
    tasks = tuple(task(str(number)) for number in range(3))
    for each in tasks:
        await backend.tasks.save(each)
    assert await backend.tasks.list_tasks() == tasks


@pytest.mark.parametrize("step", ["read", "write", "commit"])
async def test_a_unit_that_was_idle_for_too_long_is_a_lost_connection_and_has_written_nothing(
    awkward_mariadb: MariaDB, migrated_url: str, step: str
) -> None:
    async def wait_for_too_long() -> None:
        async with backend.transaction() as unit:
            await unit.tasks.save(task("before"))
            await asyncio.sleep(1.5)  # longer than the server waits
            if step == "read":
                await unit.tasks.get("before")
            if step == "write":
                await unit.tasks.save(task("after"))

    with settings(awkward_mariadb, {"wait_timeout": 1}):
        async with connected(migrated_url) as backend:
            with pytest.raises(PersistenceConnectionError):
                await wait_for_too_long()
            assert await backend.tasks.list_tasks() == ()
            await backend.tasks.save(task("later"))
            assert await backend.tasks.get("later") == task("later")


class TestKeys(Keys):
    """Also where the server compares otherwise."""
