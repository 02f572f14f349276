"""Spans and metrics by OpenTelemetry, in the words of its conventions for databases.

It needs the extra `otel`, and is one of the `observers` that `create_backend` takes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic
from typing import Final

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.metrics import (
    CallbackOptions,
    Histogram,
    Meter,
    MeterProvider,
    NoOpMeter,
    Observation,
    get_meter,
    get_meter_provider,
)
from opentelemetry.trace import (
    INVALID_SPAN,
    NoOpTracer,
    ProxyTracerProvider,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    TracerProvider,
    get_current_span,
    get_tracer_provider,
    set_span_in_context,
)

from synthorg.persistence.observing import DatabaseLoad, ObservedCall, ObservedDatabase

SCOPE: Final = "synthorg.persistence"
"""The instrumentation scope of all spans and metrics."""

SECONDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""The boundaries that the conventions advise for durations."""

POOL: Final = "db.client.connection.pool.name"

CALLS: Final = (1, 2, 4, 8, 16, 32, 64, 128)
"""The boundaries for the calls that share a trip."""

SECONDS_BETWEEN_LOOKS: Final = 0.01
"""How long a provider may be there unnoticed: to look for it takes longer than all else."""

COUNTERS: Final = {
    "synthorg.db.retries": ("{attempt}", "Attempts after the first, at calls and units"),
    "synthorg.db.given_up": ("{call}", "Calls and units that ended with a conflict with others"),
    "synthorg.db.rows.read": ("{row}", "Rows read"),
    "synthorg.db.rows.written": ("{row}", "Rows inserted, replaced, changed or deleted"),
}
"""What is counted here and told when it is collected, which costs a call less."""

Attributes = Mapping[str, str | int | float]
Load = Callable[[], DatabaseLoad | None]


class OpenTelemetryObserver:
    """`Observer` that makes spans and metrics; one may serve any number of backends.

    No span or metric has a value, a key or SQL.

    Args:
        tracer_provider: Where spans go; None for the global one, which may be set later.
        meter_provider: Where metrics go; likewise.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._tracer_provider = None if _is_proxy(tracer_provider) else tracer_provider
        self._meter_provider = None if _is_proxy(meter_provider) else meter_provider
        self._tracer: Tracer | None = None
        self._measures = False
        self._awaits_tracer = self._awaits_meter = True
        self._series: dict[tuple[object, ...], _Series] = {}
        self._databases: list[ObservedDatabase] = []
        self._loads: list[tuple[str, Load]] = []
        self._make_instruments(get_meter(SCOPE, meter_provider=meter_provider))
        self._look()

    def _make_instruments(self, meter: Meter) -> None:
        def seconds(name: str, description: str) -> Histogram:
            return meter.create_histogram(
                name, "s", description, explicit_bucket_boundaries_advisory=SECONDS
            )

        self._duration = seconds(
            "db.client.operation.duration", "How long callers waited for calls of repositories"
        )
        self._connection_wait = seconds(
            "db.client.connection.wait_time",
            "How long calls waited for a connection, of those that had to wait",
        )
        self._lock_wait = seconds(
            "synthorg.db.write_lock.wait_time",
            "How long calls and units waited for SQLite's write lock, of those that had to wait",
        )
        self._unit_duration = seconds(
            "synthorg.db.unit.duration",
            "How long units of work took, with all that the program did in them",
        )
        self._trip_calls = meter.create_histogram(
            "synthorg.db.trip.calls",
            "{call}",
            "How many calls shared a trip to the database, and the commit of those that write",
            explicit_bucket_boundaries_advisory=CALLS,
        )
        for name, (unit, description) in COUNTERS.items():
            meter.create_observable_counter(name, [self._counted(name)], unit, description)
        sums = meter.create_observable_up_down_counter
        sums(
            "db.client.connection.count",
            [self._connections],
            "{connection}",
            "Connections, by whether they are used",
        )
        sums(
            "db.client.connection.max",
            [self._observe(lambda load: load.connections_limit)],
            "{connection}",
            "How many connections there can be",
        )
        sums(
            "db.client.connection.pending_requests",
            [self._observe(lambda load: load.connections_waiting)],
            "{request}",
            "Calls and units that wait for a connection",
        )
        sums(
            "synthorg.db.write_queue",
            [self._observe(lambda load: load.write_queue)],
            "{call}",
            "Calls and units that wait to write",
        )
        gauge = meter.create_observable_gauge
        gauge(
            "synthorg.db.log_size",
            [self._observe(lambda load: load.log_bytes)],
            "By",
            "The size of SQLite's write-ahead log",
        )
        gauge(
            "synthorg.db.unit.oldest_age",
            [self._observe(lambda load: load.oldest_unit_seconds)],
            "s",
            "The age of the oldest unit of work that is open",
        )

    def watch(self, database: ObservedDatabase, load: Load, /) -> None:
        """Take the gauges of a backend, as `LoadObserver` says."""
        self._loads.append((_pool_name(database), load))

    def is_idle(self) -> bool:
        """Tell whether no provider is there, as `PausingObserver` says."""
        if self._awaits:
            self._look()
        return self._tracer is None and not self._measures

    def _look(self) -> None:
        """Find out whether a provider is there that was not before."""
        self._next_look = monotonic() + SECONDS_BETWEEN_LOOKS
        if self._awaits_tracer:
            tracers = self._tracer_provider
            if tracers is None:
                tracers = get_tracer_provider()
            self._awaits_tracer = _is_proxy(tracers)
            if not self._awaits_tracer:
                tracer = tracers.get_tracer(SCOPE)
                self._tracer = None if isinstance(tracer, NoOpTracer) else tracer
        if self._awaits_meter:
            meters = self._meter_provider
            if meters is None:
                meters = get_meter_provider()
            self._awaits_meter = _is_proxy(meters)
            if not self._awaits_meter:
                self._measures = not isinstance(meters.get_meter(SCOPE), NoOpMeter)
        self._awaits = self._awaits_tracer or self._awaits_meter

    def call_started(self, call: ObservedCall, /) -> bool:
        """Begin a span, which is the current one until the call ends, where one is recorded."""
        if self._awaits and monotonic() >= self._next_look:
            self._look()
        tracer = self._tracer
        if tracer is None:
            return self._measures
        if call.what == "trip":
            self._begin_trip(tracer, call)
            return True
        context = contexts.get_current()
        outer = get_current_span(context)
        if outer is not INVALID_SPAN:
            outside = outer.get_span_context()
            if outside.is_valid and not outside.trace_flags.sampled:
                return self._measures  # nothing inside of what is not sampled is
        series, is_call = self._series_of(call), call.what == "call"
        kind = SpanKind.CLIENT if is_call else SpanKind.INTERNAL
        span = tracer.start_span(series.title, context, kind, series.attributes)
        if span.is_recording():
            call.wants_trips = True
        elif is_call:
            return self._measures
        self._enter(call, span, set_span_in_context(span, context))
        return True

    def call_ended(self, call: ObservedCall, /) -> None:
        """End the span, and count."""
        entered = call.notes.pop(self, None)
        if entered is not None:
            span, within, token = entered
            # It may be another one, where a generator is closed by somebody else.
            if contexts.get_current() is within:
                contexts.detach(token)
            if span is not None:
                _fill(span, call)
                span.end()
        if not self._measures:
            return
        if call.what != "trip":
            self._measure(call, self._series_of(call))
        elif call.trip_calls > 1:
            self._trip_calls.record(call.trip_calls, self._series_of(call).attributes)

    def _enter(self, call: ObservedCall, span: Span | None, within: Context) -> None:
        call.notes[self] = (span, within, contexts.attach(within))

    def _begin_trip(self, tracer: Tracer, trip: ObservedCall) -> None:
        """Begin the span of a trip below the first call that is recorded, linked to the others."""
        spans = [call.notes[self][0] for call in trip.calls if self in call.notes]
        if not spans:
            # Its task was begun by a call that has nothing to do with it.
            self._enter(trip, None, Context())
            return
        first, *others = spans
        within, series = set_span_in_context(first), self._series_of(trip)
        span = tracer.start_span(series.title, within, SpanKind.CLIENT, series.attributes)
        for other in others:
            other.add_link(span.get_span_context())
            span.add_link(other.get_span_context())
        self._enter(trip, span, set_span_in_context(span))

    def _series_of(self, call: ObservedCall) -> "_Series":
        # A database is one object for each backend, and is hashed slowly.
        key = (id(call.database), call.operation, call.collection, call.error_type)
        found = self._series.get(key)
        if found is None:
            self._databases.append(call.database)  # or its identity could become another's
            found = self._series[key] = _Series(call)
        return found

    def _measure(self, call: ObservedCall, series: "_Series") -> None:
        what = call.what
        if what == "call":
            self._duration.record(call.seconds, series.attributes)
            if call.rows_read:
                series.count("synthorg.db.rows.read", call.rows_read)
            if call.rows_written:
                series.count("synthorg.db.rows.written", call.rows_written)
        elif what == "unit":
            self._unit_duration.record(call.seconds, series.attributes)
        if call.waited_seconds:
            self._connection_wait.record(call.waited_seconds, series.pool)
        if call.lock_waited_seconds:
            self._lock_wait.record(call.lock_waited_seconds, series.attributes)
        if call.attempts > 1 and what != "attempt":
            series.count("synthorg.db.retries", call.attempts - 1)
        if call.error_type == "TransactionConflictError" and call.parent is None:
            series.count("synthorg.db.given_up", 1)

    def _counted(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            for series in tuple(self._series.values()):
                number = series.counts.get(name)
                if number is not None:
                    yield Observation(number, series.attributes)

        return observe

    def _connections(self, _: CallbackOptions) -> Iterable[Observation]:
        for name, load in self._current():
            used, is_open = load.connections_used, load.connections_open
            for state, number in (("used", used), ("idle", max(is_open - used, 0))):
                attributes = {
                    POOL: name,
                    "db.client.connection.state": state,
                }
                yield Observation(number, attributes)

    def _observe(
        self, number_of: Callable[[DatabaseLoad], float | None]
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            for name, load in self._current():
                number = number_of(load)
                if number is not None:
                    yield Observation(number, {POOL: name})

        return observe

    def _current(self) -> Iterator[tuple[str, DatabaseLoad]]:
        """Tell the load of each database whose backend is connected."""
        for name, load in tuple(self._loads):
            current = load()
            if current is not None:
                yield name, current


def _is_proxy(provider: TracerProvider | MeterProvider | None) -> bool:
    """Tell whether a provider stands for the global one, which is not there yet."""
    # That of meters has a class that is not public, and waits to be told.
    return isinstance(provider, ProxyTracerProvider) or hasattr(provider, "on_set_meter_provider")


class _Series:
    """What is told in the same words: of one database, operation, table and error.

    Args:
        call: The first of its calls.
    """

    def __init__(self, call: ObservedCall) -> None:
        self.attributes: Attributes = dict(_names_of(call))
        self.pool: Attributes = {POOL: _pool_name(call.database)}
        table = "" if call.collection is None else f" {call.collection}"
        self.title = f"{call.operation}{table}"
        self.counts: dict[str, int] = {}

    def count(self, name: str, number: int) -> None:
        """Add to one of the `COUNTERS`."""
        self.counts[name] = self.counts.get(name, 0) + number


def _names_of(call: ObservedCall) -> Iterator[tuple[str, str | int]]:
    database = call.database
    yield "db.system.name", database.system
    yield "db.namespace", database.namespace
    yield "db.operation.name", call.operation
    if call.collection is not None:
        yield "db.collection.name", call.collection
    if database.server_address is not None:
        yield "server.address", database.server_address
    if database.server_port is not None:
        yield "server.port", database.server_port
    if call.error_type is not None:
        yield "error.type", call.error_type


def _fill(span: Span, call: ObservedCall) -> None:
    """Set what became known of a call; a text of an exception would name a key."""
    if call.error_type is not None:
        span.set_attribute("error.type", call.error_type)
        span.set_status(StatusCode.ERROR)
    if call.route is not None:
        span.set_attribute("synthorg.db.route", call.route)
    if call.what == "trip":
        span.set_attribute("synthorg.db.trip.calls", call.trip_calls)
        return
    span.set_attribute("synthorg.db.rows.read", call.rows_read)
    span.set_attribute("synthorg.db.rows.written", call.rows_written)
    span.set_attribute("synthorg.db.attempts", call.attempts)
    if call.waited_seconds:
        span.set_attribute("synthorg.db.connection.wait_time", call.waited_seconds)
    if call.lock_waited_seconds:
        span.set_attribute("synthorg.db.write_lock.wait_time", call.lock_waited_seconds)
    if call.trip_calls:
        span.set_attribute("synthorg.db.trip.calls", call.trip_calls)


def _pool_name(database: ObservedDatabase) -> str:
    """Name a pool as the conventions advise."""
    if database.server_address is None:
        return database.namespace
    port = "" if database.server_port is None else f":{database.server_port}"
    return f"{database.server_address}{port}/{database.namespace}"
