"""What is under way on a database, as a backend tells for metrics and health."""

from contextlib import AsyncExitStack

import pytest

from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.sql.drivers.pool_state import Load
from synthorg.persistence.testing.kinds import TASKS
from tests.conformance.beside import beside, until


def load_of(backend: SQLPersistenceBackend) -> Load:
    return backend.database_for("a test").load


async def test_nothing_is_under_way_on_an_idle_database(
    on_each_route: SQLPersistenceBackend,
) -> None:
    await on_each_route.tasks.save(TASKS.example)
    load = load_of(on_each_route)
    connections = load.connections
    assert (connections.in_use, connections.waiting, load.write_queue) == (0, 0, 0)
    assert 1 <= connections.open <= connections.limit
    assert not load.write_lock_is_held
    assert load.oldest_unit_seconds is None


async def test_an_open_unit_is_told_with_its_age_and_its_connection(
    on_each_route: SQLPersistenceBackend,
) -> None:
    async with on_each_route.transaction() as first:
        await first.tasks.save(TASKS.example)
        load = load_of(on_each_route)
        assert load.connections.in_use == 1
        assert load.write_lock_is_held is not False
        assert load.oldest_unit_seconds is not None
        age = load.oldest_unit_seconds
        await until(lambda: (load_of(on_each_route).oldest_unit_seconds or 0) > age)
    assert load_of(on_each_route).oldest_unit_seconds is None
    assert load_of(on_each_route).connections.in_use == 0


async def test_writes_that_wait_for_a_unit_are_counted(
    on_each_route: SQLPersistenceBackend,
) -> None:
    if load_of(on_each_route).write_lock_is_held is None:
        pytest.skip("the server lets writers work side by side")
    records = [TASKS.keyed(str(number)) for number in range(5)]
    async with AsyncExitStack() as waiting, on_each_route.transaction() as unit:
        await unit.tasks.save(TASKS.example)
        saves = beside(*[on_each_route.tasks.save(record) for record in records])
        await waiting.enter_async_context(saves)
        await until(lambda: load_of(on_each_route).write_queue == len(records))
        assert load_of(on_each_route).write_lock_is_held
    assert load_of(on_each_route).write_queue == 0


async def test_whoever_waits_for_a_connection_is_counted(
    on_each_route: SQLPersistenceBackend,
) -> None:
    async def connect_too() -> None:
        async with on_each_route.get_db().connect():
            pass

    async with AsyncExitStack() as waiting:
        async with AsyncExitStack() as held:
            for _ in range(load_of(on_each_route).shared.limit):
                await held.enter_async_context(on_each_route.get_db().connect())
            await waiting.enter_async_context(beside(connect_too(), connect_too()))
            await until(lambda: load_of(on_each_route).shared.waiting == 2)
            shared = load_of(on_each_route).shared
            assert shared.in_use == shared.open == shared.limit
        await until(lambda: load_of(on_each_route).shared.waiting == 0)
    assert load_of(on_each_route).shared.in_use == 0
