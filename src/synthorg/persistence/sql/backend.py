"""The backend: a lifecycle around one database, and the repositories on it."""

import asyncio
import logging
import weakref
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterator,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from functools import cached_property
from inspect import isawaitable
from math import inf
from types import TracebackType
from typing import Any, Final, Self, TypeVar, get_args

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from synthorg.entities import NotBlankStr
from synthorg.persistence.config import Reads
from synthorg.persistence.errors import NotConnectedError, UsageError
from synthorg.persistence.health import Health
from synthorg.persistence.log_events import LogEvent, log_event
from synthorg.persistence.observing import DatabaseLoad, LoadObserver, Observer, What
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.drivers.observation import Edges, Observed, Observing, at_work_for
from synthorg.persistence.sql.execution.affinity import LocalLock
from synthorg.persistence.sql.execution.database import Database
from synthorg.persistence.sql.execution.executor import Executor, Result, Rows
from synthorg.persistence.sql.execution.replicas import Replicas
from synthorg.persistence.sql.execution.retrying import run_again_on_conflict
from synthorg.persistence.sql.execution.slow_calls import SlowCalls
from synthorg.persistence.sql.execution.transaction import Transaction
from synthorg.persistence.sql.health import Answers, Checkup, health_of, in_time, not_connected
from synthorg.persistence.sql.owned_tables import LIBRARY, OwnedTables, refuse_clashes
from synthorg.persistence.sql.repositories import Repositories, repository_of
from synthorg.persistence.sql.statements.statement import Parameters, Statement
from synthorg.persistence.sql.unit_of_work import SQLUnitOfWork

Kind = TypeVar("Kind")

logger = logging.getLogger(__name__)

SYSTEM_NAMESPACE: Final = "_system"
HEALTH_CHECK_SECONDS: Final = 5.0
"""How long a health check takes at most, unless somebody says otherwise."""

_WORK: Final = "what is run in a transaction must be an async function of a unit of work"


class SQLPersistenceBackend(Repositories):
    """`PersistenceBackend` on any SQL database.

    Args:
        dialect: The kind of database, with its configuration.
        extensions: The tables of each extension, which are migrated in this order.
        migrate: Whether `async with` also migrates.
        observers: Who is told of everything that is done on it.

    Raises:
        UsageError: If they could not be kept in one database.
    """

    def __init__(
        self,
        dialect: Dialect,
        extensions: Sequence[OwnedTables] = (),
        *,
        migrate: bool = False,
        observers: Sequence[Observer] = (),
    ) -> None:
        refuse_clashes(extensions, dialect.table_prefix)
        if extensions:
            from synthorg.persistence.sql.migrations.revisions import (  # noqa: PLC0415 (as below)
                refuse_unclear_head,
            )

            for owned in extensions:
                refuse_unclear_head(owned)
        self._dialect = dialect
        self._extensions = tuple(extensions)
        self._migrates = migrate
        self._database: Database | None = None
        self._replicas: Replicas | None = None
        self._lifecycle = LocalLock()
        told = (*observers, *self._own_observers())
        if told:
            self.observing = Observing(told, dialect.observed, dialect.table_prefix)
            for observer in told:
                if isinstance(observer, LoadObserver):
                    observer.watch(dialect.observed, _load_of(weakref.ref(self)))
        self._views: dict[Reads, CurrentDatabase] = {
            "primary": CurrentDatabase(self, dialect),
            "replica": ReadingReplicas(self, dialect),
        }
        self._current = self._views[dialect.reads]
        self._questions: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        state = "connected" if self.is_connected else "not connected"
        return f"<{type(self).__name__} {self._dialect.description}, {state}>"

    @property
    def load(self) -> DatabaseLoad | None:
        """What is under way on the database; None while it is not connected."""
        database = self._database
        if database is None or database.has_ended:
            return None
        load = database.load
        connections = load.connections
        return DatabaseLoad(
            connections_used=connections.in_use,
            connections_open=connections.open,
            connections_limit=connections.limit,
            connections_waiting=connections.waiting,
            write_queue=load.write_queue,
            log_bytes=load.log_bytes,
            oldest_unit_seconds=load.oldest_unit_seconds,
        )

    def _own_observers(self) -> Iterator[Observer]:
        seconds = self._dialect.slow_call_seconds
        if seconds is not None:
            yield SlowCalls(seconds, self._plan if self._dialect.explains_slow_calls else None)

    async def _plan(self, statement: Statement) -> Sequence[str]:
        return await self.database_for("a plan").plan(statement)

    async def __aenter__(self) -> Self:
        await self.connect()
        if self._migrates:
            try:
                await self.migrate()
            except BaseException:
                await self.disconnect()  # nobody leaves what was not entered
                raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.disconnect()

    @property
    def extensions(self) -> Sequence[OwnedTables]:
        """The tables of each extension."""
        return self._extensions

    @property
    def is_connected(self) -> bool:
        return self._database is not None and not self._database.has_ended

    @property
    def backend_name(self) -> NotBlankStr:
        return self._dialect.backend_name

    async def connect(self) -> None:
        async with self._lifecycle.here():
            if self._database is not None:
                if not self._database.has_ended:
                    self._database.check_affinity()
                    return
                await self._leave()
            database = Database(self._dialect, self._find_schema_problem)
            await database.open()
            self._database, self._replicas = database, self._replicas_of(database)
        log_event(logger, LogEvent.CONNECTED, backend=self.backend_name)

    def _replicas_of(self, database: Database) -> Replicas | None:
        """Make what reads on replicas, none of which need be there before it is asked."""
        replicas = [
            Database(dialect, self._find_schema_problem) for dialect in self._dialect.replicas()
        ]
        seconds = self._dialect.replica_wait_seconds
        return Replicas(database, replicas, seconds) if replicas else None

    async def disconnect(self) -> None:
        if self._database is not None:
            await self._database.wait_for_own()
        async with self._lifecycle.here():
            if self._database is None:
                return
            await self._leave()
        log_event(logger, LogEvent.DISCONNECTED, backend=self.backend_name)

    async def _leave(self) -> None:
        assert self._database is not None
        database, self._database = self._database, None
        replicas, self._replicas = self._replicas, None
        if replicas is None:
            await database.close()
        else:  # together, or whoever is refused there would go on here
            await asyncio.gather(database.close(), replicas.close())

    async def health_check(self) -> bool:
        database = self._database
        if database is None or not database.is_here:
            return False

        async def ask() -> None:
            await database.ping()

        question = self._asking(ask())
        if await in_time(question, HEALTH_CHECK_SECONDS) and question.exception() is None:
            return True
        log_event(logger, LogEvent.HEALTH_CHECK_FAILED, backend=self.backend_name)
        return False

    async def health(self, *, timeout: float = HEALTH_CHECK_SECONDS) -> Health:  # noqa: ASYNC109 (as declared)
        _refuse_no_time(timeout)
        database = self._database
        if database is None:
            return not_connected(self.backend_name)
        database.check_affinity()
        load, answers = database.load, Answers()
        question = self._asking(self._checkup.ask(database, answers))
        has_ended = await in_time(question, timeout)
        return health_of(self._dialect, load, answers, timeout, has_ended=has_ended)

    @cached_property
    def _checkup(self) -> Checkup:
        return Checkup(self._dialect, (LIBRARY, *self._extensions))

    def _asking(self, question: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(question)
        self._questions.add(task)
        task.add_done_callback(self._answered)
        return task

    def _answered(self, question: asyncio.Task[None]) -> None:
        self._questions.discard(question)
        if not question.cancelled():
            question.exception()  # seen, also when nobody waits any longer

    async def migrate(self) -> None:
        # Alembic takes longer to import than all else, and most processes migrate nothing.
        from synthorg.persistence.sql.migrations import runner  # noqa: PLC0415

        database = self.database_for("migrate()")
        async with self.observed("migration", "migrate"):
            for owned in (LIBRARY, *self._extensions):
                await runner.upgrade(database, owned=owned)

    @asynccontextmanager
    async def observed(self, what: What, operation: str) -> AsyncIterator[None]:
        """Tell those who observe the backend of what is done inside.

        Args:
            what: What it is.
            operation: What it is called.
        """
        observing = self._listening
        if observing is None:
            yield
            return
        with observing.during(what, operation):
            yield

    @property
    def _listening(self) -> Observing | None:
        """Who is told of what begins now; None for nobody."""
        observing = self.observing
        return None if observing is None or observing.is_idle() else observing

    async def _find_schema_problem(
        self, connection: AsyncConnection, dialect: Dialect
    ) -> str | None:
        from synthorg.persistence.sql.migrations import runner  # noqa: PLC0415 (as above)

        return await runner.find_schema_problem(connection, dialect, *self._extensions)

    @asynccontextmanager
    async def transaction(
        self, *, read_only: bool = False, savepoints: bool = True, reads: Reads | None = None
    ) -> AsyncIterator[SQLUnitOfWork]:
        _refuse_no_choice(read_only=read_only, savepoints=savepoints)
        if reads is not None:
            _refuse_unknown(reads)
            if not read_only:
                raise UsageError("reads is for a unit with read_only=True: writes need the primary")
        database = self.database_for("transaction()")
        unit: AbstractAsyncContextManager[Transaction]
        if read_only and self._replicas is not None and (reads or self._dialect.reads) == "replica":
            unit = self._replicas.unit(savepoints=savepoints)
        else:
            unit = database.unit(read_only=read_only, savepoints=savepoints)
        observing = self._listening
        if observing is None:
            async with unit as transaction:
                yield SQLUnitOfWork(transaction, self._extensions)
            return
        with observing.during("unit", "transaction") as call:
            async with self._observed(unit, call) as work:
                yield work

    @asynccontextmanager
    async def _observed(
        self, unit: AbstractAsyncContextManager[Transaction], call: Observed
    ) -> AsyncIterator[SQLUnitOfWork]:
        async with Edges(unit, call) as transaction:
            call.route = transaction.route
            yield SQLUnitOfWork(transaction, self._extensions, call.observing.inside(call))

    def reading(self, reads: Reads) -> "CurrentDatabase":
        _refuse_unknown(reads)
        return self._views[reads]

    def catch_up(self) -> None:
        self.database_for("catch_up()").seen.note()

    async def run_in_transaction(
        self, work: Callable[[SQLUnitOfWork], Awaitable[Result]], *, savepoints: bool = True
    ) -> Result:
        _refuse_no_choice(savepoints=savepoints)
        if not callable(work):
            raise UsageError(f"{_WORK}, not a {type(work).__name__}")

        async def attempt() -> Result:
            async with self.transaction(savepoints=savepoints) as unit:
                return await _done(work, unit)

        survives_failover = self._dialect.survives_failover
        observing = self._listening
        if observing is None:
            return await run_again_on_conflict(attempt, survives_failover=survives_failover)
        with observing.during("unit", "run_in_transaction") as whole, at_work_for(whole):
            database = self.database_for("transaction()")

            async def observed_attempt() -> Result:
                attempts = whole.observing.inside(whole)
                with attempts.during("attempt", "transaction", attempt=whole.attempts) as call:
                    unit_of_work = database.unit(read_only=False, savepoints=savepoints)
                    async with self._observed(unit_of_work, call) as unit:
                        whole.route = call.route
                        with at_work_for(None):
                            return await _done(work, unit)

            return await run_again_on_conflict(
                observed_attempt, survives_failover=survives_failover
            )

    def get_db(self) -> AsyncEngine:
        database = self.database_for("get_db()")
        database.check_not_over()
        return database.engine

    async def get_setting(self, key: NotBlankStr) -> str | None:
        self.database_for("get_setting()")
        setting = await self.settings.get(SYSTEM_NAMESPACE, key)
        return None if setting is None else setting[0]

    async def set_setting(self, key: NotBlankStr, value: str) -> None:
        self.database_for("set_setting()")
        await self.settings.set(SYSTEM_NAMESPACE, key, value, datetime.now(UTC).isoformat())

    @property
    def repositories(self) -> Repositories:
        return self._current

    def repository(self, kind: type[Kind]) -> Kind:
        return self._current.repository(kind)

    def executor_for(self, repository: str) -> Executor:
        self.database_for(repository).check_not_over()
        return self._current

    @property
    def replicas(self) -> Replicas | None:
        """The replicas that may answer, while it is connected and there are any."""
        return self._replicas

    def database_for(self, asked_for: str) -> Database:
        """Give the database that the backend is connected to now.

        Args:
            asked_for: What needs it.

        Raises:
            NotConnectedError: If the backend is not connected.
        """
        if self._database is None:
            raise NotConnectedError(f"not connected: await connect() before using {asked_for}")
        return self._database


async def _done(work: Callable[[SQLUnitOfWork], Awaitable[Result]], unit: SQLUnitOfWork) -> Result:
    result = work(unit)
    if not isawaitable(result):
        raise UsageError(f"{_WORK}: this one returned a {type(result).__name__}")
    return await result


def _load_of(
    backend: weakref.ReferenceType[SQLPersistenceBackend],
) -> Callable[[], DatabaseLoad | None]:
    """Make the question that an observer keeps, which keeps no backend in memory."""

    def load() -> DatabaseLoad | None:
        asked = backend()
        return None if asked is None else asked.load

    return load


class CurrentDatabase(Repositories):
    """Repositories on whatever a backend is connected to when they are used.

    They can be kept while it is not connected, and when it connects again.

    Args:
        backend: The backend.
        dialect: The kind of database that it connects to.
    """

    def __init__(self, backend: SQLPersistenceBackend, dialect: Dialect) -> None:
        self._backend = backend
        self._dialect = dialect
        self.observing = backend.observing

    def __repr__(self) -> str:
        return f"<repositories of {self._backend!r}>"

    def repository(self, kind: type[Kind]) -> Kind:
        """Give a repository of an extension, as `RoutedStores` says."""
        return repository_of(kind, self, self._backend.extensions, self.observing)

    @property
    def skips_unreadable(self) -> bool:
        """Whether lists leave out what cannot be read, as `Executor` says."""
        return self._dialect.skips_unreadable

    @property
    def route(self) -> None:
        """None, as the database says."""
        return

    @property
    def for_lists(self) -> Executor:
        """What lists are read on, as `Executor` says."""
        return self

    def executor_for(self, repository: str) -> Executor:  # noqa: ARG002 (all are on the same)
        """Give itself."""
        return self

    def refuse_to_follow(self, table: Table) -> None:
        """Refuse where the database does, as `Executor` says."""
        self._backend.database_for(table.name).refuse_to_follow(table)

    def find_writers(
        self, table: Table, *, patiently: bool
    ) -> Coroutine[Any, Any, Collection[str] | None]:
        """Find the transactions under way that write a table, as `Executor` says."""
        return self._backend.database_for(table.name).find_writers(table, patiently=patiently)

    def fetch(self, statement: Statement, parameters: Parameters) -> Coroutine[Any, Any, Rows]:
        """Run a statement that reads, as `Executor` says."""
        return self._backend.database_for(statement.table.name).fetch(statement, parameters)

    def execute(self, statement: Statement, parameters: Parameters) -> Coroutine[Any, Any, int]:
        """Run a statement that writes, as `Executor` says."""
        return self._backend.database_for(statement.table.name).execute(statement, parameters)

    def execute_many(
        self, statement: Statement, parameters: Sequence[Parameters]
    ) -> Coroutine[Any, Any, None]:
        """Run a statement that writes many times, as `Executor` says."""
        return self._backend.database_for(statement.table.name).execute_many(statement, parameters)

    def atomically(
        self,
        work: Callable[[Executor], Awaitable[Result]],
        *,
        repeatable: bool,
        idempotent: bool = False,
    ) -> Coroutine[Any, Any, Result]:
        """Do several things in one transaction, as `Executor` says."""
        database = self._backend.database_for("a repository")
        return database.atomically(work, repeatable=repeatable, idempotent=idempotent)


def _refuse_no_time(timeout: float) -> None:
    given: object = timeout
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < inf:
        raise UsageError("timeout must be a positive number of seconds")


class ReadingReplicas(CurrentDatabase):
    """Repositories whose lists and sums a replica may answer, where there are any."""

    def __init__(self, backend: SQLPersistenceBackend, dialect: Dialect) -> None:
        super().__init__(backend, dialect)
        self._for_lists = CurrentReplicas(backend, dialect)

    @property
    def for_lists(self) -> Executor:
        """What lists are read on, as `Executor` says."""
        return self._for_lists


class CurrentReplicas(CurrentDatabase):
    """What reads on replicas where there are any, and does all else on the current database."""

    def fetch(self, statement: Statement, parameters: Parameters) -> Coroutine[Any, Any, Rows]:
        """Run a statement that reads, as `Executor` says."""
        replicas = self._backend.replicas
        if replicas is None:
            return super().fetch(statement, parameters)
        return replicas.fetch(statement, parameters)


def _refuse_no_choice(**given: object) -> None:
    for name, value in given.items():
        if not isinstance(value, bool):
            raise UsageError(f"{name} must be True or False, not a {type(value).__name__}")


def _refuse_unknown(reads: object) -> None:
    if reads not in get_args(Reads):
        raise UsageError(f"reads must be one of {', '.join(map(repr, get_args(Reads)))}")
