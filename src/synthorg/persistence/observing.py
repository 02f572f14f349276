"""What can be observed of this library at work: each call, what is known of it, and who is told.

Spans, metrics and slow calls are observers of this kind; an application can hand in its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from typing_extensions import Protocol, runtime_checkable

What = Literal["call", "unit", "attempt", "trip", "migration", "maintenance"]
"""What is observed: a call of a repository; a unit of work, and each attempt where one is run
again; a trip to the database that calls share; `migrate()`; a command such as `prune()`."""

RouteName = Literal["fast", "public"]
"""The way to the database: prepared statements on a driver's own connection, or SQLAlchemy."""


@dataclass(frozen=True)
class ObservedDatabase:
    """The database of a call, in the words of OpenTelemetry's conventions.

    Attributes:
        system: The kind of database, as the `backend` of a configuration.
        namespace: The name of the database, on PostgreSQL with its schema where one is configured;
            on SQLite the file.
        server_address: The name or address of its server, or its socket; None on SQLite.
        server_port: The port there; None where there is none.
    """

    system: str
    namespace: str
    server_address: str | None = None
    server_port: int | None = None


class ObservedCall:
    """Something that this library does, filled as facts appear; all of them are there at its end.

    It never has a value, a key, or SQL.

    Attributes:
        what: What it is.
        operation: The name of the method: "save", "transaction", "prune".
        database: Where.
        repository: The repository as a program names it: "tasks", or the class of an extension's.
        collection: The table of the repository, with its prefix.
        parent: The unit or call inside of which this is done; for a trip, the call whose it is, or
            None where several share it.
        route: How it reached the database last; None if it did not.
        rows_read: How many rows the database returned; for a unit, to all calls in it.
        rows_written: How many rows the database inserted, replaced, changed or deleted; likewise.
        waited_seconds: How long it waited for a connection.
        lock_waited_seconds: How long it waited for the write lock, which SQLite alone has.
        trip: The last trip that it shared with others, or, if it `wants_trips`, made alone.
        calls: For a trip, the calls that share it and are observed.
        trip_calls: How many calls shared its last trip, and, to write, its commit.
        attempts: How often it was tried; for an attempt, which one it is, from 1 on.
        seconds: How long its caller waited for it, which for a stream leaves out what the caller
            did in between.
        error_type: The name of the class of the exception with which it ended; None for none.
        wants_trips: Set by an observer in `call_started` that wants to know of each trip of this
            call, not only of those that it shares.
        notes: Free for observers, each under a key of its own.
    """

    route: RouteName | None = None
    rows_read: int = 0
    rows_written: int = 0
    waited_seconds: float = 0.0
    lock_waited_seconds: float = 0.0
    trip: "ObservedCall | None" = None
    calls: "Sequence[ObservedCall]" = ()
    trip_calls: int = 0
    attempts: int = 1
    seconds: float = 0.0
    error_type: str | None = None
    wants_trips: bool = False

    def __init__(
        self,
        what: What,
        operation: str,
        database: ObservedDatabase,
        repository: str | None = None,
        collection: str | None = None,
        parent: "ObservedCall | None" = None,
    ) -> None:
        # Most calls leave most facts at their defaults, which the class has: one is made for each.
        self.what = what
        self.operation = operation
        self.database = database
        self.repository = repository
        self.collection = collection
        self.parent = parent
        self.notes: dict[object, Any] = {}

    def __repr__(self) -> str:
        place = "" if self.collection is None else f" {self.collection}"
        return f"<{self.what} {self.operation}{place}>"


@dataclass(frozen=True)
class DatabaseLoad:
    """What is under way on one database at one moment, as this process sees it.

    Attributes:
        connections_used: How many connections do something, or are kept by somebody.
        connections_open: How many there are, also those that do nothing.
        connections_limit: How many there can be.
        connections_waiting: How many calls and units wait for one.
        write_queue: How many calls and units wait to write.
        log_bytes: The size of SQLite's write-ahead log; None where there is none.
        oldest_unit_seconds: The age of the oldest unit of work that is open; None without one.
    """

    connections_used: int
    connections_open: int
    connections_limit: int
    connections_waiting: int
    write_queue: int
    log_bytes: int | None
    oldest_unit_seconds: float | None


@runtime_checkable
class Observer(Protocol):
    """Is told of everything that is done on a backend, once at its start and once at its end.

    Both methods are called in the task that waits for it, so they must be quick, and what the first
    sets as a context variable holds for what is done inside. What they raise is logged and
    does no harm to the call. A call that a repository makes of its own methods is part of the call
    that its user made, and not told.
    """

    def call_started(self, call: ObservedCall, /) -> bool | None:
        """Note that something begins.

        Args:
            call: It, of which only is known what it is.

        Returns:
            False to hear no more of it. A call of which no observer wants to hear more costs
            nothing further.
        """
        ...

    def call_ended(self, call: ObservedCall, /) -> None:
        """Note that something has ended, well or not.

        Args:
            call: The same object, with all that became known.
        """
        ...


@runtime_checkable
class PausingObserver(Observer, Protocol):
    """An observer for which there are times at which it has nobody to tell."""

    def is_idle(self) -> bool:
        """Tell whether it wants to hear of nothing now.

        While all observers of a backend are idle, none of them is told of what begins; while one is
        not, all are. It is asked before something begins, but not again for a hundredth of a
        second.
        """
        ...


@runtime_checkable
class LoadObserver(Observer, Protocol):
    """An observer that also asks, whenever it likes, what is under way."""

    def watch(self, database: ObservedDatabase, load: Callable[[], DatabaseLoad | None], /) -> None:
        """Take the question for one backend, when that is made.

        Args:
            database: Its database.
            load: Tells what is under way, in any thread; None while it is not connected, and for
                ever once there is no such backend any more.
        """
        ...
