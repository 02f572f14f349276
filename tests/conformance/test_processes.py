"""Processes that are forked while a backend is connected, and event loops that come and go."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import pytest
from sqlalchemy import text

from synthorg.persistence import (
    ManagedBackend,
    PersistenceConfig,
    ReportingBackend,
    TransactionalBackend,
    UnitOfWork,
    UsageError,
    create_backend,
)
from synthorg.persistence.testing.kinds import TASKS
from tests.conformance.children import in_child
from tests.servers.base import Server

pytestmark = pytest.mark.own_backend

PATIENCE_SECONDS: Final = 20

Use = Callable[[TransactionalBackend], Awaitable[object]]


async def _begin(backend: TransactionalBackend) -> None:
    async with backend.transaction():
        pass


async def _ask_for_the_engine(backend: TransactionalBackend) -> None:
    backend.get_db()


async def _ask_for_health(backend: TransactionalBackend) -> None:
    assert isinstance(backend, ReportingBackend)
    await backend.health()


USES: Final[dict[str, Use]] = {
    "get": lambda backend: backend.tasks.get("1"),
    "list": lambda backend: backend.tasks.list_tasks(),
    "save": lambda backend: backend.tasks.save(TASKS.example),
    "save many": lambda backend: backend.tasks.save_many([TASKS.example]),
    "unit": _begin,
    "migrate": lambda backend: backend.migrate(),
    "get_db": _ask_for_the_engine,
    "health": _ask_for_health,
}


async def _collect(backend: TransactionalBackend) -> None:
    for name in list(vars(backend)):
        delattr(backend, name)
    gc.collect()


async def _connect_and_save(backend: TransactionalBackend) -> int:
    await backend.connect()
    if not await backend.health_check():
        return -1
    with suppress(Exception):  # in memory, it is a new database
        await backend.migrate()
    await backend.tasks.save(TASKS.make(id="of the child"))
    saved = len(await backend.tasks.list_tasks())
    await backend.disconnect()
    return saved


ENDS: Final[dict[str, Use]] = {
    "disconnects": lambda backend: backend.disconnect(),
    "disconnects twice": lambda backend: _each(backend.disconnect, backend.disconnect),
    "disconnects and connects": lambda backend: _each(
        backend.disconnect, lambda: _connect_and_save(backend)
    ),
    "connects": _connect_and_save,
    "collects": _collect,
    "asks for its health": lambda backend: backend.health_check(),
}


async def _each(*steps: Callable[[], Awaitable[object]]) -> None:
    for step in steps:
        await step()


@asynccontextmanager
async def all_connections_used(backend: TransactionalBackend) -> AsyncIterator[None]:
    """Use every connection of the fast route, and some of the pool, and then give all back."""
    await backend.tasks.save(TASKS.make(id="1"))
    await asyncio.gather(*(backend.tasks.get("1") for _ in range(20)))
    await asyncio.gather(*(backend.tasks.list_tasks() for _ in range(5)))
    await _begin(backend)
    yield


async def assert_usable(backend: TransactionalBackend) -> None:
    """Check that reads, writes and units of work are answered."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await asyncio.gather(*(backend.tasks.get("1") for _ in range(20)))
        await backend.tasks.save(TASKS.make(id="2"))
        async with backend.transaction() as unit:
            await unit.tasks.save(TASKS.make(id="3"))
        assert {task.id for task in await backend.tasks.list_tasks()} >= {"1", "2", "3"}
        assert await backend.health_check()


@pytest.mark.parametrize("use", USES)
async def test_a_child_is_told_that_it_has_to_connect_itself(
    backend: TransactionalBackend, use: str
) -> None:
    async with all_connections_used(backend):
        told = await in_child(lambda: USES[use](backend))
    assert told.startswith("UsageError"), told
    assert "another process" in told
    await assert_usable(backend)


@pytest.mark.parametrize("end", ENDS)
async def test_a_child_leaves_what_its_parent_has_open_alone(
    backend: TransactionalBackend, end: str
) -> None:
    async with all_connections_used(backend):
        told = await in_child(lambda: ENDS[end](backend))
    assert told in {"None", "1", "2", "False"}, told
    await assert_usable(backend)


async def test_a_child_that_disposes_of_the_engine_it_inherited_ends_no_session_of_its_parent(
    backend: TransactionalBackend,
) -> None:
    engine = backend.get_db()

    async def idle_connection() -> object:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            return (await connection.get_raw_connection()).driver_connection

    async with all_connections_used(backend):
        before = await idle_connection()
        assert await in_child(engine.dispose) != ""
        await asyncio.sleep(0.1)  # long enough for the pool to ask whether it is still alive
        assert await idle_connection() is before
    await assert_usable(backend)


async def test_a_child_is_not_connected_and_not_healthy(backend: TransactionalBackend) -> None:
    async def state() -> tuple[bool, bool]:
        return backend.is_connected, await backend.health_check()

    assert await in_child(state) == "(False, False)"
    assert await state() == (True, True)


async def test_a_child_of_a_process_in_a_unit_does_not_end_the_unit(
    backend: TransactionalBackend,
) -> None:
    async with backend.transaction() as unit:
        await unit.tasks.save(TASKS.make(id="1"))
        assert await in_child(backend.disconnect) == "None"
        await unit.tasks.save(TASKS.make(id="2"))
    assert [task.id for task in await backend.tasks.list_tasks()] == ["1", "2"]


UNIT_USES: Final[dict[str, Callable[[UnitOfWork], Awaitable[object]]]] = {
    "get": lambda unit: unit.tasks.get("1"),
    "save": lambda unit: unit.tasks.save(TASKS.make(id="of the child")),
    "save many": lambda unit: unit.tasks.save_many([TASKS.make(id="of the child")]),
    "connection": lambda unit: unit.connection(),
}


@pytest.mark.parametrize("use", UNIT_USES)
async def test_a_child_is_told_that_a_unit_of_its_parent_is_not_its_own(
    backend: TransactionalBackend, use: str
) -> None:
    async with backend.transaction() as unit:
        await unit.tasks.save(TASKS.make(id="1"))
        told = await in_child(lambda: UNIT_USES[use](unit))
        assert told.startswith("UsageError"), told
        assert "another process" in told
        await unit.tasks.save(TASKS.make(id="2"))
    assert [task.id for task in await backend.tasks.list_tasks()] == ["1", "2"]


async def test_a_unit_is_refused_in_another_event_loop(backend: TransactionalBackend) -> None:
    async with backend.transaction() as unit:
        await unit.tasks.save(TASKS.make(id="1"))

        def use() -> None:
            asyncio.run(asyncio.wait_for(unit.tasks.get("1"), PATIENCE_SECONDS))

        with pytest.raises(UsageError, match="another event loop"):
            await asyncio.to_thread(use)
        assert await unit.tasks.get("1") is not None
    assert await backend.tasks.get("1") is not None


async def test_a_child_connects_although_its_parent_was_about_to_disconnect(
    backend: TransactionalBackend,
) -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with backend.transaction(read_only=True) as unit:
            await unit.tasks.list_tasks()
            begun.set()
            await over.wait()

    async def connect() -> bool:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await backend.connect()
            return await backend.health_check()

    holder = asyncio.create_task(hold())
    await begun.wait()
    leaving = asyncio.create_task(backend.disconnect())
    await asyncio.wait([leaving], timeout=0.1)
    assert not leaving.done()
    assert await in_child(connect) == "True"
    over.set()
    await asyncio.gather(holder, leaving)


@pytest.fixture
def unconnected(migrated_url: str) -> ManagedBackend:
    """A backend that no event loop has connected yet."""
    return create_backend(PersistenceConfig.from_url(migrated_url))


def _in_turn(*steps: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Take each step in an event loop of its own."""

    async def take(step: Callable[[], Awaitable[Any]]) -> Any:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await step()

    return [asyncio.run(take(step)) for step in steps]


@pytest.mark.parametrize("before", ["disconnecting", "connecting"])
def test_a_backend_can_be_connected_again_after_its_event_loop_has_ended(
    server: Server, unconnected: ManagedBackend, before: str
) -> None:
    async def use() -> None:
        await unconnected.connect()
        await server.migrate(unconnected)
        await unconnected.tasks.save(TASKS.example)
        assert await unconnected.tasks.list_tasks() == (TASKS.example,)

    _in_turn(use)
    assert not unconnected.is_connected
    if before == "disconnecting":
        _in_turn(unconnected.disconnect)
    _in_turn(use)

    async def in_the_end() -> None:
        assert not await unconnected.health_check()
        await unconnected.disconnect()
        assert not unconnected.is_connected

    _in_turn(in_the_end)
    gc.collect()  # which would warn here of what has stayed open


async def test_a_backend_is_disconnected_in_its_own_event_loop_wherever_that_is_asked_for(
    backend: TransactionalBackend,
) -> None:
    await backend.tasks.save(TASKS.example)

    def elsewhere() -> None:
        asyncio.run(backend.disconnect())

    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.to_thread(elsewhere)
    assert not backend.is_connected
    await backend.connect()
    assert await backend.health_check()
