"""Spans and metrics of everything that is done, on every database and route."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from types import FrameType
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry import metrics, trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased
from opentelemetry.trace import NoOpTracerProvider, SpanKind, StatusCode

from synthorg.persistence import (
    DuplicateRecordError,
    LoadObserver,
    Observer,
    PausingObserver,
    PersistenceConfig,
    TransactionConflictError,
    UnitOfWork,
    create_backend,
)
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.telemetry import SECONDS_BETWEEN_LOOKS, OpenTelemetryObserver
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import AUDIT_ENTRIES, TASKS, kinds
from tests.conformance.beside import until
from tests.conformance.children import in_child
from tests.conformance.conftest import ROUTES
from tests.conformance.observer import Recorder, arguments, called, methods_of, observed
from tests.servers.base import Server


class Exported:
    """What a backend has exported, in memory."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meter_provider = MeterProvider([self._reader])
        self.observer = OpenTelemetryObserver(self.tracer_provider, self.meter_provider)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """All spans that have ended."""
        return self._spans.get_finished_spans()

    def named(self, *names: str) -> list[ReadableSpan]:
        """Give the spans of some names."""
        return [span for span in self.spans if span.name in names]

    def forget(self) -> None:
        """Begin anew; metrics go on."""
        self._spans.clear()

    def points(self, name: str) -> list[Any]:
        """Give the data points of a metric."""
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in ([] if data is None else data.resource_metrics)
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Give all metrics by name."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: metric
            for resource in ([] if data is None else data.resource_metrics)
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def exported() -> Exported:
    return Exported()


@pytest_asyncio.fixture(loop_scope="session", params=ROUTES)
async def traced(
    request: pytest.FixtureRequest, server: Server, exported: Exported
) -> AsyncIterator[SQLPersistenceBackend]:
    """A connected backend on a migrated database, whose spans are exported."""
    async with observed(server, request.param, exported.observer) as backend:
        exported.forget()
        yield backend


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    """Give the attributes of a span."""
    return dict(span.attributes or {})


def is_inside(span: ReadableSpan, outer: ReadableSpan) -> bool:
    """Tell whether a span is a child of another."""
    assert outer.context is not None
    return span.parent is not None and span.parent.span_id == outer.context.span_id


@kinds()
async def test_each_method_of_each_repository_is_one_span(
    traced: SQLPersistenceBackend, exported: Exported, kind: Kind
) -> None:
    repository = getattr(traced, kind.repository)
    await kind.store(traced, kind.example)
    for method in methods_of(repository):
        exported.forget()
        await called(repository, method, *arguments(kind, repository, method))
        (span,) = [each for each in exported.spans if each.name != "trip"]
        table = type(repository).table.name
        assert (span.name, span.kind) == (f"{method} {table}", SpanKind.CLIENT)
        attributes = attributes_of(span)
        database = traced._dialect.observed  # noqa: SLF001
        assert attributes["db.system.name"] == traced.backend_name
        assert attributes["db.namespace"] == database.namespace
        assert attributes["db.operation.name"] == method
        assert attributes["db.collection.name"] == table
        assert attributes.get("server.address") == database.server_address
        assert attributes.get("server.port") == database.server_port
        assert attributes["synthorg.db.route"] in ROUTES
        assert "error.type" not in attributes
        trips = exported.named("trip")
        assert all(is_inside(trip, span) for trip in trips)
        # A record of a SQLite file may be read on the event loop's own thread.
        needs_none = traced.backend_name == "sqlite" and method.startswith("get")
        is_public = attributes["synthorg.db.route"] == "public"
        assert trips or is_public or "many" in method or needs_none


async def test_calls_are_inside_their_unit_and_it_is_inside_of_what_the_program_does(
    traced: SQLPersistenceBackend, exported: Exported
) -> None:
    tracer = exported.tracer_provider.get_tracer("a program")
    with tracer.start_as_current_span("program"):
        async with traced.transaction() as unit:
            await unit.tasks.save(TASKS.example)
            with tracer.start_as_current_span("step"):
                await unit.tasks.get(TASKS.example.id)
        await traced.tasks.get(TASKS.example.id)
    assert not trace.get_current_span().get_span_context().is_valid
    spans = {span.name: span for span in exported.spans if span.name != "trip"}
    program, whole = spans["program"], spans["transaction"]
    assert is_inside(whole, program)
    assert is_inside(spans["save tasks"], whole)
    assert is_inside(spans["step"], whole)
    inside, outside = exported.named("get tasks")
    assert is_inside(inside, spans["step"])
    assert is_inside(outside, program)


async def test_a_unit_that_is_run_again_has_a_span_for_each_attempt(
    traced: SQLPersistenceBackend, exported: Exported
) -> None:
    tries = 0

    async def work(unit: UnitOfWork) -> None:
        nonlocal tries
        tries += 1
        await unit.tasks.save(TASKS.example)
        if tries < 2:
            raise TransactionConflictError("met another one")

    await traced.run_in_transaction(work)
    (whole,) = exported.named("run_in_transaction")
    first, second = exported.named("transaction")
    assert is_inside(first, whole)
    assert is_inside(second, whole)
    assert attributes_of(first)["error.type"] == "TransactionConflictError"
    assert [span.status.status_code for span in (first, second, whole)] == [
        StatusCode.ERROR,
        StatusCode.UNSET,
        StatusCode.UNSET,
    ]
    assert attributes_of(whole)["synthorg.db.attempts"] == 2
    (retries,) = exported.points("synthorg.db.retries")
    assert retries.value == 1


async def test_a_call_that_fails_has_its_error_and_no_text(
    traced: SQLPersistenceBackend, exported: Exported
) -> None:
    entry = AUDIT_ENTRIES.example
    await traced.audit_entries.save(entry)
    exported.forget()
    with pytest.raises(DuplicateRecordError):
        await traced.audit_entries.save(entry)
    (span,) = exported.named("save audit_entries")
    assert attributes_of(span)["error.type"] == "DuplicateRecordError"
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert span.events == ()


async def test_a_call_that_is_cancelled_has_a_span(
    traced: SQLPersistenceBackend, exported: Exported
) -> None:
    task = asyncio.create_task(traced.tasks.save(TASKS.example))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: bool(exported.named("save tasks")))
    (span,) = exported.named("save tasks")
    assert attributes_of(span)["error.type"] == "CancelledError"


async def test_calls_that_share_a_trip_are_linked_to_it(
    traced: SQLPersistenceBackend, exported: Exported
) -> None:
    if traced.database_for("a test")._driver_pool is None:  # noqa: SLF001
        pytest.skip("each call of the public route is alone")
    records = [TASKS.keyed(str(number)) for number in range(9)]
    await asyncio.gather(*[traced.tasks.save(record) for record in records])
    calls = exported.named("save tasks")
    trips = {attributes_of(trip)["synthorg.db.trip.calls"]: trip for trip in exported.named("trip")}
    assert set(trips) == {1, 8}
    shared = trips[8]
    (first,) = [call for call in calls if is_inside(shared, call)]
    linked = [call for call in calls if call.links]
    assert len(linked) == 7
    assert first not in linked
    assert {link.context.span_id for call in linked for link in call.links} == {
        shared.context.span_id if shared.context else None
    }
    assert {link.context.span_id for link in shared.links} == {
        call.context.span_id for call in linked if call.context
    }
    (point,) = exported.points("synthorg.db.trip.calls")
    assert (point.count, point.sum) == (1, 8)


async def test_a_stream_is_not_the_parent_of_what_its_caller_does(
    traced: SQLPersistenceBackend, exported: Exported
) -> None:
    await traced.tasks.save_many([TASKS.keyed("1"), TASKS.keyed("2")])
    exported.forget()
    async for record in traced.tasks.stream():
        await traced.tasks.get(record.id)
    gets = exported.named("get tasks")
    assert [span.parent for span in gets] == [None, None]
    (stream,) = exported.named("stream tasks")
    assert attributes_of(stream)["synthorg.db.rows.read"] == 2


async def test_metrics_count_what_was_done(
    traced: SQLPersistenceBackend, exported: Exported
) -> None:
    await traced.tasks.save_many([TASKS.keyed("1"), TASKS.keyed("2")])
    await traced.tasks.list_tasks()
    durations = {
        point.attributes["db.operation.name"]: point
        for point in exported.points("db.client.operation.duration")
    }
    assert {"save_many", "list_tasks"} <= durations.keys()
    assert durations["list_tasks"].count == 1
    assert 0 < durations["list_tasks"].sum < 60
    assert tuple(durations["list_tasks"].explicit_bounds) == (
        *(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0),
    )
    (read,) = exported.points("synthorg.db.rows.read")
    (written,) = exported.points("synthorg.db.rows.written")
    assert (read.value, written.value) == (2, 2)


async def test_gauges_tell_what_is_under_way(
    traced: SQLPersistenceBackend, exported: Exported
) -> None:
    def by_state() -> dict[str, int]:
        points = exported.points("db.client.connection.count")
        return {point.attributes["db.client.connection.state"]: point.value for point in points}

    async with traced.transaction() as unit:
        await unit.tasks.save(TASKS.example)
        assert by_state()["used"] == 1
        (age,) = exported.points("synthorg.db.unit.oldest_age")
        assert age.value > 0
    assert by_state()["used"] == 0
    (limit,) = exported.points("db.client.connection.max")
    assert limit.value >= sum(by_state().values())
    for name in ("db.client.connection.pending_requests", "synthorg.db.write_queue"):
        (point,) = exported.points(name)
        assert point.value == 0
    await traced.disconnect()
    assert exported.points("db.client.connection.max") == []


async def test_what_is_not_sampled_is_counted_all_the_same(server: Server) -> None:
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider(sampler=TraceIdRatioBased(0))
    provider.add_span_processor(SimpleSpanProcessor(spans))
    observer = OpenTelemetryObserver(provider, MeterProvider([reader]))
    recorder = Recorder()
    async with observed(server, "fast", observer, recorder) as backend:
        await backend.tasks.save(TASKS.example)
    assert spans.get_finished_spans() == ()
    assert recorder.of("trip") == []
    assert reader.get_metrics_data() is not None


async def test_without_a_provider_nothing_is_recorded_and_nothing_fails(server: Server) -> None:
    observer = OpenTelemetryObserver()
    async with observed(server, "fast", observer) as backend:
        await backend.tasks.save(TASKS.example)
        assert await backend.tasks.get(TASKS.example.id) == TASKS.example
    assert observer.is_idle()


async def functions_of(backend: SQLPersistenceBackend) -> int:
    """Count the functions of this library that a call calls, at best of some calls."""
    functions: list[int] = []

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and "/synthorg/" in frame.f_code.co_filename:
            functions[-1] += 1

    for _ in range(10):
        functions.append(0)
        sys.setprofile(count)
        try:
            await backend.tasks.get("key")
        finally:
            sys.setprofile(None)
    return min(functions)


async def test_without_a_provider_a_call_takes_one_step_more_than_without_an_observer(
    server: Server,
) -> None:
    async with (
        observed(server, "fast") as alone,
        observed(server, "fast", OpenTelemetryObserver()) as idle,
    ):
        assert 0 < await functions_of(idle) <= await functions_of(alone) + 1


async def test_a_provider_that_is_set_up_later_gets_what_is_done_from_then_on(
    server: Server,
) -> None:
    async def use(url: str) -> Sequence[object]:
        exported = Exported()
        observer = OpenTelemetryObserver()
        config = PersistenceConfig.from_url(url)
        async with create_backend(config, observers=[observer], migrate=True) as backend:
            tasks = backend.repositories.tasks
            await tasks.save(TASKS.example)
            trace.set_tracer_provider(exported.tracer_provider)
            await asyncio.sleep(2 * SECONDS_BETWEEN_LOOKS)
            await tasks.get(TASKS.example.id)
            spans = [span.name for span in exported.spans if span.name != "trip"]
            metrics.set_meter_provider(exported.meter_provider)
            await asyncio.sleep(2 * SECONDS_BETWEEN_LOOKS)
            await tasks.list_tasks()
            points = exported.points("db.client.operation.duration")
        return [*spans, *(point.attributes["db.operation.name"] for point in points)]

    with server.migrated_database() as url:
        assert await in_child(lambda: use(url)) == "['get tasks', 'list_tasks']"


@pytest.mark.parametrize(
    ("tracers", "meters", "is_idle"),
    [
        (None, None, True),
        (NoOpTracerProvider(), NoOpMeterProvider(), True),
        (trace.get_tracer_provider(), metrics.get_meter_provider(), True),
        (TracerProvider(), None, False),
        (None, MeterProvider(), False),
    ],
)
def test_it_is_idle_while_there_is_no_provider(
    tracers: trace.TracerProvider | None, meters: metrics.MeterProvider | None, *, is_idle: bool
) -> None:
    observer = OpenTelemetryObserver(tracers, meters)
    assert isinstance(observer, PausingObserver)
    assert observer.is_idle() is is_idle


@pytest.mark.parametrize("route", ROUTES)
async def test_what_is_measured_and_not_traced_is_counted(server: Server, route: str) -> None:
    reader = InMemoryMetricReader()
    observer = OpenTelemetryObserver(NoOpTracerProvider(), MeterProvider([reader]))
    async with observed(server, route, observer) as backend:
        await backend.tasks.save(TASKS.example)
        async with backend.transaction() as unit:
            await unit.tasks.get(TASKS.example.id)
    data = reader.get_metrics_data()
    assert data is not None
    counts = {
        metric.name: sum(getattr(point, "count", 0) for point in metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert counts["db.client.operation.duration"] == 2
    assert counts["synthorg.db.unit.duration"] == 1


@pytest.mark.parametrize("route", ROUTES)
async def test_nothing_inside_of_what_is_not_sampled_has_a_span(server: Server, route: str) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(0), local_parent_sampled=ALWAYS_ON)
    )
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = provider.get_tracer("a program")
    observer = OpenTelemetryObserver(provider, NoOpMeterProvider())
    async with observed(server, route, observer) as backend:
        with tracer.start_as_current_span("program"):
            await backend.tasks.save(TASKS.example)
        async with backend.transaction() as unit:
            await unit.tasks.get(TASKS.example.id)
            with tracer.start_as_current_span("step"):
                assert await unit.tasks.get(TASKS.example.id) == TASKS.example
        assert not trace.get_current_span().get_span_context().is_valid
    assert spans.get_finished_spans() == ()


def test_it_is_an_observer_that_asks_for_the_load(exported: Exported) -> None:
    assert isinstance(exported.observer, Observer)
    assert isinstance(exported.observer, LoadObserver)
