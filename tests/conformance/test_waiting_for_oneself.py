"""What would wait for the transaction that waits for it is told at once, whoever asks."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import pytest
import pytest_asyncio
from sqlalchemy import event, text

from synthorg.persistence import (
    ManagedBackend,
    PersistenceConfig,
    PersistenceError,
    TransactionalBackend,
    UsageError,
    create_backend,
)
from synthorg.persistence.testing.kinds import TASKS
from tests.conftest import checked_out_connections
from tests.servers.base import Server

pytestmark = pytest.mark.own_backend

AT_ONCE_SECONDS: Final = 8
"""More than a refusal takes on a busy machine, and less than any wait for a lock."""

SHORT_PATIENCE_SECONDS: Final = 1

Way = Callable[[Awaitable[object]], Awaitable[object]]


async def _in_a_group(step: Awaitable[object]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_awaited(step))
    except BaseExceptionGroup as group_of_one:
        raise group_of_one.exceptions[0] from None


async def _awaited(step: Awaitable[object]) -> object:
    return await step


WAYS: Final[dict[str, Way]] = {
    "itself": _awaited,
    "gather": asyncio.gather,
    "group": _in_a_group,
    "wait_for": lambda step: asyncio.wait_for(step, AT_ONCE_SECONDS * 2),
}


@pytest_asyncio.fixture(loop_scope="session")
async def own_table(backend: TransactionalBackend) -> AsyncIterator[None]:
    """A table of the application, beside those of the library."""
    async with backend.get_db().begin() as connection:
        await connection.execute(text("CREATE TABLE own (id VARCHAR(9))"))
    yield
    async with backend.get_db().begin() as connection:
        await connection.execute(text("DROP TABLE own"))


async def _write_own(backend: TransactionalBackend) -> None:
    async with backend.get_db().begin() as connection:
        await connection.execute(text("INSERT INTO own VALUES ('1')"))


async def _count_own(backend: TransactionalBackend) -> int:
    async with backend.get_db().connect() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM own")) or 0)


def shares_a_writer(server: Server) -> bool:
    """Tell whether there is one transaction at a time that writes."""
    return server.name.startswith("sqlite")


@pytest.mark.parametrize("way", WAYS)
async def test_a_save_beside_ones_own_unit_is_done_or_told_at_once(
    server: Server, backend: TransactionalBackend, way: str
) -> None:
    async with asyncio.timeout(AT_ONCE_SECONDS), backend.transaction() as unit:
        await unit.tasks.save(TASKS.make(id="inside"))
        save = backend.tasks.save(TASKS.make(id="beside"))
        if shares_a_writer(server):
            with pytest.raises(UsageError, match="has a transaction open"):
                await WAYS[way](save)
        else:
            await WAYS[way](save)
    beside = [] if shares_a_writer(server) else ["beside"]
    assert [task.id for task in await backend.tasks.list_tasks()] == [*beside, "inside"]


async def test_the_task_of_a_unit_is_told_before_it_waits(
    server: Server, backend: TransactionalBackend
) -> None:
    if not shares_a_writer(server):
        pytest.skip("there is nothing to wait for")
    async with backend.transaction():
        other = asyncio.create_task(asyncio.sleep(0))
        with pytest.raises(UsageError, match="has a transaction open"):
            await backend.tasks.save(TASKS.example)
        assert not other.done()  # so that nothing was waited for
        await other


@pytest.mark.parametrize("way", WAYS)
async def test_other_writers_go_on_when_one_has_waited_for_itself(
    backend: TransactionalBackend, way: str
) -> None:
    begun = asyncio.Event()

    async def stall() -> None:
        async with backend.transaction():
            begun.set()
            await WAYS[way](backend.tasks.save(TASKS.make(id="beside")))

    staller = asyncio.create_task(stall())
    await begun.wait()
    async with asyncio.timeout(AT_ONCE_SECONDS):
        await asyncio.gather(*(backend.tasks.save(TASKS.make(id=id_)) for id_ in "123"))
        await asyncio.gather(staller, return_exceptions=True)
    assert {task.id for task in await backend.tasks.list_tasks()} >= {*"123"}


async def test_a_task_started_in_a_unit_may_wait_for_the_end_of_a_unit_that_goes_on(
    backend: TransactionalBackend,
) -> None:
    async with backend.transaction() as unit:
        await unit.tasks.save(TASKS.make(id="inside"))
        beside = asyncio.create_task(backend.tasks.save(TASKS.make(id="beside")))
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            await unit.tasks.get("inside")
    await beside
    assert [task.id for task in await backend.tasks.list_tasks()] == ["beside", "inside"]


@pytest.mark.usefixtures("own_table")
async def test_a_task_started_in_a_unit_is_free_once_the_unit_has_ended(
    backend: TransactionalBackend,
) -> None:
    over = asyncio.Event()

    async def work() -> None:
        await over.wait()
        await backend.tasks.save(TASKS.make(id="later"))
        await _write_own(backend)
        async with backend.transaction() as unit:
            await unit.tasks.save(TASKS.make(id="in a unit"))

    async with backend.transaction():
        worker = asyncio.create_task(work())
        await asyncio.sleep(0)
    over.set()
    await worker
    assert len(await backend.tasks.list_tasks()) == 2


async def test_a_save_while_a_bulk_write_takes_its_records_is_told_at_once(
    server: Server, backend: TransactionalBackend
) -> None:
    async def records() -> AsyncIterator[object]:
        yield TASKS.make(id="first")
        await backend.tasks.save(TASKS.make(id="beside"))

    async with asyncio.timeout(AT_ONCE_SECONDS):
        if shares_a_writer(server):
            with pytest.raises(UsageError, match="has a transaction open"):
                await backend.tasks.save_many(records())  # type: ignore[arg-type]
            assert await backend.tasks.list_tasks() == ()
        else:
            await backend.tasks.save_many(records())  # type: ignore[arg-type]


@pytest.mark.usefixtures("own_table")
@pytest.mark.parametrize("way", WAYS)
async def test_a_save_inside_a_transaction_of_ones_own_sql_is_done_or_told_at_once(
    server: Server, backend: TransactionalBackend, way: str
) -> None:
    async with asyncio.timeout(AT_ONCE_SECONDS), backend.get_db().begin() as connection:
        await connection.execute(text("INSERT INTO own VALUES ('1')"))
        save = backend.tasks.save(TASKS.example)
        if shares_a_writer(server):
            with pytest.raises(UsageError, match="get_db"):
                await WAYS[way](save)
        else:
            await WAYS[way](save)
    assert await _count_own(backend) == 1
    await backend.tasks.save(TASKS.example)


@pytest.mark.usefixtures("own_table")
async def test_a_save_inside_ones_own_reading_is_done(
    server: Server, backend: TransactionalBackend
) -> None:
    if server.name == "sqlite-memory":
        pytest.skip("there is one connection")
    async with backend.get_db().connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM own")) == 0
        await backend.tasks.save(TASKS.example)


@pytest.mark.usefixtures("own_table")
async def test_in_memory_own_sql_and_the_library_take_turns(
    backend: TransactionalBackend,
) -> None:
    async def write(number: int) -> None:
        await _write_own(backend)
        await backend.tasks.save(TASKS.make(id=str(number)))
        async with backend.transaction() as unit:
            await unit.tasks.save(TASKS.make(id=f"{number} in a unit"))

    await asyncio.gather(*map(write, range(10)))
    assert await _count_own(backend) == 10
    assert len(await backend.tasks.list_tasks()) == 20


@pytest.mark.usefixtures("own_table")
@pytest.mark.parametrize("way", WAYS)
async def test_own_sql_beside_ones_own_unit_is_told_at_once_and_leaves_nothing(
    backend: TransactionalBackend, way: str
) -> None:
    async with asyncio.timeout(AT_ONCE_SECONDS), backend.transaction() as unit:
        await unit.tasks.save(TASKS.example)
        with pytest.raises(UsageError, match="connection"):
            await WAYS[way](_write_own(backend))
        assert await unit.tasks.get(TASKS.example.id) == TASKS.example
    assert await _count_own(backend) == 0
    assert await backend.tasks.get(TASKS.example.id) == TASKS.example


@pytest.mark.parametrize("way", WAYS)
async def test_disconnecting_inside_ones_own_unit_is_told_at_once(
    backend: TransactionalBackend, way: str
) -> None:
    async with asyncio.timeout(AT_ONCE_SECONDS), backend.transaction() as unit:
        with pytest.raises(UsageError, match="disconnect"):
            await WAYS[way](backend.disconnect())
        await unit.tasks.save(TASKS.example)
    assert await backend.tasks.get(TASKS.example.id) == TASKS.example


async def test_migrating_inside_ones_own_unit_is_told_at_once(
    backend: TransactionalBackend,
) -> None:
    async with asyncio.timeout(AT_ONCE_SECONDS), backend.transaction():
        with pytest.raises(UsageError, match="migrate"):
            await backend.migrate()


def with_patience(url: str, seconds: float) -> str:
    """Set how long a call waits for what others hold."""
    name = "busy_timeout_seconds" if url.startswith("sqlite") else "pool_timeout_seconds"
    return f"{url}{'&' if '?' in url else '?'}{name}={seconds}"


@pytest_asyncio.fixture(loop_scope="session")
async def impatient(server: Server, migrated_url: str) -> AsyncIterator[ManagedBackend]:
    """A connected backend that does not wait for long."""
    url = with_patience(migrated_url, SHORT_PATIENCE_SECONDS)
    async with create_backend(PersistenceConfig.from_url(url)) as backend:
        await server.migrate(backend)
        yield backend


@pytest.mark.parametrize("read_only", [True, False])
async def test_a_unit_that_outlasts_its_backend_fails_and_loses_its_connection(
    impatient: ManagedBackend, *, read_only: bool
) -> None:
    begun, over = asyncio.Event(), asyncio.Event()
    errors: list[BaseException] = []
    held: list[Any] = []

    async def outlast() -> None:
        async with impatient.transaction(read_only=read_only) as unit:
            await unit.tasks.list_tasks()
            if not read_only:
                await unit.tasks.save(TASKS.example)
            raw = await (await unit.connection()).get_raw_connection()
            held.append(raw.driver_connection)
            begun.set()
            await over.wait()
            for step in (unit.tasks.list_tasks, lambda: unit.tasks.save(TASKS.example)):
                try:
                    await step()
                except BaseException as error:  # noqa: BLE001 (looked at below)
                    errors.append(error)

    unit = asyncio.create_task(outlast())
    await begun.wait()
    pool = impatient.get_db()
    async with asyncio.timeout(AT_ONCE_SECONDS):
        await impatient.disconnect()
        assert is_closed(held[0])
        over.set()
        with pytest.raises(PersistenceError, match="not connected"):
            await unit
    assert len(errors) == 2
    assert all(isinstance(error, PersistenceError) for error in errors), errors
    assert getattr(pool.sync_engine.pool, "checkedout", int)() == 0
    await impatient.connect()
    with suppress(PersistenceError):  # in memory, there are no tables any more
        assert await impatient.tasks.list_tasks() == ()


async def test_a_unit_that_ends_in_time_is_stored_although_its_backend_disconnects(
    backend: TransactionalBackend, server: Server
) -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def finish() -> None:
        async with backend.transaction() as unit:
            await unit.tasks.save(TASKS.example)
            begun.set()
            await over.wait()
            await unit.tasks.save(TASKS.make(id="2"))

    unit = asyncio.create_task(finish())
    await begun.wait()
    leaving = asyncio.create_task(backend.disconnect())
    await asyncio.sleep(0)
    over.set()
    await asyncio.gather(unit, leaving)
    await backend.connect()
    if server.name != "sqlite-memory":
        assert len(await backend.tasks.list_tasks()) == 2


async def test_a_call_that_waits_for_its_turn_when_the_backend_disconnects_is_told_so(
    impatient: ManagedBackend,
) -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with impatient.transaction() as unit:
            await unit.tasks.save(TASKS.make(id="1"))
            begun.set()
            await over.wait()

    holder = asyncio.create_task(hold())
    await begun.wait()
    saves = [
        asyncio.create_task(impatient.tasks.save(TASKS.make(id="1", title=title)))
        for title in "abc"
    ]
    await asyncio.wait(saves, timeout=0.1)
    leaving = asyncio.create_task(impatient.disconnect())
    results = await asyncio.gather(*saves, return_exceptions=True)
    over.set()
    await asyncio.gather(holder, leaving, return_exceptions=True)  # which may have been too slow
    assert all(isinstance(result, PersistenceError | None) for result in results), results


async def test_a_long_queue_is_not_taken_for_a_long_holder(impatient: ManagedBackend) -> None:
    async def take_a_while(number: int) -> None:
        async with impatient.transaction() as unit:
            await unit.tasks.save(TASKS.make(id=str(number)))
            await asyncio.sleep(SHORT_PATIENCE_SECONDS / 4)

    await asyncio.gather(*map(take_a_while, range(6)))
    assert len(await impatient.tasks.list_tasks()) == 6


@pytest_asyncio.fixture(params=["kept connections", "pool alone"], loop_scope="session")
async def small(
    request: pytest.FixtureRequest, server: Server, migrated_url: str
) -> AsyncIterator[ManagedBackend]:
    """A connected backend with few connections."""
    config = PersistenceConfig.from_url(
        migrated_url
        if shares_a_writer(server)
        else f"{migrated_url}{'&' if '?' in migrated_url else '?'}pool_size=4&max_overflow=0"
    )
    if request.param == "pool alone":
        section = config.section.model_copy(update={"prepared_statements": False})
        config = config.model_copy(update={config.backend: section})
    async with create_backend(config) as backend:
        await server.migrate(backend)
        yield backend


@pytest.mark.parametrize("read_only", [True, False])
async def test_a_database_whose_connections_are_all_in_use_is_healthy(
    small: ManagedBackend, *, read_only: bool
) -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with small.transaction(read_only=read_only) as unit:
            await unit.tasks.list_tasks()
            begun.set()
            await over.wait()

    holders = [asyncio.create_task(hold()) for _ in range(12)]  # more than there are connections
    await begun.wait()
    await asyncio.wait(holders, timeout=0.5)
    assert await asyncio.gather(*(small.health_check() for _ in range(3))) == [True] * 3
    over.set()
    await asyncio.gather(*holders)
    assert checked_out_connections(small) == 0


async def test_a_connection_that_becomes_free_while_its_backend_disconnects_is_closed(
    small: ManagedBackend,
) -> None:
    used: set[Any] = set()

    def handed_out(connection: Any, *_: object) -> None:
        used.add(connection.driver_connection)

    event.listen(small.get_db().sync_engine, "checkout", handed_out)
    begun, over = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with small.transaction(read_only=True, reads="primary") as unit:
            await unit.tasks.list_tasks()
            begun.set()
            await over.wait()

    holders = [asyncio.create_task(hold()) for _ in range(12)]
    await begun.wait()
    await asyncio.wait(holders, timeout=0.5)
    leaving = asyncio.create_task(small.disconnect())
    await asyncio.sleep(0)
    over.set()
    outcomes = await asyncio.gather(*holders, return_exceptions=True)
    await leaving
    assert all(isinstance(outcome, PersistenceError | None) for outcome in outcomes), outcomes
    assert used
    assert all(map(is_closed, used))


def is_closed(connection: Any) -> bool:
    """Tell whether a connection of any driver is closed."""
    if hasattr(connection, "is_open"):
        return not connection.is_open
    if hasattr(connection, "connected"):
        return not connection.connected
    return bool(connection.is_closed() if hasattr(connection, "is_closed") else connection.closed)
