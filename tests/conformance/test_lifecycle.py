"""Connecting, disconnecting, and what does not work in between."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from synthorg.persistence import (
    MigrationError,
    NotConnectedError,
    PersistenceBackend,
    PersistenceConfig,
    PersistenceConnectionError,
    create_backend,
)
from synthorg.persistence.sql.tables import VERSION_TABLE
from synthorg.persistence.testing.kinds import KINDS, TASKS
from tests.conftest import checked_out_connections, connected
from tests.servers.base import Server

pytestmark = pytest.mark.own_backend

CALLS: Final[dict[str, Callable[[PersistenceBackend], Awaitable[object]]]] = {
    "migrate": lambda backend: backend.migrate(),
    "get_setting": lambda backend: backend.get_setting("limit"),
    "set_setting": lambda backend: backend.set_setting("limit", "1"),
}


@pytest.fixture
def disconnected(empty_url: str) -> PersistenceBackend:
    """A backend that was never connected."""
    return create_backend(PersistenceConfig.from_url(empty_url))


async def test_nothing_works_before_connecting_and_the_error_names_it(
    disconnected: PersistenceBackend,
) -> None:
    assert not disconnected.is_connected
    assert not await disconnected.health_check()
    for name in [kind.repository for kind in KINDS]:
        with pytest.raises(PersistenceConnectionError, match=rf"not connected.*\b{name}\b"):
            getattr(disconnected, name)
    with pytest.raises(PersistenceConnectionError, match=r"not connected.*\bget_db\b"):
        disconnected.get_db()
    for name, call in CALLS.items():
        with pytest.raises(PersistenceConnectionError, match=rf"not connected.*\b{name}\b"):
            await call(disconnected)


async def test_nothing_works_after_disconnecting(backend: PersistenceBackend) -> None:
    tasks, engine = backend.tasks, backend.get_db()
    assert isinstance(engine, AsyncEngine)
    await backend.disconnect()
    assert not backend.is_connected
    assert not await backend.health_check()
    with pytest.raises(PersistenceConnectionError, match=r"not connected.*\btasks\b"):
        await backend.tasks.get("task-1")
    with pytest.raises(PersistenceConnectionError, match="not connected"):
        await tasks.get("task-1")


async def test_a_block_also_migrates_where_that_is_asked_for(empty_url: str) -> None:
    backend = create_backend(PersistenceConfig.from_url(empty_url), migrate=True)
    for _ in range(2):
        async with backend as entered:
            await entered.tasks.save(TASKS.example)
            assert await entered.tasks.list_tasks() == (TASKS.example,)
        assert not backend.is_connected


async def test_a_block_that_cannot_migrate_is_not_entered_and_leaves_nothing_open(
    empty_url: str,
) -> None:
    backend = create_backend(PersistenceConfig.from_url(empty_url), migrate=True)
    await backend.connect()
    async with backend.get_db().begin() as connection:
        await connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num CHAR(9))"))
        await connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES ('of_others')"))
    with pytest.raises(MigrationError, match="of_others"):
        await backend.__aenter__()
    assert not backend.is_connected


async def test_disconnecting_without_a_connection_is_harmless(
    disconnected: PersistenceBackend,
) -> None:
    await disconnected.disconnect()
    await disconnected.connect()
    await disconnected.disconnect()
    await disconnected.disconnect()
    await asyncio.gather(*(disconnected.disconnect() for _ in range(3)))
    assert not disconnected.is_connected


async def test_connecting_twice_is_harmless(backend: PersistenceBackend) -> None:
    await backend.tasks.save(TASKS.example)
    engine = backend.get_db()
    await backend.connect()
    await asyncio.gather(*(backend.connect() for _ in range(5)))
    assert backend.get_db() is engine
    assert await backend.tasks.get(TASKS.example.id) == TASKS.example


async def test_connecting_from_several_tasks_at_once_makes_one_connection(
    disconnected: PersistenceBackend,
) -> None:
    await asyncio.gather(*(disconnected.connect() for _ in range(10)))
    assert disconnected.is_connected
    await disconnected.migrate()
    await disconnected.tasks.save(TASKS.example)
    assert await disconnected.tasks.get(TASKS.example.id) == TASKS.example
    await disconnected.disconnect()


async def test_a_backend_works_again_after_it_was_disconnected(
    server: Server, backend: PersistenceBackend
) -> None:
    for _ in range(3):
        await backend.disconnect()
        await backend.connect()
        assert await backend.health_check()
        if await tables_are_gone(backend):  # in memory
            await server.migrate(backend)
        await backend.tasks.save(TASKS.example)
        assert await backend.tasks.list_tasks() == (TASKS.example,)


async def tables_are_gone(backend: PersistenceBackend) -> bool:
    """Tell whether the database ended with its connection."""
    async with backend.get_db().connect() as connection:
        return not await connection.run_sync(lambda sync: sync.dialect.has_table(sync, "tasks"))


@pytest.mark.parametrize("steps", [0, 1, 3, 10])
async def test_a_call_that_a_disconnect_overtakes_is_told_so_unless_it_had_succeeded(
    server: Server, backend: PersistenceBackend, steps: int
) -> None:
    records = [TASKS.keyed(str(number)) for number in range(30)]
    saves = [asyncio.create_task(backend.tasks.save(record)) for record in records]
    for _ in range(steps):
        await asyncio.sleep(0)
    await backend.disconnect()
    results = await asyncio.gather(*saves, return_exceptions=True)
    assert all(isinstance(result, PersistenceConnectionError | None) for result in results)
    await backend.connect()
    if await tables_are_gone(backend):
        await server.migrate(backend)
    else:
        saved = [task for task, result in zip(records, results, strict=True) if result is None]
        assert {*saved} <= {*await backend.tasks.list_tasks()}
    await backend.tasks.save(TASKS.example)
    assert await backend.tasks.get(TASKS.example.id) == TASKS.example


async def test_the_engine_is_there_for_what_the_repositories_do_not_offer(
    backend: PersistenceBackend,
) -> None:
    engine = backend.get_db()
    assert isinstance(engine, AsyncEngine)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


async def test_two_backends_never_share_state(server: Server, backend: PersistenceBackend) -> None:
    with server.migrated_database() as url:
        async with connected(url) as other:
            await server.migrate(other)
            await backend.tasks.save(TASKS.example)
            assert await other.tasks.list_tasks() == ()
            await other.tasks.save(TASKS.make(title="Elsewhere"))
            assert await backend.tasks.get(TASKS.example.id) == TASKS.example
            await backend.disconnect()
            assert await other.health_check()
            assert len(await other.tasks.list_tasks()) == 1


async def test_an_unknown_table_of_the_caller_is_no_concern_of_the_backend(
    backend: PersistenceBackend,
) -> None:
    async with backend.get_db().begin() as connection:
        await connection.execute(text("CREATE TABLE of_the_application (id INTEGER PRIMARY KEY)"))
    await backend.migrate()
    await backend.tasks.save(TASKS.example)
    async with backend.get_db().begin() as connection:
        await connection.execute(text("DROP TABLE of_the_application"))


async def test_a_repository_that_is_held_works_after_a_reconnect(
    server: Server, backend: PersistenceBackend
) -> None:
    tasks = backend.tasks
    await backend.disconnect()
    with pytest.raises(NotConnectedError, match="not connected"):
        await tasks.list_tasks()
    await backend.connect()
    if await tables_are_gone(backend):
        await server.migrate(backend)
    await tasks.save(TASKS.example)
    assert await tasks.list_tasks() == (TASKS.example,)


async def test_repositories_can_be_handed_out_before_connecting(
    server: Server, migrated_url: str
) -> None:
    backend = create_backend(PersistenceConfig.from_url(migrated_url))
    tasks = backend.repositories.tasks
    with pytest.raises(NotConnectedError, match=r"not connected.*\btasks\b"):
        await tasks.save(TASKS.example)
    async with backend:
        await server.migrate(backend)
        await tasks.save(TASKS.example)
        assert await tasks.list_tasks() == (TASKS.example,)
    with pytest.raises(NotConnectedError, match="not connected"):
        await tasks.list_tasks()


async def test_a_backend_as_a_context_manager_is_connected_inside(migrated_url: str) -> None:
    async with create_backend(PersistenceConfig.from_url(migrated_url)) as backend:
        assert backend.is_connected
        assert await backend.health_check()
    assert not backend.is_connected
    with pytest.raises(RuntimeError, match="of the caller"):
        async with backend:
            raise RuntimeError("of the caller")
    assert not backend.is_connected


async def test_a_health_check_that_is_cancelled_leaves_no_connection_in_use(
    backend: PersistenceBackend,
) -> None:
    for steps in range(12):
        check = asyncio.create_task(backend.health_check())
        for _ in range(steps):
            await asyncio.sleep(0)
        check.cancel()
        await asyncio.gather(check, return_exceptions=True)
    assert await backend.health_check()
    async with asyncio.timeout(20):  # what was cancelled is cleared away behind the caller's back
        while checked_out_connections(backend):  # noqa: ASYNC110 (there is nothing to wait for)
            await asyncio.sleep(0.01)
