"""What calls cost on SQLite, in counts that do not depend on the clock."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from synthorg.persistence.sql.drivers import sqlite_points
from synthorg.persistence.sql.drivers.batching import CALLS_AT_ONCE
from synthorg.persistence.sql.drivers.sqlite import ThreadConnection
from synthorg.persistence.sql.statements.prepared_statement import PreparedStatement
from synthorg.persistence.sqlite import SQLitePersistenceBackend
from synthorg.persistence.testing.kinds import (
    COST_RECORDS,
    HEARTBEATS,
    MESSAGES,
    MOMENT,
    SETTINGS,
    TASKS,
)
from tests.dialects.test_sqlite import connections, opened

AT_ONCE: Final = 64

Call = Callable[[SQLitePersistenceBackend], Awaitable[Any]]

SINGLE_CALLS: Final[dict[str, Call]] = {
    "save": lambda backend: backend.tasks.save(TASKS.example),
    "append": lambda backend: backend.cost_records.save(COST_RECORDS.example),
    "get": lambda backend: backend.tasks.get(TASKS.example.id),
    "get_many": lambda backend: backend.tasks.get_many([TASKS.example.id, "another"]),
    "delete": lambda backend: backend.heartbeats.delete("nobody's"),
    "list": lambda backend: backend.tasks.list_tasks(project=TASKS.example.project),
    "newest": lambda backend: backend.messages.get_history("general", limit=50),
    "page": lambda backend: backend.tasks.page(limit=10),
    "sum": lambda backend: backend.cost_records.aggregate(agent_id="nobody"),
    "totals": lambda backend: backend.cost_records.totals(["model", "day"]),
    "stale": lambda backend: backend.heartbeats.get_stale(MOMENT),
    "compare-and-swap": lambda backend: backend.settings.set(
        "limits", "daily", "1", "later", expected_updated_at="now"
    ),
}


class Counts:
    """What is done on some connections: trips to their threads, statements, steps of SQLite."""

    def __init__(self) -> None:
        self.trips = 0
        self.statements: Counter[str] = Counter()
        self.steps = 0
        self._last: tuple[int, str] | None = None

    def note(self, statement: str) -> None:
        """Count a statement by its first word, but not for each trigger that it fires."""
        noted = (self.trips, statement)
        if noted == self._last:  # sqlite3 tells of the program of a trigger by the same text
            return
        self._last = noted
        self.statements[statement.split(maxsplit=1)[0]] += 1

    def step(self) -> None:
        """Count an instruction of SQLite's virtual machine."""
        self.steps += 1


class Observed:
    """A backend whose connections are looked at.

    Args:
        backend: The backend.
        threads: Its connections.
        counts: Where trips are counted.
    """

    def __init__(
        self, backend: SQLitePersistenceBackend, threads: list[ThreadConnection], counts: Counts
    ) -> None:
        self.backend = backend
        self._threads = threads
        self._counts = counts

    @asynccontextmanager
    async def counted(self) -> AsyncIterator[Counts]:
        """Count what is done meanwhile, from 0."""
        counts = self._counts
        for thread in self._threads:
            await thread.set_trace_callback(counts.note)
            await thread.set_progress_handler(counts.step, 1)
        counts.trips, counts.steps = 0, 0
        counts.statements.clear()
        yield counts
        trips = counts.trips
        for thread in self._threads:
            await thread.set_trace_callback(None)  # type: ignore[arg-type]
            await thread.set_progress_handler(None, 1)  # type: ignore[arg-type]
        counts.trips = trips


@asynccontextmanager
async def looked_at(
    sqlite_file: Path, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> AsyncIterator[Observed]:
    """Give a backend with a few records, whose connections are looked at."""
    counts = Counts()
    run = ThreadConnection._execute  # noqa: SLF001 (every trip to a thread goes through it)

    async def counting(connection: ThreadConnection, *arguments: Any, **more: Any) -> Any:
        counts.trips += 1
        return await run(connection, *arguments, **more)

    monkeypatch.setattr(ThreadConnection, "_execute", counting)
    with connections() as made:
        async with opened(sqlite_file, **options) as backend:
            for kind in (TASKS, SETTINGS, COST_RECORDS, MESSAGES, HEARTBEATS):
                await kind.store(backend, kind.example)
            threads = [each.driver_connection for each in made]
            yield Observed(backend, threads, counts)


@pytest.fixture
async def observed(sqlite_file: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Observed]:
    """A backend that does everything on threads."""
    async with looked_at(sqlite_file, monkeypatch, point_reads="thread") as observed:
        yield observed


@pytest.mark.parametrize("call", SINGLE_CALLS.values(), ids=SINGLE_CALLS.keys())
async def test_a_single_call_is_one_trip_with_one_statement(observed: Observed, call: Call) -> None:
    async with observed.counted() as counts:
        await call(observed.backend)
    assert counts.trips == 1
    assert counts.statements.total() == 1


async def test_reading_one_row_on_the_loop_takes_no_trip_and_all_else_takes_one(
    sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_points, "SLOW_SECONDS", math.inf)  # the machine may be busy
    async with looked_at(sqlite_file, monkeypatch, point_reads="adaptive") as observed:
        trips = {}
        for name, call in SINGLE_CALLS.items():
            async with observed.counted() as counts:
                await call(observed.backend)
            trips[name] = counts.trips
    assert trips == {**dict.fromkeys(SINGLE_CALLS, 1), "get": 0}


async def test_saves_that_wait_share_a_trip_and_a_commit(observed: Observed) -> None:
    tasks = [TASKS.make(id=str(number)) for number in range(AT_ONCE)]
    async with observed.counted() as counts:
        await asyncio.gather(*map(observed.backend.tasks.save, tasks))
    # The first one goes alone, as it cannot know of the others.
    assert counts.trips == 2
    assert counts.statements == {"BEGIN": 1, "INSERT": AT_ONCE, "COMMIT": 1}


async def test_no_trip_keeps_its_first_caller_waiting_for_any_number_of_others(
    observed: Observed,
) -> None:
    tasks = [TASKS.make(id=str(number)) for number in range(1 + 2 * CALLS_AT_ONCE + 1)]
    async with observed.counted() as counts:
        await asyncio.gather(*map(observed.backend.tasks.save, tasks))
    assert counts.trips == 4  # the first one alone, two full ones, and the last


async def test_a_save_that_fails_costs_the_others_no_commit(observed: Observed) -> None:
    messages = [MESSAGES.keyed(str(number)) for number in range(AT_ONCE)]
    async with observed.counted() as counts:
        results = await asyncio.gather(
            *(observed.backend.messages.save(each) for each in [*messages, messages[7]]),
            return_exceptions=True,
        )
    assert [place for place, result in enumerate(results) if result is not None] == [AT_ONCE]
    assert counts.trips == 2
    assert counts.statements == {"BEGIN": 1, "INSERT": AT_ONCE + 1, "COMMIT": 1}


@pytest.mark.parametrize("call", [SINGLE_CALLS["get"], SINGLE_CALLS["save"]], ids=["get", "save"])
async def test_callers_that_come_back_at_once_go_on_sharing_trips(
    observed: Observed, call: Call
) -> None:
    rounds = 10

    async def come_back() -> None:
        for _ in range(rounds):
            await call(observed.backend)

    async with observed.counted() as counts:
        await asyncio.gather(*(come_back() for _ in range(AT_ONCE)))
    assert counts.trips <= rounds + 2


async def test_a_unit_of_work_is_a_trip_for_each_call_and_one_to_commit(
    observed: Observed,
) -> None:
    async with observed.counted() as counts, observed.backend.transaction() as unit:
        task = await unit.tasks.get(TASKS.example.id)
        assert task is not None
        await unit.tasks.save(task)
        await unit.messages.save(MESSAGES.keyed("a new one"))
        await unit.cost_records.save(COST_RECORDS.example)
    assert counts.trips == 5
    assert counts.statements == {"BEGIN": 1, "SELECT": 1, "INSERT": 3, "COMMIT": 1}


async def test_a_unit_of_work_that_does_nothing_asks_for_nothing(observed: Observed) -> None:
    async with observed.counted() as counts, observed.backend.transaction():
        pass
    assert counts.trips == 0


async def test_bulk_writes_take_a_trip_for_hundreds_of_records(observed: Observed) -> None:
    async with observed.counted() as counts:
        await observed.backend.tasks.save_many(TASKS.make(id=str(each)) for each in range(1557))
    assert counts.trips <= 7
    # Three of 500 rows and one of 50; of the seven that are left, each is one.
    assert counts.statements["INSERT"] == 3 + 1 + 7
    assert [
        await observed.backend.tasks.get(str(each)) for each in (0, 499, 500, 1549, 1550, 1556)
    ] == [TASKS.make(id=str(each)) for each in (0, 499, 500, 1549, 1550, 1556)]
    assert counts.statements["BEGIN"] == counts.statements["COMMIT"] == 1


async def test_a_statement_is_compiled_once(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    prepare = PreparedStatement.__init__

    def noting(prepared: PreparedStatement, statement: Any, *arguments: Any) -> None:
        compiled.append(statement)
        prepare(prepared, statement, *arguments)

    monkeypatch.setattr(PreparedStatement, "__init__", noting)
    for call in SINGLE_CALLS.values():
        await call(observed.backend)
    once = len(compiled)
    assert once
    for call in SINGLE_CALLS.values():
        await call(observed.backend)
    assert len(compiled) == once


async def test_the_work_of_a_query_does_not_grow_with_the_table(observed: Observed) -> None:
    backend = observed.backend
    cost: dict[str, list[int]] = {}
    for before, size in ((0, 200), (200, 2000)):
        await backend.tasks.save_many(
            TASKS.make(id=f"{number:05}", project="all") for number in range(size)
        )
        await backend.messages.save_many(
            MESSAGES.altered(MESSAGES.keyed(str(number)), channel="all")
            for number in range(before, size)
        )
        await backend.heartbeats.save_many(
            HEARTBEATS.altered(HEARTBEATS.keyed(str(number)), last_heartbeat_at=MOMENT)
            for number in range(size)
        )
        middle = (await backend.tasks.page(project="all", limit=size // 2)).next_cursor
        questions: dict[str, Call] = {
            "get": lambda backend: backend.tasks.get("00100"),
            "first page": lambda backend: backend.tasks.page(project="all", limit=20),
            "far page": lambda backend, middle=middle: backend.tasks.page(  # type: ignore[misc]
                project="all", limit=20, after=middle
            ),
            "newest": lambda backend: backend.messages.get_history("all", limit=20),
            "stale": lambda backend: backend.heartbeats.get_stale(MOMENT),
        }
        for name, question in questions.items():
            async with observed.counted() as counts:
                await question(backend)
            cost.setdefault(name, []).append(counts.steps)
    assert {name: steps for name, (steps, more) in cost.items() if more > steps} == {}
    assert min(map(min, cost.values())) > 0
    assert cost["far page"][0] < cost["first page"][0] * 1.5
