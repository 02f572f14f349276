"""Spans and metrics by OpenTelemetry, in the words of its conventions for databases.

It needs the extra `otel`, and is one of the `observers` that `create_backend` takes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    TracerProvider,
    get_current_span,
    get_tracer,
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
        self._tracer = get_tracer(SCOPE, tracer_provider=tracer_provider)
        self._attributes: dict[tuple[object, ...], Attributes] = {}
        self._databases: list[ObservedDatabase] = []
        self._loads: list[tuple[str, Load]] = []
        self._counts: dict[str, dict[int, tuple[int, Attributes]]] = {name: {} for name in COUNTERS}
        meter = get_meter(SCOPE, meter_provider=meter_provider)
        self._duration = meter.create_histogram(
            "db.client.operation.duration",
            "s",
            "How long callers waited for calls of repositories",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._connection_wait = meter.create_histogram(
            "db.client.connection.wait_time",
            "s",
            "How long calls waited for a connection, of those that had to wait",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._lock_wait = meter.create_histogram(
            "synthorg.db.write_lock.wait_time",
            "s",
            "How long calls and units waited for SQLite's write lock, of those that had to wait",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._unit_duration = meter.create_histogram(
            "synthorg.db.unit.duration",
            "s",
            "How long units of work took, with all that the program did in them",
            explicit_bucket_boundaries_advisory=SECONDS,
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

    def call_started(self, call: ObservedCall, /) -> None:
        """Begin a span, which is the current one until the call ends."""
        if call.what == "trip":
            self._begin_trip(call)
            return
        outer = get_current_span().get_span_context()
        if outer.is_valid and not outer.trace_flags.sampled:
            return  # nothing inside of what is not sampled is
        if call.what == "call":
            name, kind = f"{call.operation} {call.collection}", SpanKind.CLIENT
        else:
            name, kind = call.operation, SpanKind.INTERNAL
        span = self._tracer.start_span(name, kind=kind, attributes=self._names(call))
        call.wants_trips = span.is_recording()
        if call.wants_trips or call.what != "call":
            self._enter(call, span, set_span_in_context(span))

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
        if call.what == "trip":
            if call.trip_calls > 1:
                self._trip_calls.record(call.trip_calls, self._names(call))
        else:
            self._measure(call)

    def _enter(self, call: ObservedCall, span: Span | None, within: Context) -> None:
        call.notes[self] = (span, within, contexts.attach(within))

    def _begin_trip(self, trip: ObservedCall) -> None:
        """Begin the span of a trip below the first call that is recorded, linked to the others."""
        spans = [call.notes[self][0] for call in trip.calls if self in call.notes]
        if not spans:
            # Its task was begun by a call that has nothing to do with it.
            self._enter(trip, None, Context())
            return
        first, *others = spans
        within = set_span_in_context(first)
        names = self._names(trip)
        span = self._tracer.start_span("trip", within, kind=SpanKind.CLIENT, attributes=names)
        for other in others:
            other.add_link(span.get_span_context())
            span.add_link(other.get_span_context())
        self._enter(trip, span, set_span_in_context(span))

    def _names(self, call: ObservedCall) -> Attributes:
        """Name what is done and where, as the conventions do; made once for each combination."""
        # A database is one object for each backend, and is hashed slowly.
        key = (id(call.database), call.operation, call.collection, call.error_type)
        found = self._attributes.get(key)
        if found is None:
            self._databases.append(call.database)  # or its identity could become another's
            found = self._attributes[key] = dict(_names_of(call))
        return found

    def _measure(self, call: ObservedCall) -> None:
        names = self._names(call)
        if call.what == "call":
            self._duration.record(call.seconds, names)
            self._count("synthorg.db.rows.read", call.rows_read, names)
            self._count("synthorg.db.rows.written", call.rows_written, names)
        elif call.what == "unit":
            self._unit_duration.record(call.seconds, names)
        if call.waited_seconds:
            pool = {POOL: _pool_name(call.database)}
            self._connection_wait.record(call.waited_seconds, pool)
        if call.lock_waited_seconds:
            self._lock_wait.record(call.lock_waited_seconds, names)
        if call.what != "attempt":
            self._count("synthorg.db.retries", call.attempts - 1, names)
        if call.error_type == "TransactionConflictError" and call.parent is None:
            self._count("synthorg.db.given_up", 1, names)

    def _count(self, name: str, number: int, names: Attributes) -> None:
        if number:
            counts = self._counts[name]
            before, _ = counts.get(id(names), (0, names))  # of the kept ones, which stay
            counts[id(names)] = (before + number, names)

    def _counted(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            for number, names in tuple(self._counts[name].values()):
                yield Observation(number, names)

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
