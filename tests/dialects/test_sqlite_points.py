"""Single rows of a SQLite file, read on the event loop's own thread while that is fast."""

import asyncio
import math
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final

import pytest

from synthorg.persistence import PersistenceConnectionError, PersistenceError, UsageError
from synthorg.persistence.sql.drivers import sqlite_points
from synthorg.persistence.sql.drivers.sqlite import SQLitePool
from synthorg.persistence.sql.drivers.sqlite_points import (
    LONGEST_PAUSE,
    READS_IN_A_TURN,
    Pace,
    PointReader,
    Turns,
)
from synthorg.persistence.sqlite import SQLitePersistenceBackend
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import TASKS, USERS, kinds
from tests.conformance.beside import until
from tests.conformance.children import in_child
from tests.dialects.test_sqlite import opened
from tests.dialects.test_sqlite_counts import AT_ONCE, looked_at

SETTINGS: Final = pytest.mark.parametrize("point_reads", ["adaptive", "thread"])
PATIENCE_SECONDS: Final = 20


class Clock:
    """A clock that goes on when it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which reads are timed, on a machine that is never busy."""
    clock = Clock()
    monkeypatch.setattr(sqlite_points, "perf_counter", clock)
    monkeypatch.setattr(sqlite_points, "switches", lambda: (0, 0))
    return clock


def reader_of(backend: SQLitePersistenceBackend) -> PointReader:
    pool = backend.database_for("a test")._driver_pool  # noqa: SLF001
    assert isinstance(pool, SQLitePool)
    assert pool._points is not None  # noqa: SLF001
    return pool._points  # noqa: SLF001


def connection_of(backend: SQLitePersistenceBackend) -> sqlite3.Connection:
    connection = reader_of(backend)._connection  # noqa: SLF001
    assert connection is not None
    return connection


@asynccontextmanager
async def open_file(path: Path, **options: Any) -> AsyncIterator[SQLitePersistenceBackend]:
    async with opened(path, point_reads="adaptive", **options) as backend:
        await backend.tasks.save(TASKS.example)
        yield backend


def test_after_a_slow_read_comes_a_pause_by_what_it_cost() -> None:
    pace = Pace()
    assert pace.allows(0.0)
    pace.note(10.0, 10.0002)
    assert pace.allows(10.0002)
    pace.note(10.0, 10.005)
    assert not pace.allows(10.5)
    assert pace.allows(10.506)
    pace.note(20.0, 20.0003)
    assert not pace.allows(20.03)
    assert pace.allows(20.0304)
    pace.note(20.0, 27.0)
    assert not pace.allows(27.0 + LONGEST_PAUSE - 0.1)
    assert pace.allows(27.0 + LONGEST_PAUSE)


def test_a_read_during_which_others_had_the_processor_tells_nothing() -> None:
    pace = Pace()
    pace.note(0.0, 0.05, preempted=True)
    assert pace.allows(0.05)


async def test_a_task_that_reads_on_and_on_waits_for_the_next_turn_of_the_loop() -> None:
    turns, noted = Turns(), []

    async def read() -> None:
        for _ in range(4 * READS_IN_A_TURN):
            assert await turns.take()
            noted.append("r")

    async def be_there() -> None:
        while len(noted) < 4 * READS_IN_A_TURN:
            noted.append(" ")
            await asyncio.sleep(0)

    await asyncio.gather(read(), be_there())
    in_turns = "".join(noted).split()
    assert sum(map(len, in_turns)) == noted.count("r")
    assert max(map(len, in_turns)) == READS_IN_A_TURN


async def test_a_turn_of_the_loop_has_room_for_few_reads_and_one_may_wait_for_the_next() -> None:
    turns = Turns()
    taken = await asyncio.gather(*(turns.take() for _ in range(4 * READS_IN_A_TURN)))
    assert taken == [True] * (READS_IN_A_TURN + 1) + [False] * (3 * READS_IN_A_TURN - 1)


async def test_a_turn_that_has_taken_long_has_no_room_for_more_reads() -> None:
    turns = Turns()

    async def read_for_long() -> None:
        assert await turns.take()
        turns.end()

    others = (turns.take() for _ in range(READS_IN_A_TURN))
    taken = await asyncio.gather(read_for_long(), *others)
    # One of them waits for the next turn.
    assert taken == [None, True, *[False] * (READS_IN_A_TURN - 1)]


async def test_who_waits_for_the_next_turn_may_be_cancelled() -> None:
    turns = Turns()
    tasks = [asyncio.create_task(turns.take()) for _ in range(READS_IN_A_TURN + 1)]
    await asyncio.sleep(0)
    assert tasks[-1].cancel()
    assert await turns.take() is False
    await asyncio.gather(*tasks, return_exceptions=True)
    assert tasks[-1].cancelled()
    assert await turns.take() is True


async def test_many_that_read_side_by_side_share_a_trip(
    sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_points, "SLOW_SECONDS", math.inf)
    async with looked_at(sqlite_file, monkeypatch, point_reads="adaptive") as observed:
        async with observed.counted() as counts:
            gets = [observed.backend.tasks.get(TASKS.example.id) for _ in range(AT_ONCE)]
            assert await asyncio.gather(*gets) == [TASKS.example] * AT_ONCE
        # The first one goes alone, as it cannot know of the others.
        assert counts.trips == 2


async def test_a_read_that_takes_longer_is_the_last_one_in_its_turn(
    sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_points, "SLOW_SECONDS", math.inf)
    monkeypatch.setattr(sqlite_points, "LONG_SECONDS", -1)
    async with looked_at(sqlite_file, monkeypatch, point_reads="adaptive") as observed:
        async with observed.counted() as counts:
            gets = [observed.backend.tasks.get(TASKS.example.id) for _ in range(3)]
            assert await asyncio.gather(*gets) == [TASKS.example] * 3
        # One of the others waits for the next turn, and the last one goes to a thread.
        assert counts.trips == 1


async def test_a_slow_read_sends_the_next_ones_to_a_thread_until_a_probe_is_fast(
    sqlite_file: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    async with looked_at(sqlite_file, monkeypatch, point_reads="adaptive") as observed:

        async def trips() -> int:
            async with observed.counted() as counts:
                assert await observed.backend.tasks.get(TASKS.example.id) == TASKS.example
            return counts.trips

        def delay() -> None:
            clock.now += 0.0001

        assert await trips() == 0
        connection = connection_of(observed.backend)
        connection.set_progress_handler(delay, 1)
        assert await trips() == 0
        assert await trips() == 1
        clock.now += LONGEST_PAUSE
        assert await trips() == 0  # a probe, which is slow again
        assert await trips() == 1
        connection.set_progress_handler(None, 1)
        assert await trips() == 1
        clock.now += LONGEST_PAUSE
        assert [await trips() for _ in range(3)] == [0, 0, 0]


async def test_while_another_has_the_file_locked_a_thread_waits_and_the_loop_goes_on(
    sqlite_file: Path,
) -> None:
    async with open_file(sqlite_file, wal_mode=False) as backend:
        with closing(sqlite3.connect(sqlite_file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            other.execute("UPDATE tasks SET title = 'of the other'")
            getting = asyncio.create_task(backend.tasks.get(TASKS.example.id))
            await until(lambda: backend.database_for("a test").load.kept.in_use == 1)
            await asyncio.sleep(0)
            assert not getting.done()
            other.execute("COMMIT")
            async with asyncio.timeout(PATIENCE_SECONDS):
                task = await getting
        assert task is not None
        assert task.title == "of the other"


async def test_a_read_keeps_no_writer_waiting(sqlite_file: Path) -> None:
    async with open_file(sqlite_file, wal_mode=False) as backend:
        await backend.tasks.get(TASKS.example.id)
        await backend.tasks.get("unknown")
        with closing(sqlite3.connect(sqlite_file, timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            other.execute("COMMIT")


@SETTINGS
@kinds()
async def test_each_kind_is_read_as_it_was_saved_and_saved_again(
    sqlite_file: Path, kind: Kind, point_reads: str
) -> None:
    async with opened(sqlite_file, point_reads=point_reads) as backend:
        await kind.store(backend, kind.example)
        for get in kind.gets:
            assert await get(backend, kind.example) == kind.example
            assert not await get(backend, kind.keyed("unknown"))


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_what_was_saved_is_seen_at_once_whoever_saved_it(
    sqlite_file: Path, journal: str
) -> None:
    async with open_file(sqlite_file, wal_mode=journal == "wal") as backend:
        with closing(sqlite3.connect(sqlite_file, isolation_level=None)) as other:
            for number in range(50):
                await backend.tasks.save(TASKS.make(title=f"saved {number}"))
                task = await backend.tasks.get(TASKS.example.id)
                assert task is not None
                assert task.title == f"saved {number}"
                other.execute("UPDATE tasks SET title = ?", (f"written {number}",))
                task = await backend.tasks.get(TASKS.example.id)
                assert task is not None
                assert task.title == f"written {number}"


@SETTINGS
async def test_a_task_that_does_nothing_but_read_leaves_others_their_turn(
    sqlite_file: Path, point_reads: str
) -> None:
    async with opened(sqlite_file, point_reads=point_reads) as backend:
        is_over = asyncio.Event()

        async def read() -> None:
            while not is_over.is_set():
                await backend.tasks.get(TASKS.example.id)

        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(read())
            group.create_task(read())
            for _ in range(10):
                await asyncio.sleep(0)
            await asyncio.sleep(0.005)
            is_over.set()


async def test_a_task_that_does_nothing_but_read_can_be_cancelled(sqlite_file: Path) -> None:
    async with open_file(sqlite_file) as backend:

        async def read() -> None:
            while True:
                await backend.tasks.get(TASKS.example.id)

        reading = asyncio.create_task(read())
        await asyncio.sleep(0.005)
        reading.cancel()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(reading, return_exceptions=True)
        assert reading.cancelled()
        assert await backend.tasks.get(TASKS.example.id) == TASKS.example


async def test_closing_while_many_read_tells_them_and_leaves_nothing_open(
    sqlite_file: Path,
) -> None:
    async with open_file(sqlite_file) as backend:
        reader = reader_of(backend)

        async def read() -> None:
            while True:
                assert await backend.tasks.get(TASKS.example.id) == TASKS.example

        reading = [asyncio.create_task(read()) for _ in range(20)]
        await asyncio.sleep(0.005)
        assert reader.is_open
        await backend.disconnect()
        async with asyncio.timeout(PATIENCE_SECONDS):
            results = await asyncio.gather(*reading, return_exceptions=True)
        assert all(isinstance(each, PersistenceConnectionError) for each in results)
        assert not reader.is_open
    assert not sqlite_file.with_name(f"{sqlite_file.name}-wal").exists()


async def test_a_child_is_refused_the_connection_of_its_parent_and_has_its_own(
    sqlite_file: Path,
) -> None:
    async with open_file(sqlite_file) as backend:

        async def read_there() -> object:
            return await backend.tasks.get(TASKS.example.id)

        async def read_anew() -> object:
            async with open_file(sqlite_file) as own:
                assert reader_of(own).is_open
                assert not reader_of(backend).is_open
                task = await own.tasks.get(TASKS.example.id)
                return task == TASKS.example

        assert (await in_child(read_there)).startswith(UsageError.__name__)
        assert await in_child(read_anew) == "True"
        assert await backend.tasks.get(TASKS.example.id) == TASKS.example


async def test_another_event_loop_is_refused_the_connection(sqlite_file: Path) -> None:
    async with open_file(sqlite_file) as backend:

        async def read() -> None:
            await backend.tasks.get(TASKS.example.id)

        with pytest.raises(UsageError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, read())


DAMAGE: Final = {
    "no text": "UPDATE tasks SET title = CAST(x'ff41' AS TEXT)",
    "no such status": "UPDATE tasks SET status = 'unheard of'",
    "no such column": "ALTER TABLE tasks RENAME COLUMN title TO headline",
    "no such table": "ALTER TABLE tasks RENAME TO things",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
async def test_what_cannot_be_read_raises_what_it_raises_from_a_thread(
    sqlite_file: Path, damage: str
) -> None:
    errors = []
    async with open_file(sqlite_file) as adaptive, opened(sqlite_file, point_reads="thread") as one:
        with closing(sqlite3.connect(sqlite_file, isolation_level=None)) as other:
            other.execute("PRAGMA ignore_check_constraints=ON")
            other.execute(damage)
        for backend in (adaptive, one):
            with pytest.raises(PersistenceError) as raised:
                await backend.tasks.get(TASKS.example.id)
            errors.append((type(raised.value), str(raised.value)))
    assert errors[0] == errors[1]


async def test_nothing_can_be_written_on_the_connection(sqlite_file: Path) -> None:
    async with open_file(sqlite_file) as backend:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection_of(backend).execute("DELETE FROM tasks")


async def test_a_row_is_found_by_another_unique_key_without_a_trip(
    sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_points, "SLOW_SECONDS", math.inf)
    async with looked_at(sqlite_file, monkeypatch, point_reads="adaptive") as observed:
        await observed.backend.users.save(USERS.example)
        async with observed.counted() as counts:
            found = await observed.backend.users.get_by_username(USERS.example.username)
        assert found == USERS.example
        assert counts.trips == 0
