"""Everything that is done is told to observers, once, with the right names and facts."""

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from time import perf_counter
from typing import Any, get_args

import pytest
import pytest_asyncio

from synthorg.entities import Task
from synthorg.persistence import (
    DuplicateRecordError,
    ObservedCall,
    PersistenceConfig,
    TaskStore,
    TransactionConflictError,
    UnitOfWork,
    create_backend,
)
from synthorg.persistence.config import ServerConfig
from synthorg.persistence.observing import What
from synthorg.persistence.retention import Keep, RetentionPolicy, prune
from synthorg.persistence.rollups import roll_up_costs
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.sql.drivers.observation import SECONDS_BETWEEN_QUESTIONS
from synthorg.persistence.sql.repositories.tasks import SQLTaskRepository
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import AUDIT_ENTRIES, COST_RECORDS, MESSAGES, TASKS, kinds
from tests.conformance.beside import beside, until
from tests.conformance.conftest import ROUTES
from tests.conformance.observer import Recorder, arguments, called, methods_of, observed
from tests.conftest import with_parameter
from tests.servers.base import Server


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest_asyncio.fixture(loop_scope="session", params=ROUTES)
async def observed_backend(
    request: pytest.FixtureRequest, server: Server, recorder: Recorder
) -> AsyncIterator[SQLPersistenceBackend]:
    """A connected backend on a migrated database, whose calls the recorder is told."""
    async with observed(server, request.param, recorder) as backend:
        recorder.forget()
        yield backend


def check(call: ObservedCall, backend: SQLPersistenceBackend, kind: Kind, method: str) -> None:
    """Make sure that a call is told by its names."""
    assert (call.what, call.repository, call.operation) == ("call", kind.repository, method)
    assert call.collection == type(getattr(backend, kind.repository)).table.name
    assert call.database.system == backend.backend_name
    assert call.attempts == 1
    assert call.seconds > 0


@kinds()
async def test_each_method_of_each_repository_is_one_call(
    observed_backend: SQLPersistenceBackend, recorder: Recorder, kind: Kind
) -> None:
    repository = getattr(observed_backend, kind.repository)
    await kind.store(observed_backend, kind.example)
    for method in methods_of(repository):
        values = arguments(kind, repository, method)
        recorder.forget()
        await called(repository, method, *values)
        check(recorder.only, observed_backend, kind, method)
        assert recorder.only.error_type is None, method
        assert recorder.only.route is not None


@kinds()
async def test_each_method_in_a_unit_is_one_call_inside_of_it(
    observed_backend: SQLPersistenceBackend, recorder: Recorder, kind: Kind
) -> None:
    await kind.store(observed_backend, kind.example)
    recorder.forget()
    async with observed_backend.transaction() as unit:
        repository = getattr(unit, kind.repository)
        methods = methods_of(repository)
        for method in methods:
            await called(repository, method, *arguments(kind, repository, method))
    calls, (whole,) = recorder.of("call"), recorder.of("unit")
    assert [call.operation for call in calls] == methods
    for call, method in zip(calls, methods, strict=True):
        check(call, observed_backend, kind, method)
        assert call.parent is whole
    assert (whole.operation, whole.error_type, whole.parent) == ("transaction", None, None)
    assert whole.rows_read == sum(call.rows_read for call in calls)
    assert whole.rows_written == sum(call.rows_written for call in calls) > 0
    assert recorder.started[0] is recorder.ended[-1] is whole


def route_of(backend: SQLPersistenceBackend) -> str:
    """Tell by which route single calls go."""
    has_pool = backend.database_for("a test")._driver_pool is not None  # noqa: SLF001
    return "fast" if has_pool else "public"


async def test_a_call_tells_the_rows_that_it_read_and_wrote(
    observed_backend: SQLPersistenceBackend, recorder: Recorder
) -> None:
    records = [TASKS.keyed(str(number)) for number in range(5)]

    async def facts(work: Any) -> tuple[int, int]:
        recorder.forget()
        await work
        return recorder.only.rows_read, recorder.only.rows_written

    tasks = observed_backend.tasks
    assert await facts(tasks.save_many(records)) == (0, 5)
    assert await facts(tasks.save(records[0])) == (0, 1)
    assert await facts(tasks.get("0")) == (1, 0)
    assert await facts(tasks.get("unknown")) == (0, 0)
    assert await facts(tasks.list_tasks()) == (5, 0)
    assert await facts(tasks.delete_many(["1", "2", "unknown"])) == (0, 2)
    assert await facts(tasks.delete("unknown")) == (0, 0)


async def test_a_call_that_fails_tells_the_class_of_its_error(
    observed_backend: SQLPersistenceBackend, recorder: Recorder
) -> None:
    entry = AUDIT_ENTRIES.example
    await observed_backend.audit_entries.save(entry)
    recorder.forget()
    with pytest.raises(DuplicateRecordError):
        await observed_backend.audit_entries.save(entry)
    assert recorder.only.error_type == "DuplicateRecordError"


async def test_a_call_that_is_cancelled_tells_so(
    observed_backend: SQLPersistenceBackend, recorder: Recorder
) -> None:
    task = asyncio.create_task(observed_backend.tasks.save(TASKS.example))
    await until(lambda: bool(recorder.started))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert recorder.only.error_type == "CancelledError"


async def test_a_call_while_disconnected_is_told(
    observed_backend: SQLPersistenceBackend, recorder: Recorder
) -> None:
    await observed_backend.disconnect()
    await called(observed_backend.repositories.tasks, "get", "key")
    assert recorder.only.error_type == "NotConnectedError"
    assert recorder.only.route is None


async def test_a_stream_takes_the_time_of_its_caller_into_no_account(
    observed_backend: SQLPersistenceBackend, recorder: Recorder
) -> None:
    await observed_backend.tasks.save_many([TASKS.keyed("1"), TASKS.keyed("2")])
    recorder.forget()
    began, between = perf_counter(), 0.0
    async for record in observed_backend.tasks.stream():
        asked = perf_counter()
        assert await observed_backend.tasks.get(record.id) == record
        between += perf_counter() - asked
    *gets, stream = recorder.ended
    assert [call.operation for call in gets] == ["get", "get"]
    assert (stream.operation, stream.rows_read, stream.error_type) == ("stream", 2, None)
    assert [call.parent for call in recorder.ended] == [None] * 3
    assert 0 < stream.seconds < perf_counter() - began - between


async def test_a_stream_that_is_left_has_ended_well(
    observed_backend: SQLPersistenceBackend, recorder: Recorder
) -> None:
    await observed_backend.tasks.save_many([TASKS.keyed("1"), TASKS.keyed("2")])
    recorder.forget()
    stream = observed_backend.tasks.stream()
    await anext(stream)
    assert recorder.ended == []
    await stream.aclose()  # type: ignore[attr-defined]
    assert recorder.only.error_type is None


async def test_who_follows_tells_each_time_that_it_looks(
    observed_backend: SQLPersistenceBackend, recorder: Recorder
) -> None:
    await observed_backend.messages.save(MESSAGES.example)
    recorder.forget()
    following = observed_backend.messages.follow()
    assert (await anext(following)).record == MESSAGES.example
    assert recorder.only.operation == "newer_than"
    assert recorder.only.rows_read > 0


async def test_a_unit_that_is_run_again_tells_of_each_attempt(
    observed_backend: SQLPersistenceBackend, recorder: Recorder
) -> None:
    tries = 0

    async def work(unit: UnitOfWork) -> None:
        nonlocal tries
        tries += 1
        await unit.tasks.save(TASKS.example)
        if tries < 3:
            raise TransactionConflictError("met another one")

    await observed_backend.run_in_transaction(work)
    (whole,) = recorder.of("unit")
    attempts, calls = recorder.of("attempt"), recorder.of("call")
    assert (whole.operation, whole.attempts, whole.error_type) == ("run_in_transaction", 3, None)
    assert [attempt.attempts for attempt in attempts] == [1, 2, 3]
    errors = ["TransactionConflictError"] * 2
    assert [attempt.error_type for attempt in attempts] == [*errors, None]
    assert [attempt.parent for attempt in attempts] == [whole] * 3
    assert [call.parent for call in calls] == attempts
    assert whole.route == attempts[-1].route is not None


async def test_a_unit_that_fails_tells_so(
    observed_backend: SQLPersistenceBackend, recorder: Recorder
) -> None:
    async def save_and_fail() -> None:
        async with observed_backend.transaction() as unit:
            await unit.tasks.save(TASKS.example)
            raise LookupError

    with pytest.raises(LookupError):
        await save_and_fail()
    call, whole = recorder.ended
    assert (call.error_type, whole.error_type) == (None, "LookupError")


async def test_calls_that_wait_together_share_a_trip(
    observed_backend: SQLPersistenceBackend, recorder: Recorder
) -> None:
    if route_of(observed_backend) == "public":
        pytest.skip("each call of the public route is alone")
    records = [TASKS.keyed(str(number)) for number in range(9)]
    await asyncio.gather(*[observed_backend.tasks.save(record) for record in records])
    calls, (trip,) = recorder.of("call"), recorder.of("trip")
    first, *others = sorted(calls, key=lambda call: call.trip_calls)
    assert (first.trip, first.trip_calls, first.waited_seconds) == (None, 1, 0)
    for call in others:
        assert (call.trip, call.trip_calls) == (trip, 8)
        assert 0 < call.waited_seconds < call.seconds
    assert (trip.parent, trip.trip_calls, trip.error_type) == (None, 8, None)


async def test_whoever_waits_for_a_unit_tells_how_long(
    observed_backend: SQLPersistenceBackend, recorder: Recorder
) -> None:
    if observed_backend.database_for("a test").load.write_lock_is_held is None:
        pytest.skip("the server lets writers work side by side")
    async with AsyncExitStack() as waiting, observed_backend.transaction() as unit:
        await unit.tasks.save(TASKS.keyed("1"))
        await waiting.enter_async_context(beside(observed_backend.tasks.save(TASKS.keyed("2"))))
        await until(lambda: observed_backend.database_for("a test").load.write_queue == 1)
        await asyncio.sleep(0.05)  # what has to be told
    waited = next(call for call in recorder.of("call") if call.parent is None)
    assert 0.05 < waited.lock_waited_seconds < waited.seconds


async def test_migrations_and_maintenance_are_told(
    observed_backend: SQLPersistenceBackend, recorder: Recorder
) -> None:
    await observed_backend.cost_records.save(COST_RECORDS.example)
    recorder.forget()
    await observed_backend.migrate()
    policy = RetentionPolicy(rules={"heartbeats": Keep(max_age=timedelta(days=1))})
    await prune(observed_backend, policy)
    await roll_up_costs(observed_backend)
    told = [(call.what, call.operation) for call in recorder.ended]
    assert told == [
        ("migration", "migrate"),
        ("maintenance", "prune"),
        ("maintenance", "roll_up_costs"),
    ]


async def test_an_observer_that_fails_harms_no_call_and_is_told_once(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Recorder):
        def is_idle(self) -> bool:
            raise RuntimeError("of the observer")

        def call_started(self, call: ObservedCall, /) -> bool:
            super().call_started(call)
            raise RuntimeError("of the observer")

        def call_ended(self, call: ObservedCall, /) -> None:
            super().call_ended(call)
            raise RuntimeError("of the observer")

    recorder = Recorder()
    async with observed(server, "fast", Broken(), recorder) as backend:
        await backend.tasks.save(TASKS.example)
        for _ in range(2):
            async with backend.transaction() as unit:
                assert await unit.tasks.get(TASKS.example.id) == TASKS.example
    assert [call.operation for call in recorder.of("call")] == ["save", "get", "get"]
    (told,) = [vars(record) for record in caplog.records if record.levelname == "WARNING"]
    assert (told["event"], told["observer"], told["error"]) == (
        "observer_failed",
        "Broken",
        "RuntimeError",
    )


class Pausing(Recorder):
    """A `Recorder` that is idle at times."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses = True

    def is_idle(self) -> bool:
        """Tell whether it is."""
        return self.pauses


async def use(backend: SQLPersistenceBackend, tasks: TaskStore) -> None:
    """Do one thing of each kind: two calls, a stream, and a unit of each sort with a call in it."""

    async def work(unit: UnitOfWork) -> None:
        assert await unit.tasks.get(TASKS.example.id) == TASKS.example

    await tasks.save(TASKS.example)
    assert await tasks.get(TASKS.example.id) == TASKS.example
    assert [record async for record in tasks.stream()] == [TASKS.example]
    async with backend.transaction() as unit:
        await work(unit)
    await backend.run_in_transaction(work)


EVERYTHING = [
    ("call", "save"),
    ("call", "get"),
    ("call", "stream"),
    ("call", "get"),
    ("unit", "transaction"),
    ("call", "get"),
    ("attempt", "transaction"),
    ("unit", "run_in_transaction"),
]


@pytest.mark.parametrize("route", ROUTES)
async def test_an_idle_observer_is_told_nothing_until_it_is_idle_no_more(
    server: Server, route: str
) -> None:
    pausing = Pausing()
    async with observed(server, route, pausing) as backend:
        tasks = backend.repositories.tasks  # which are kept
        await use(backend, tasks)
        assert pausing.started == pausing.ended == []
        pausing.pauses = False
        await asyncio.sleep(2 * SECONDS_BETWEEN_QUESTIONS)
        await use(backend, tasks)
    assert [(call.what, call.operation) for call in pausing.of(*get_args(What))] == EVERYTHING


class CountingTasks(SQLTaskRepository):
    """Tasks that remember how often one was asked for."""

    asked = 0

    async def get(self, key: str) -> Task | None:
        """Get a task, and count."""
        self.asked += 1
        return await super().get(key)


async def test_what_a_repository_remembers_is_the_same_whether_its_calls_are_observed_or_not(
    server: Server,
) -> None:
    pausing = Pausing()
    async with observed(server, "fast", pausing) as backend:
        tasks = backend.repository(CountingTasks)
        await tasks.get("key")
        pausing.pauses = False
        await asyncio.sleep(2 * SECONDS_BETWEEN_QUESTIONS)
        await tasks.get("key")
        assert tasks.asked == 2
    assert pausing.only.repository == "CountingTasks"


async def test_a_method_that_is_observed_is_seen_to_be_asynchronous(server: Server) -> None:
    is_asynchronous = (
        asyncio.iscoroutinefunction if sys.version_info < (3, 12) else inspect.iscoroutinefunction
    )
    async with observed(server, "fast", Recorder()) as backend:
        assert is_asynchronous(backend.tasks.get)
        assert inspect.isasyncgenfunction(backend.tasks.stream)


async def test_an_idle_observer_is_told_all_the_same_beside_one_that_never_is(
    server: Server,
) -> None:
    pausing, recorder = Pausing(), Recorder()
    async with observed(server, "fast", pausing, recorder) as backend:
        recorder.forget()
        pausing.forget()
        await use(backend, backend.repositories.tasks)
    assert [(call.what, call.operation) for call in recorder.ended] == EVERYTHING
    assert pausing.ended == recorder.ended


@pytest.mark.parametrize("route", ROUTES)
async def test_who_declines_what_begins_hears_no_more_of_it_and_others_do(
    server: Server, route: str
) -> None:
    declining, recorder = Recorder(wants=["unit"]), Recorder()
    async with observed(server, route, declining) as alone:
        declining.forget()
        await use(alone, alone.repositories.tasks)
    assert len(declining.started) == len(EVERYTHING)
    assert [call.what for call in declining.ended] == ["unit"] * 2
    assert [call.rows_read for call in declining.ended] == [1, 1]
    async with observed(server, route, declining, recorder) as both:
        declining.forget()
        recorder.forget()
        await use(both, both.repositories.tasks)
    assert [(call.what, call.operation) for call in recorder.of(*get_args(What))] == EVERYTHING
    assert [call.what for call in declining.ended] == ["unit"] * 2


async def test_the_database_is_named_as_its_server_is_configured(
    observed_backend: SQLPersistenceBackend, recorder: Recorder
) -> None:
    await observed_backend.tasks.get("key")
    database = recorder.only.database
    assert database.system in ("sqlite", "postgresql", "mariadb")
    assert database.namespace
    config = observed_backend._dialect._config  # noqa: SLF001
    if isinstance(config, ServerConfig):
        assert database.server_address == config.host
    else:
        assert (database.server_address, database.server_port) == (None, None)


async def test_a_prefix_is_part_of_the_name_of_a_table(server: Server) -> None:
    recorder = Recorder()
    with server.empty_database() as url:
        config = PersistenceConfig.from_url(with_parameter(url, "table_prefix=app_"))
        async with create_backend(config, observers=[recorder], migrate=True) as backend:
            recorder.forget()
            await backend.tasks.get("key")
    assert recorder.only.collection == "app_tasks"
