"""What a backend tells of the health of its database."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
from sqlalchemy import column, table, update

from synthorg.persistence import (
    Health,
    HealthReason,
    PersistenceConfig,
    SchemaCondition,
    UsageError,
    create_backend,
)
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.sql.execution import ping
from synthorg.persistence.sql.migrations import runner
from synthorg.persistence.sql.migrations.revisions import known_revisions
from synthorg.persistence.sql.tables import VERSION_TABLE
from synthorg.persistence.sql.transfer.mark import remove_mark, set_mark
from synthorg.persistence.testing.kinds import TASKS
from tests.conformance.beside import beside, until
from tests.conftest import checked_out_connections
from tests.servers.base import Server

SECONDS: Final = 20


def reasons_of(health: Health) -> list[HealthReason]:
    return [each.code for each in health.degraded]


@pytest.fixture
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ping, "SECONDS_FOR_THE_POOL", 0.1)


async def test_a_migrated_database_that_answers_is_in_full_health(
    on_each_route: SQLPersistenceBackend,
) -> None:
    await on_each_route.tasks.save(TASKS.example)
    health = await on_each_route.health()
    assert health.is_ready
    assert health.reachable
    assert health.degraded == ()
    assert health.backend_name == on_each_route.backend_name
    assert health.latency_seconds is not None
    assert 0 < health.latency_seconds < SECONDS
    assert health.schema_state is SchemaCondition.CURRENT
    assert health.copy_unfinished is False
    assert (health.connections_in_use, health.calls_waiting, health.write_queue) == (0, 0, 0)
    assert 1 <= health.connections_open <= health.connections_limit
    assert health.oldest_unit_seconds is None
    assert health.error is None


async def test_health_is_a_frozen_record_that_is_read_back_from_json(
    on_each_route: SQLPersistenceBackend,
) -> None:
    health = await on_each_route.health()
    fields = health.model_dump(mode="json")
    assert fields.pop("is_ready") is True
    assert Health.model_validate(fields) == health
    with pytest.raises(ValueError, match="frozen"):
        health.__setattr__("reachable", False)


async def test_a_backend_that_is_not_connected_says_so(server: Server) -> None:
    with server.migrated_database() as url:
        backend = create_backend(PersistenceConfig.from_url(url))
        for _ in range(2):
            health = await backend.health()
            assert reasons_of(health) == [HealthReason.NOT_CONNECTED]
            assert not health.is_ready
            assert not health.reachable
            assert health.latency_seconds is None
            assert health.schema_state is None
            async with backend:
                assert (await backend.health()).reachable


async def test_a_database_without_tables_is_not_ready(
    unmigrated: SQLPersistenceBackend,
) -> None:
    health = await unmigrated.health()
    assert health.reachable
    assert health.schema_state is SchemaCondition.EMPTY
    assert reasons_of(health) == [HealthReason.SCHEMA_MISSING]
    assert not health.is_ready
    assert "synthorg-db migrate" in health.degraded[0].text


async def test_a_schema_of_an_earlier_release_is_not_ready_until_it_is_migrated(
    on_each_route: SQLPersistenceBackend,
) -> None:
    before = known_revisions().get_revision("head").down_revision
    assert isinstance(before, str)
    await runner.downgrade(on_each_route.database_for("a test"), before)
    health = await on_each_route.health()
    assert health.schema_state is SchemaCondition.BEHIND
    assert reasons_of(health) == [HealthReason.SCHEMA_BEHIND]
    assert not health.is_ready
    await on_each_route.migrate()
    assert (await on_each_route.health()).degraded == ()


async def test_a_schema_of_a_newer_release_is_told_and_stays_in_use(
    on_each_route: SQLPersistenceBackend,
) -> None:
    version = table(VERSION_TABLE, column("version_num"))
    async with on_each_route.get_db().begin() as connection:
        await connection.execute(update(version).values(version_num="9999_future"))
    health = await on_each_route.health()
    assert health.schema_state is SchemaCondition.AHEAD
    assert reasons_of(health) == [HealthReason.SCHEMA_AHEAD]
    assert health.is_ready


async def test_a_copy_that_has_not_ended_is_not_ready_and_its_source_is_not_named(
    on_each_route: SQLPersistenceBackend,
) -> None:
    async with on_each_route.get_db().begin() as connection:
        await connection.run_sync(set_mark, "postgresql://ada@db.internal/agents")
    health = await on_each_route.health()
    assert health.copy_unfinished is True
    assert reasons_of(health) == [HealthReason.COPY_UNFINISHED]
    assert not health.is_ready
    assert "db.internal" not in health.model_dump_json()
    async with on_each_route.get_db().begin() as connection:
        await connection.run_sync(remove_mark)
    assert (await on_each_route.health()).is_ready


async def test_a_unit_that_is_held_open_is_told_with_its_age(
    on_each_route: SQLPersistenceBackend,
) -> None:
    async with on_each_route.transaction() as unit:
        await unit.tasks.save(TASKS.example)
        (health,) = await from_elsewhere(on_each_route.health())
        assert health.reachable
        assert health.is_ready
        assert health.connections_in_use >= 1
        assert health.oldest_unit_seconds is not None
        assert 0 < health.oldest_unit_seconds < SECONDS
        assert health.write_lock_held is not False
    assert (await on_each_route.health()).oldest_unit_seconds is None


async def test_health_can_be_asked_for_inside_a_unit(
    on_each_route: SQLPersistenceBackend,
) -> None:
    async with asyncio.timeout(SECONDS), on_each_route.transaction() as unit:
        await unit.tasks.save(TASKS.example)
        health = await on_each_route.health()
        assert health.reachable
        assert health.is_ready
        await unit.tasks.save(TASKS.example)


async def test_writers_that_a_unit_keeps_waiting_are_counted(
    on_each_route: SQLPersistenceBackend,
) -> None:
    def load_of() -> int:
        return on_each_route.database_for("a test").load.write_queue

    if (await on_each_route.health()).write_lock_held is None:
        pytest.skip("the server lets writers work side by side")
    async with AsyncExitStack() as waiting, on_each_route.transaction() as unit:
        await unit.tasks.save(TASKS.example)
        saves = [on_each_route.tasks.save(TASKS.keyed(str(number))) for number in range(5)]
        await waiting.enter_async_context(beside(*saves))
        await until(lambda: load_of() == len(saves))
        (health,) = await from_elsewhere(on_each_route.health())
        assert health.write_queue == len(saves)
        assert health.write_lock_held
        assert health.is_ready


@pytest.mark.usefixtures("_in_a_hurry")
async def test_a_database_whose_connections_are_all_in_use_still_answers_and_says_so(
    on_each_route: SQLPersistenceBackend,
) -> None:
    database = on_each_route.database_for("a test")

    async def wait_too() -> None:
        async with on_each_route.get_db().connect():
            pass

    async with AsyncExitStack() as waiting, AsyncExitStack() as held:
        for _ in range(database.load.shared.limit):
            await held.enter_async_context(on_each_route.get_db().connect())
        await waiting.enter_async_context(beside(wait_too()))
        await until(lambda: database.load.shared.waiting == 1)
        for _ in range(3):
            (health,) = await from_elsewhere(on_each_route.health())
            assert health.reachable
            assert health.is_ready
            assert HealthReason.CONNECTIONS_EXHAUSTED in reasons_of(health)
            assert health.calls_waiting == 1
            if database.load.shared.limit > 1:
                assert health.schema_state is SchemaCondition.CURRENT
    await until(lambda: checked_out_connections(on_each_route) == 0)
    assert (await on_each_route.health()).degraded == ()


async def test_many_may_ask_at_once(on_each_route: SQLPersistenceBackend) -> None:
    async with asyncio.timeout(SECONDS):
        every = await asyncio.gather(*(on_each_route.health() for _ in range(12)))
    assert all(each.is_ready and each.reachable for each in every)
    await until(lambda: checked_out_connections(on_each_route) == 0)


async def test_asking_in_another_event_loop_is_refused(
    on_each_route: SQLPersistenceBackend,
) -> None:
    def ask(health: Callable[[], Coroutine[Any, Any, Health]]) -> Health:
        return asyncio.run(health())

    with pytest.raises(UsageError, match="another event loop"):
        await asyncio.to_thread(ask, on_each_route.health)
    assert (await on_each_route.health()).is_ready


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "5"])
async def test_a_time_that_is_none_is_refused(
    unmigrated: SQLPersistenceBackend, seconds: Any
) -> None:
    with pytest.raises(UsageError, match="timeout"):
        await unmigrated.health(timeout=seconds)


async def test_asking_that_is_cancelled_leaves_no_connection_in_use(
    on_each_route: SQLPersistenceBackend,
) -> None:
    await on_each_route.health()
    for steps in range(12):
        asking = asyncio.create_task(on_each_route.health())
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    await until(lambda: checked_out_connections(on_each_route) == 0)
    assert (await on_each_route.health()).is_ready


async def from_elsewhere(asking: Coroutine[Any, Any, Health]) -> list[Health]:
    """Ask as a readiness endpoint would, which knows of no unit of a test."""
    found: list[Health] = []

    async def ask() -> None:
        found.append(await asking)

    async with beside(ask()):
        pass
    return found
