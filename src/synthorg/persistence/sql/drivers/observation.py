"""The seam at which everything is observed: begun, filled with facts from below, ended."""

import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    aclosing,
    contextmanager,
    nullcontext,
)
from contextvars import ContextVar, copy_context
from math import inf
from time import monotonic, perf_counter
from types import TracebackType
from typing import Final, Generic, TypeVar

from synthorg.persistence.log_events import LogEvent, log_event
from synthorg.persistence.observing import (
    ObservedCall,
    ObservedDatabase,
    Observer,
    PausingObserver,
    What,
)

Entered = TypeVar("Entered")
Item = TypeVar("Item")

SECONDS_BETWEEN_QUESTIONS: Final = 0.01
"""How long calls go unobserved, at most, after an observer was idle, so that few have to ask."""

logger = logging.getLogger(__name__)

current: ContextVar["Observed | None"] = ContextVar("synthorg_observed_call", default=None)
"""The call for which this task is at work in here; None while the program's own code runs."""


class Observed(ObservedCall):
    """A call with those who are told of it.

    Attributes:
        observing: They.
        told: Those of them who want to hear of its end, in this order.
        queued: Since when it has been waiting for a connection of the fast route.
        times_statements: Set by an observer that wants to know which of its statements took
            longest.
        statement: That statement.
        statement_seconds: How long that took.
    """

    observing: "Observing"
    told: Sequence[Observer] = ()
    queued: float = 0.0
    times_statements: bool = False
    statement: object = None
    statement_seconds: float = 0.0


class Observing:
    """Who is told of what is done on one database.

    Args:
        observers: Whom to tell, in this order; of an end, in the opposite one.
        database: The database.
        table_prefix: What the names of this library's tables begin with there.

    Attributes:
        was_idle: Whether all of them were idle when they were asked last.
        asks_at: When they are asked again, on the monotonic clock.
    """

    was_idle: bool = False

    def __init__(
        self, observers: Sequence[Observer], database: ObservedDatabase, table_prefix: str = ""
    ) -> None:
        self._observers = tuple(observers)
        self._last_first = self._observers[::-1]
        self._broken: set[int] = set()
        self._pausing = [each for each in observers if isinstance(each, PausingObserver)]
        self.asks_at = 0.0 if len(self._pausing) == len(observers) else inf
        self._parent: Observed | None = None
        self._has_told_parent = False
        self.database = database
        self.table_prefix = table_prefix

    def inside(self, unit: Observed) -> "Observing":
        """Observe what is done in a unit of work.

        Args:
            unit: The unit.
        """
        within = Observing.__new__(Observing)
        within.__dict__.update(self.__dict__)
        within.was_idle, within.asks_at = False, inf  # who hears of a unit hears of its calls
        within._parent = unit  # noqa: SLF001 (of the same class)
        within._has_told_parent = bool(unit.told) or self._has_told_parent  # noqa: SLF001 (likewise)
        return within

    def is_idle(self) -> bool:
        """Tell whether nobody wants to hear of what begins now."""
        if monotonic() >= self.asks_at:
            self.asks_at = monotonic() + SECONDS_BETWEEN_QUESTIONS
            self.was_idle = all(map(self._says_idle, self._pausing))
        return self.was_idle

    def _says_idle(self, observer: PausingObserver) -> bool:
        try:
            return observer.is_idle()
        except Exception as error:  # noqa: BLE001 (it must not harm the call)
            self._tell_of_fault(observer, error)
            return False

    def begin_call(self, operation: str, repository: str, collection: str) -> Observed | None:
        """Tell that a call begins, and give what is known of it.

        Args:
            operation: The name of the method.
            repository: The repository.
            collection: Its table.

        Returns:
            The call; None if nobody wants to hear more of it, or of a unit in which it is.
        """
        call = Observed("call", operation, self.database, repository, collection, self._parent)
        call.observing = self
        self.tell_start(call)
        return call if call.told or self._has_told_parent else None

    def tell_start(self, call: Observed) -> None:
        """Tell that something begins."""
        declining: list[int] = []
        for observer in self._observers:
            try:
                if observer.call_started(call) is False:
                    declining.append(id(observer))
            except Exception as error:  # noqa: BLE001 (it must not harm the call)
                self._tell_of_fault(observer, error)
        if not declining:
            call.told = self._last_first
        elif len(declining) < len(self._observers):
            call.told = [each for each in self._last_first if id(each) not in declining]

    def tell_end(self, call: Observed) -> None:
        """Tell that something has ended."""
        parent = call.parent
        if parent is not None and call.what != "trip":
            parent.rows_read += call.rows_read
            parent.rows_written += call.rows_written
        for observer in call.told:
            try:
                observer.call_ended(call)
            except Exception as error:  # noqa: BLE001 (likewise)
                self._tell_of_fault(observer, error)

    def begin(self, what: What, operation: str, *, attempt: int = 1) -> Observed:
        """Tell that something else than a call begins, and give what is known of it.

        Args:
            what: What it is.
            operation: What it is called.
            attempt: Which attempt it is.
        """
        call = Observed(what, operation, self.database, parent=self._parent)
        call.observing = self
        if attempt > 1:
            call.attempts = attempt
        self.tell_start(call)
        return call

    @contextmanager
    def during(self, what: What, operation: str, *, attempt: int = 1) -> Iterator[Observed]:
        """Observe all that is done inside, which may be the program's own code.

        Args:
            what: What it is.
            operation: What it is called.
            attempt: Which attempt it is.
        """
        call = self.begin(what, operation, attempt=attempt)
        began = perf_counter()
        try:
            yield call
        except BaseException as error:
            call.error_type = type(error).__name__
            raise
        finally:
            call.seconds = perf_counter() - began
            self.tell_end(call)

    def _tell_of_fault(self, observer: Observer, error: Exception) -> None:
        if id(observer) not in self._broken:  # once, or it would be told for each call
            self._broken.add(id(observer))
            log_event(
                logger,
                LogEvent.OBSERVER_FAILED,
                observer=type(observer).__name__,
                error=type(error).__name__,
            )


@contextmanager
def at_work_for(call: Observed | None) -> Iterator[None]:
    """Have what is found out inside be noted on a call.

    Args:
        call: The call; None while the program's own code runs.
    """
    token = current.set(call)
    try:
        yield
    finally:
        current.reset(token)


def observed_by(
    observers: Sequence[Observer], database: ObservedDatabase, what: What, operation: str
) -> AbstractContextManager[object]:
    """Tell observers, if there are any, of what is done with a database inside.

    Args:
        observers: They.
        database: The database.
        what: What is done.
        operation: What it is called.
    """
    observing = Observing(observers, database)
    return nullcontext() if observing.is_idle() else observing.during(what, operation)


async def observed_stream(
    records: AsyncGenerator[Item, None],
    observing: Observing,
    begin: Callable[[], Observed | None],
) -> AsyncGenerator[Item, None]:
    """Observe what gives records one by one, and not what is done with them in between.

    Args:
        records: The records, which are closed in the end.
        observing: Who is told.
        begin: Tells them that it begins; None if nobody wants to hear more of it.
    """
    # What observers set as context variables must not hold for the caller in between.
    context = copy_context()
    call = None if observing.is_idle() else context.run(begin)
    if call is None:
        async with aclosing(records):
            async for record in records:
                yield record
        return
    try:
        while True:
            began = perf_counter()
            try:
                with at_work_for(call):
                    record = await anext(records)
            except StopAsyncIteration:
                return
            finally:
                call.seconds += perf_counter() - began
            yield record
    except GeneratorExit:
        raise  # its caller has seen enough
    except BaseException as error:
        call.error_type = type(error).__name__
        raise
    finally:
        await records.aclose()
        context.run(observing.tell_end, call)


class Edges(Generic[Entered]):
    """A context manager that is at work for a call while it is entered and left, not in between.

    Args:
        manager: The context manager.
        call: The call.
    """

    def __init__(
        self, manager: AbstractAsyncContextManager[Entered], call: Observed | None
    ) -> None:
        self._manager = manager
        self._call = call

    async def __aenter__(self) -> Entered:
        with at_work_for(self._call):
            return await self._manager.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        with at_work_for(self._call):
            return await self._manager.__aexit__(kind, error, traceback)


@contextmanager
def shared_trip(calls: Sequence[Observed], size: int) -> Iterator[None]:
    """Observe a trip of the fast route, and note it on the calls that share it.

    Args:
        calls: Those of them that are observed.
        size: How many there are in all.
    """
    if not calls:
        yield
        return
    first, began = calls[0], perf_counter()
    trip = Observed("trip", "trip", first.database, parent=first if size == 1 else None)
    trip.observing, trip.calls = first.observing, calls
    trip.route, trip.trip_calls = "fast", size
    is_told = size > 1 or first.wants_trips
    for call in calls:
        call.route, call.trip_calls = "fast", size
        if call.queued:
            call.waited_seconds += began - call.queued
            call.queued = 0.0
        if is_told:
            call.trip = trip
    if is_told:
        first.observing.tell_start(trip)
    try:
        with at_work_for(trip):
            yield
    except BaseException as error:
        trip.error_type = type(error).__name__
        raise
    finally:
        trip.seconds = perf_counter() - began
        for call in calls:
            call.lock_waited_seconds += trip.lock_waited_seconds
        if is_told:
            first.observing.tell_end(trip)


@contextmanager
def waiting_for_connection() -> Iterator[None]:
    """Note how long the call waits for a connection of SQLAlchemy's pool."""
    call = current.get()
    if call is None:
        yield
        return
    call.route = "public"
    began = perf_counter()
    try:
        yield
    finally:
        call.waited_seconds += perf_counter() - began


@contextmanager
def waiting_for_lock() -> Iterator[None]:
    """Note how long the call waits for the write lock."""
    call = current.get()
    began = perf_counter()
    try:
        yield
    finally:
        if call is not None:
            call.lock_waited_seconds += perf_counter() - began


def note_another_attempt() -> None:
    """Note that what failed is tried again."""
    call = current.get()
    if call is not None:
        call.attempts += 1
