"""The fast route of a database in memory, whose one connection all share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any, Final

import pytest

from synthorg.persistence import MigrationError
from synthorg.persistence.sql.drivers.sqlite import ThreadConnection, thread_of
from synthorg.persistence.sqlite import SQLitePersistenceBackend
from synthorg.persistence.testing.kinds import (
    COST_RECORDS,
    HEARTBEATS,
    MESSAGES,
    SETTINGS,
    TASKS,
)
from tests.conformance.beside import until
from tests.dialects.test_sqlite import opened
from tests.dialects.test_sqlite_counts import AT_ONCE, SINGLE_CALLS

POINT_READS: Final = pytest.mark.parametrize("point_reads", ["adaptive", "thread"])


class Trips:
    """How many trips to the thread of a connection there were.

    Attributes:
        count: How many.
    """

    def __init__(self) -> None:
        self.count = 0


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> Trips:
    trips = Trips()
    run = ThreadConnection._execute  # noqa: SLF001 (every trip to a thread goes through it)

    async def counting(connection: ThreadConnection, *arguments: Any, **more: Any) -> Any:
        trips.count += 1
        return await run(connection, *arguments, **more)

    monkeypatch.setattr(ThreadConnection, "_execute", counting)
    return trips


@asynccontextmanager
async def memory(**options: Any) -> AsyncIterator[SQLitePersistenceBackend]:
    """Give a backend in memory with a few records."""
    async with opened(":memory:", **options) as backend:
        await backend.migrate()
        for kind in (TASKS, SETTINGS, COST_RECORDS, MESSAGES, HEARTBEATS):
            await kind.store(backend, kind.example)
        yield backend


@POINT_READS
async def test_a_single_call_is_one_trip_and_one_for_a_row_on_the_loop_is_none(
    trips: Trips, point_reads: str
) -> None:
    async with memory(point_reads=point_reads) as backend:
        taken = {}
        for name, call in SINGLE_CALLS.items():
            trips.count = 0
            await call(backend)
            taken[name] = trips.count
    expected = dict.fromkeys(SINGLE_CALLS, 1)
    if point_reads == "adaptive":
        expected["get"] = 0
    assert taken == expected


@POINT_READS
async def test_calls_that_wait_share_a_trip(trips: Trips, point_reads: str) -> None:
    async with memory(point_reads=point_reads) as backend:
        trips.count = 0
        tasks = [TASKS.keyed(str(number)) for number in range(AT_ONCE)]
        await asyncio.gather(*map(backend.tasks.save, tasks))
        # The first one goes alone, as it cannot know of the others.
        assert trips.count == 2
        trips.count = 0
        gets = [backend.tasks.get(task.id) for task in tasks]
        assert await asyncio.gather(*gets) == tasks
        assert trips.count == 2


@POINT_READS
async def test_a_get_waits_for_the_unit_of_another_task_and_sees_what_that_has_saved(
    point_reads: str,
) -> None:
    saved = TASKS.make(title="saved in a unit")
    async with memory(point_reads=point_reads) as backend:
        async with backend.transaction() as unit:
            await unit.tasks.save(saved)
            # Of its own context, as whoever knows of the unit is refused.
            getting = asyncio.create_task(backend.tasks.get(saved.id), context=Context())
            await until(lambda: backend.database_for("a test").load.shared.waiting == 1)
            assert not getting.done()
        assert await getting == saved


@POINT_READS
async def test_a_task_that_does_nothing_but_get_leaves_others_their_turn(point_reads: str) -> None:
    async with memory(point_reads=point_reads) as backend:

        async def read() -> None:
            while True:
                await backend.tasks.get(TASKS.example.id)

        reading = asyncio.create_task(read())
        for number in range(10):
            await backend.tasks.save(TASKS.keyed(str(number)))
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()


@POINT_READS
async def test_once_the_connection_was_lost_calls_go_to_the_one_in_its_place(
    trips: Trips, point_reads: str
) -> None:
    async with memory(point_reads=point_reads) as backend:
        await backend.tasks.get(TASKS.example.id)
        async with backend.get_db().connect() as connection:
            await (await thread_of(connection)).close()
            await connection.invalidate()
        with pytest.raises(MigrationError, match="migrate"):
            await backend.tasks.get(TASKS.example.id)
        await backend.migrate()
        await backend.tasks.save(TASKS.example)
        trips.count = 0
        assert await backend.tasks.get(TASKS.example.id) == TASKS.example
        assert trips.count == (0 if point_reads == "adaptive" else 1)
