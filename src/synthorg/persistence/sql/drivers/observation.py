"""The seam at which everything is observed: begun, filled with facts from below, ended."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import ContextVar
from time import perf_counter
from types import TracebackType
from typing import Generic, TypeVar

from synthorg.persistence.observing import ObservedCall, ObservedDatabase, Observer, What

Entered = TypeVar("Entered")

logger = logging.getLogger(__name__)

current: ContextVar["Observed | None"] = ContextVar("synthorg_observed_call", default=None)
"""The call for which this task is at work in here; None while the program's own code runs."""


class Observed(ObservedCall):
    """A call with those who are told of it.

    Attributes:
        observing: They.
        queued: Since when it has been waiting for a connection of the fast route.
        statement: The one of its statements that took longest.
        statement_seconds: How long that took.
    """

    observing: "Observing"
    queued: float = 0.0
    statement: object = None
    statement_seconds: float = 0.0


class Observing:
    """Who is told of what is done on one database.

    Args:
        observers: Whom to tell, in this order; of an end, in the opposite one.
        database: The database.
        table_prefix: What the names of this library's tables begin with there.
        parent: The unit in which it is done.
    """

    def __init__(
        self,
        observers: Sequence[Observer],
        database: ObservedDatabase,
        table_prefix: str = "",
        parent: ObservedCall | None = None,
    ) -> None:
        self._observers = tuple(observers)
        self._last_first = self._observers[::-1]
        self._broken: set[int] = set()
        self.database = database
        self.table_prefix = table_prefix
        self.parent = parent

    def inside(self, unit: ObservedCall) -> "Observing":
        """Observe what is done in a unit of work.

        Args:
            unit: The unit.
        """
        return Observing(self._observers, self.database, self.table_prefix, unit)

    def begin(
        self,
        what: What,
        operation: str,
        *,
        repository: str | None = None,
        collection: str | None = None,
        attempt: int = 1,
    ) -> Observed:
        """Tell that something begins, and give what is known of it.

        Args:
            what: What it is.
            operation: The name of the method.
            repository: The repository.
            collection: Its table.
            attempt: Which attempt it is.
        """
        call = Observed(what, operation, self.database, repository, collection, self.parent)
        call.observing = self
        if attempt > 1:
            call.attempts = attempt
        self.tell_start(call)
        return call

    def tell_start(self, call: ObservedCall) -> None:
        """Tell that something begins."""
        for observer in self._observers:
            try:
                observer.call_started(call)
            except Exception as error:  # noqa: BLE001 (it must not harm the call)
                self._tell_of_fault(observer, error)

    def tell_end(self, call: ObservedCall) -> None:
        """Tell that something has ended."""
        parent = call.parent
        if parent is not None and call.what != "trip":
            parent.rows_read += call.rows_read
            parent.rows_written += call.rows_written
        for observer in self._last_first:
            try:
                observer.call_ended(call)
            except Exception as error:  # noqa: BLE001 (likewise)
                self._tell_of_fault(observer, error)

    @contextmanager
    def during(self, what: What, operation: str, *, attempt: int = 1) -> Iterator[Observed]:
        """Observe all that is done inside, which may be the program's own code.

        Args:
            what: What it is.
            operation: The name of the method.
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
            context = {"observer": type(observer).__name__, "error": type(error).__name__}
            logger.warning("an observer failed, and may fail again", extra=context)


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
