"""The database: runs statements and transactions, and is opened and closed."""

import asyncio
import logging
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Sequence,
)
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Column, Table, Update
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import (
    OutcomeUnknownError,
    PersistenceConnectionError,
    PersistenceError,
)
from synthorg.persistence.log_events import LogEvent, log_event
from synthorg.persistence.sql.dialects.base import Dialect, Sharing
from synthorg.persistence.sql.dialects.positions import Position
from synthorg.persistence.sql.drivers.base import Call
from synthorg.persistence.sql.drivers.cancellation import run_to_completion
from synthorg.persistence.sql.drivers.faults import Diagnosis, Fault, lost
from synthorg.persistence.sql.drivers.forks import never_collect
from synthorg.persistence.sql.drivers.observation import note_another_attempt
from synthorg.persistence.sql.drivers.pool_state import Load, PoolState, state_of
from synthorg.persistence.sql.drivers.server_driver import ServerDriver
from synthorg.persistence.sql.drivers.single_connection import SingleConnectionPool
from synthorg.persistence.sql.drivers.write_lock import DISCONNECTED, WriteLock
from synthorg.persistence.sql.execution.connections import CONNECTION_LOST, Connections, Options
from synthorg.persistence.sql.execution.error_translator import ErrorTranslator, FindSchemaProblem
from synthorg.persistence.sql.execution.executor import Executor, Result, Rows
from synthorg.persistence.sql.execution.failures import (
    connection_failure,
    failure_of,
    redacted,
    transaction_failure,
    unknown_outcome,
)
from synthorg.persistence.sql.execution.own_sql import watch
from synthorg.persistence.sql.execution.ping import Question, ask, connection_for_questions, soon
from synthorg.persistence.sql.execution.retrying import (
    STATEMENT_ATTEMPTS,
    Failure,
    RetryPolicy,
    pauses,
    run_again_if_unknown,
    run_again_on_conflict,
)
from synthorg.persistence.sql.execution.routes import FastRoute, PublicRoute, Route
from synthorg.persistence.sql.execution.seen import Seen
from synthorg.persistence.sql.execution.transaction import Transaction
from synthorg.persistence.sql.statements.compiler import StatementCompiler
from synthorg.persistence.sql.statements.statement import Parameters, Statement, from_expression

logger = logging.getLogger(__name__)

Ready = Callable[[AsyncConnection], Awaitable[None]]
"""Sees to it that a connection, with no transaction begun, is fit for what is to be read."""

CLOSES_UNDER_ITSELF: Final = (
    "this task has a transaction open on the database, or was started inside one, and disconnect() "
    "would wait for itself; end the transaction first"
)
MIGRATES_UNDER_ITSELF: Final = (
    "this task has a transaction open on the database, or was started inside one, and migrate() "
    "would wait for itself; end the transaction first"
)
GONE: Final = "the connection was lost, and now there is nothing to delete"


class Database:
    """One database: each call is a transaction of its own, durable when it returns.

    It makes its engine and disposes it. It belongs to the event loop and the process that opened
    it, since connections survive neither another loop nor a fork.

    Args:
        dialect: The kind of database, with its configuration.
        find_schema_problem: Tells what is wrong with the schema, if anything, when a statement
            did not fit it.
    """

    def __init__(self, dialect: Dialect, find_schema_problem: FindSchemaProblem) -> None:
        self.dialect = dialect
        self.engine = dialect.create_engine()
        self._reading = dialect.begin_options(write=False)
        self._writing = dialect.begin_options(write=True)
        self._statements = StatementCompiler(dialect, self.engine.dialect)
        self._errors = ErrorTranslator(dialect, find_schema_problem)
        self._failures: tuple[type[Exception], ...] = (
            OutcomeUnknownError,
            *self._errors.foreign_errors,
        )
        self._write_lock = WriteLock(dialect.lock_timeout_seconds)
        self._driver_pool = dialect.driver_pool(self.engine, self._write_lock)
        self._connections = Connections(self.engine, dialect, self._errors, self._write_lock)
        if self._driver_pool is not None:
            self._connections.make_room = self._driver_pool.make_room
        self._open: set[Transaction] = set()
        self.seen = Seen()
        """What callers count on seeing again."""
        never_collect(self)
        pool = self.engine.sync_engine.pool
        if isinstance(pool, SingleConnectionPool):
            pool.write_lock = self._write_lock
        watch(
            self.engine,
            self._write_lock,
            one_writer=dialect.sharing is Sharing.ONE_WRITER,
            readers_block=dialect.readers_block_writers,
            seen=self.seen,
        )

    async def open(self) -> None:
        """Connect once, so that a wrong configuration shows now.

        Raises:
            PersistenceConnectionError: If the database cannot be used.
        """
        try:
            async with self._connections.in_transaction(self._reading, write=False) as connection:
                await self.dialect.inspect_server(connection)
            await self.adjust_storage()
            if self._driver_pool is not None:
                await self._driver_pool.open()
        except self._errors.foreign_errors as error:
            diagnosis = self._errors.diagnose(error)
            cause = redacted(error)
        except BaseException:  # also a cancellation: nobody else would close what is open
            await self.close()
            raise
        else:
            return
        await self.close()
        failed = f"cannot connect to {self.dialect.description}"
        raise connection_failure(diagnosis, failed) from cause

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What reading may raise that `diagnose` is for."""
        return self._errors.foreign_errors

    def diagnose(self, error: Exception) -> Diagnosis:
        """Tell what a failure means."""
        return self._errors.diagnose(error)

    @property
    def has_ended(self) -> bool:
        """Whether its connections belong to a parent process, or to an event loop that is over."""
        return self._connections.affinity.has_ended

    @property
    def is_here(self) -> bool:
        """Whether the caller is in the process and the event loop that opened it."""
        return self._connections.affinity.is_here

    def check_not_over(self) -> None:
        """Refuse what nobody in this process can do any more.

        Raises:
            UsageError: If its connections are a parent's, or its event loop has ended.
        """
        self._connections.affinity.check_not_over()

    def check_affinity(self) -> None:
        """Refuse to be used from elsewhere.

        Raises:
            UsageError: If the caller is in another process or event loop.
        """
        self._connections.affinity.check()

    def check_usable(self) -> None:
        """Refuse to be used from elsewhere, or when closed.

        Raises:
            UsageError: If the caller is in another process or event loop.
            PersistenceConnectionError: If it is closed.
        """
        self._connections.check_usable()

    async def wait_for_own(self) -> None:
        """Wait for the transaction inside which this was called, before closing waits for it.

        Raises:
            UsageError: If that is waiting for this call.
        """
        if self.is_here:
            await self._write_lock.wait_for_own_unit(CLOSES_UNDER_ITSELF)
            await self._write_lock.wait_for_own()

    async def adjust_storage(self) -> None:
        """Have the storage as configured, once the schema is this version's."""
        await run_again_on_conflict(self._adjust_storage)

    async def _adjust_storage(self) -> None:
        try:
            await self._try_to_adjust_storage()
        except self._errors.foreign_errors as error:
            diagnosis = self._errors.diagnose(error)
            if not diagnosis.is_conflict:
                raise
            cause = redacted(error)
        else:
            return
        raise transaction_failure(diagnosis) from cause

    async def _try_to_adjust_storage(self) -> None:
        async with self.migration_connection() as connection:

            async def is_current() -> bool:
                problem = await self._errors.find_schema_problem(connection)
                await connection.rollback()
                return problem is None

            await self.dialect.adjust_storage(connection, is_current)

    async def find_settled(self, number: Column[Any]) -> int:
        """Find up to which number no transaction is left that could still write a row.

        Args:
            number: A column that the database counts.

        Raises:
            TransactionConflictError: If a transaction took too long.
            QueryError: If the user may not lock tables.
        """
        try:
            connections = self._connections
            async with connections.locked(write=True), connections.checked_out() as connection:
                return await self.dialect.find_settled(connection, number)
        except self._errors.foreign_errors as error:
            diagnosis = self._errors.diagnose(error)
            cause = redacted(error)
        raise transaction_failure(diagnosis) from cause

    def refuse_to_follow(self, table: Table) -> None:
        """Refuse where other servers number rows, too."""
        self.dialect.refuse_to_follow(table.name)

    async def find_writers(self, table: Table, *, patiently: bool) -> Collection[str] | None:
        """Find the transactions under way that write a table, as `Executor` says."""
        if self.dialect.sharing is not Sharing.ANY:
            return ()  # of one writer, whose rows are numbered in the order of commits
        try:
            async with self._connections.checked_out() as connection:
                return await self.dialect.find_writers(connection, table, patiently=patiently)
        except self._errors.foreign_errors as error:
            diagnosis = self._errors.diagnose(error)
            cause = redacted(error)
        raise transaction_failure(diagnosis) from cause

    @asynccontextmanager
    async def migration_connection(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection with no transaction begun, while nobody else changes data."""
        connections = self._connections
        connections.check_usable()
        await self._write_lock.wait_for_own_unit(MIGRATES_UNDER_ITSELF)
        async with connections.locked(write=True), connections.checked_out() as connection:
            try:
                yield connection
            finally:
                self.seen.note()

    async def close(self) -> None:
        """Refuse new calls and close every connection.

        Transactions under way may end in the time that others would wait for them; those that
        have not are cut off, and whatever is done in them fails.
        """
        connections, affinity = self._connections, self._connections.affinity
        if not affinity.is_in_this_process:
            return  # what is shared with the parent is left alone
        if affinity.is_here:
            if not connections.is_closed:
                connections.is_closed = True
                await run_to_completion(self._close())
        elif affinity.loop.is_running():
            await affinity.run(self.close())
        else:
            connections.is_closed = True
            await self._abandon(loop_is_closed=affinity.loop.is_closed())

    async def _close(self) -> None:
        self._write_lock.close()
        await self._connections.wait_until_unused()
        for transaction in self._open:
            transaction.cut_off(PersistenceConnectionError(DISCONNECTED))
        if self._driver_pool is not None:
            await self._driver_pool.close()
        await self._connections.cut_off()
        await self.engine.dispose()

    async def _abandon(self, *, loop_is_closed: bool) -> None:
        await self.dialect.abandon(loop_is_closed=loop_is_closed)
        if loop_is_closed:
            # Else SQLAlchemy would warn of those in use when they are collected.
            if self._driver_pool is not None:
                await self._driver_pool.abandon()
            await self._connections.cut_off()
            await self.engine.dispose()

    @property
    def skips_unreadable(self) -> bool:
        """Whether lists leave out what cannot be read, as `Executor` says."""
        return self.dialect.skips_unreadable

    @property
    def route(self) -> None:
        """None, since a statement that failed may be run again by another way."""
        return

    @property
    def for_lists(self) -> Executor:
        """What lists are read on, as `Executor` says."""
        return self

    @property
    def load(self) -> Load:
        """What is under way on the database at this moment; may be asked in any thread."""
        kept = PoolState() if self._driver_pool is None else self._driver_pool.state
        oldest = min([each.began for each in tuple(self._open)], default=None)
        needs_lock = self.dialect.sharing is not Sharing.ANY
        return Load(
            kept=kept,
            shared=state_of(self.engine.sync_engine.pool),
            write_queue=kept.waiting_writes + self._write_lock.waiting,
            write_lock_is_held=self._write_lock.is_held if needs_lock else None,
            log_bytes=self.dialect.log_bytes,
            oldest_unit_seconds=None if oldest is None else time.monotonic() - oldest,
        )

    async def ping(self) -> float:
        """Ask the database for an answer, also while all of the pool's connections are in use.

        Returns:
            How many seconds it took, without the wait for a connection.

        Raises:
            Exception: If it gives none.
        """
        self._connections.check_usable()
        began = time.monotonic()
        if self.dialect.sharing is Sharing.ONE:
            await self.dialect.ask_in_between()
            return time.monotonic() - began
        if self._driver_pool is not None:
            with suppress(*self._errors.foreign_errors):  # a kept connection may be lost
                await self._driver_pool.fetch(Call(Question(), ()))
                return time.monotonic() - began
        return await ask(self._connections.engine)

    @asynccontextmanager
    async def connection_for_questions(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection for reading, soon, or one of its own where the pool has none.

        Raises:
            UsageError: If it would wait for a unit of work inside which this was called.
            PersistenceConnectionError: If the only connection does not become free.
            Exception: If none can be had.
        """
        connections = self._connections
        connections.check_usable()
        if self.dialect.sharing is not Sharing.ONE:
            async with connection_for_questions(connections.engine) as connection:
                yield connection
        else:
            async with soon(self._write_lock), connections.checked_out() as connection:
                yield connection

    async def position(self) -> Position | None:
        """Ask how far the database has come; None if it does not say.

        Raises:
            Exception: If there is no answer.
        """
        self._connections.check_usable()
        if self._driver_pool is not None:
            question = Call(Question(self.dialect.position_question), ())
            with suppress(*self._errors.foreign_errors):  # a kept connection may be lost
                (answer,) = await self._driver_pool.fetch(question)
                return self.dialect.position(answer)
        async with self._connections.idle(write=False) as connection:
            return await self.position_on(connection)

    async def position_on(self, connection: AsyncConnection) -> Position | None:
        """Ask how far the server of a connection has come, as `position` does.

        Args:
            connection: The connection, with no transaction begun.
        """
        try:
            asked = connection.exec_driver_sql(self.dialect.position_question)
            return self.dialect.position((await self.dialect.step(connection, asked)).one())
        finally:
            await run_to_completion(connection.rollback())

    async def fetch_once(
        self, ready: Ready, seconds: float, statement: Statement, parameters: Parameters
    ) -> Rows:
        """Run a statement that reads, and never again.

        Args:
            ready: Awaited with the connection before, to raise what speaks against it.
            seconds: How long it may take until a connection is ready.
            statement: The statement.
            parameters: A value for each of its parameters.

        Raises:
            Exception: What `ready`, SQLAlchemy or the driver raised.
        """
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(seconds):
                idle = self._connections.idle(write=False)
                connection = await stack.enter_async_context(idle)
                await ready(connection)
            driver = await self.dialect.driver(connection)
            if driver is not None:
                return await self._send(
                    connection, driver, self._statements.call(statement, parameters)
                )
            async with self._connections.begun(connection, self._reading, write=False):
                route = PublicRoute(connection, self.dialect, self._statements)
                return await route.fetch(statement, parameters)

    async def plan(self, statement: Statement) -> Sequence[str]:
        """Ask how a statement would be carried out, whatever its values, without doing so.

        Args:
            statement: The statement.

        Returns:
            The plan in the words of the database, line by line.

        Raises:
            Exception: If there is no answer.
        """
        expression = self._statements.expression(statement)
        connections = self._connections
        connections.check_usable()
        async with connections.locked(write=False), connections.checked_out() as connection:
            await connection.execution_options(**self._reading)
            return await self.dialect.plan(connection, expression)

    async def _send(self, connection: AsyncConnection, driver: ServerDriver, call: Call) -> Rows:
        try:
            with self.dialect.answer_timeout(connection):
                return call.statement.decode(await driver.send(call))
        except self._errors.foreign_errors:
            raise
        except BaseException:  # left half done, so that the next answer might be this one's
            await run_to_completion(connection.invalidate())
            raise

    async def fetch(self, statement: Statement, parameters: Parameters) -> Rows:
        """Run a statement that reads, as `Executor` says."""
        began = asyncio.get_running_loop().time()
        try:
            if self._driver_pool is None:
                return await self._read(statement, parameters)
            call = self._statements.call(statement, parameters)
            self._connections.check_usable()
            return await self._driver_pool.fetch(call)
        except self._failures as error:
            failure = self._failure(error, on_kept_connection=self._driver_pool is not None)
        return await self._run_again(self._read, statement, parameters, began, failure)

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes, as `Executor` says."""
        began = asyncio.get_running_loop().time()
        try:
            if self._driver_pool is None:
                return await self._write(statement, parameters)
            call = self._statements.call(statement, parameters)
            self._connections.check_usable()
            return await self._driver_pool.execute(call)
        except self._failures as error:
            failure = self._failure(error, on_kept_connection=self._driver_pool is not None)
        finally:
            self.seen.note()
        try:
            return await self._run_again(self._write, statement, parameters, began, failure)
        finally:
            self.seen.note()

    async def execute_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        """Run a statement that writes many times, as `Executor` says."""

        async def write(executor: Executor) -> None:
            await executor.execute_many(statement, parameters)

        await self.atomically(write, repeatable=True, idempotent=statement.repeatable)

    async def atomically(
        self,
        work: Callable[[Executor], Awaitable[Result]],
        *,
        repeatable: bool,
        idempotent: bool = False,
    ) -> Result:
        """Do several things in one transaction, as `Executor` says."""

        async def attempt() -> Result:
            async with self._transaction(self._writing) as transaction:
                return await work(transaction)

        async def attempts() -> Result:
            if not repeatable:
                return await attempt()
            return await run_again_on_conflict(
                attempt, survives_failover=self.dialect.survives_failover
            )

        return await (run_again_if_unknown(attempts) if idempotent else attempts())

    def unit(
        self, *, read_only: bool, ready: Ready | None = None, savepoints: bool = True
    ) -> AbstractAsyncContextManager[Transaction]:
        """Begin a transaction for reading and then writing what follows, or for reading alone.

        Args:
            read_only: Whether to read one state of the database and refuse writes.
            ready: For reading alone, awaited with the connection before it begins.
            savepoints: Whether what fails is undone alone.
        """
        dialect = self.dialect
        if read_only:
            return self._transaction(
                dialect.snapshot_options(), read_only=True, ready=ready, savepoints=savepoints
            )
        unit = self._transaction(dialect.unit_options(), savepoints=savepoints)
        return unit if dialect.ordering is None else _ordered(unit, dialect.ordering)

    @asynccontextmanager
    async def _transaction(
        self,
        options: Options,
        *,
        read_only: bool = False,
        ready: Ready | None = None,
        savepoints: bool = True,
    ) -> AsyncIterator[Transaction]:
        """Begin a transaction; leaving commits it, and an exception rolls it back.

        Args:
            options: How it begins, and how isolated it is from others.
            read_only: Whether writes are refused.
            ready: Awaited with the connection before it begins.
            savepoints: Whether what fails is undone alone.

        Raises:
            TransactionConflictError: If it met another transaction and has to be run again.
            PersistenceConnectionError: If the connection was lost.
        """
        callers_error: BaseException | None = None
        try:
            async with self._route(options, write=not read_only, ready=ready) as route:
                transaction = Transaction(
                    route,
                    self.dialect,
                    self._errors,
                    self._explained,
                    self._connections.affinity.check,
                    read_only=read_only,
                    savepoints=savepoints,
                )
                try:
                    with self._noted(transaction, read_only=read_only):
                        yield transaction
                except BaseException as error:
                    callers_error = error
                    raise
                if transaction.fatal_error is not None:
                    raise transaction.fatal_error
        except self._errors.foreign_errors as error:
            if error is callers_error:
                raise
            diagnosis = self._errors.diagnose(error)
            cause = redacted(error)
        else:
            return
        finally:
            if not read_only:
                self.seen.note()
        raise transaction_failure(diagnosis) from cause

    @contextmanager
    def _noted(self, transaction: Transaction, *, read_only: bool) -> Iterator[None]:
        """Let those know of a transaction who may have to wait for its end, until it has ended."""
        self._open.add(transaction)
        try:
            with (
                self._connections.in_use_by(transaction),
                self._write_lock.unit(blocks=self._keeps_waiting(read_only=read_only)) as noted,
            ):
                transaction.step = noted.step
                yield
        finally:
            transaction.end()
            self._open.discard(transaction)

    @asynccontextmanager
    async def _route(
        self, options: Options, *, write: bool, ready: Ready | None = None
    ) -> AsyncIterator[Route]:
        """Begin a transaction by the fastest way there is."""
        connections, dialect, statements = self._connections, self.dialect, self._statements
        connections.check_usable()
        kept = self._driver_pool.transaction() if write and self._driver_pool is not None else None
        if kept is not None:
            async with kept as driver_transaction:
                yield FastRoute(driver_transaction, dialect, statements)
            return
        async with connections.idle(write=write) as connection:
            if ready is not None:
                await ready(connection)
            direct = await dialect.driver_transaction(connection, options)
            if direct is None:
                async with connections.begun(connection, options, write=write):
                    yield PublicRoute(connection, dialect, statements)
                return
            try:
                yield FastRoute(direct, dialect, statements)
            except BaseException:
                await direct.rollback()
                raise
            if write:
                in_place = direct.completes_in_place
                await connections.commit(connection, direct.commit(), in_place=in_place)
            else:
                await direct.rollback()

    def _keeps_waiting(self, *, read_only: bool) -> bool:
        """Tell whether a transaction keeps whatever needs the write lock waiting."""
        if self.dialect.sharing is Sharing.ONE_WRITER:
            return not read_only or self.dialect.readers_block_writers
        return self.dialect.sharing is Sharing.ONE

    async def _read(self, statement: Statement, parameters: Parameters) -> Rows:
        values = self._statements.values(statement, parameters)
        expression = self._statements.expression(statement)
        async with self._connections.in_transaction(self._reading, write=False) as connection:
            step = connection.execute(expression, values)
            return (await self.dialect.step(connection, step)).all()

    async def _write(self, statement: Statement, parameters: Parameters) -> int:
        values = self._statements.values(statement, parameters)
        expression = self._statements.expression(statement)
        async with self._connections.in_transaction(self._writing, write=True) as connection:
            step = connection.execute(expression, values)
            return (await self.dialect.step(connection, step)).rowcount

    async def _run_again(
        self,
        attempt: Callable[[Statement, Parameters], Awaitable[Result]],
        statement: Statement,
        parameters: Parameters,
        began: float,
        failure: Failure,
    ) -> Result:
        """Run a statement again that failed, in a transaction of its own, as its policy allows.

        Args:
            attempt: Runs it through SQLAlchemy.
            statement: The statement.
            parameters: Its parameters.
            began: The time of the event loop before the first attempt.
            failure: What came of that.
        """
        deadline = began + self.dialect.lock_timeout_seconds
        policy = RetryPolicy(
            statement,
            self.dialect.duplicate_may_pass,
            deadline,
            self.dialect.survives_failover,
        )
        failures = [failure]
        for pause in pauses(STATEMENT_ATTEMPTS):
            if pause is None or not policy.allows(failures):
                break
            _tell_of_another_attempt(statement, failures[-1].diagnosis)
            note_another_attempt()
            if not failures[-1].diagnosis.is_crowd:  # others are there, and are waited for
                await asyncio.sleep(pause)
            try:
                outcome = await attempt(statement, parameters)
            except self._failures as error:
                failures.append(self._failure(error, on_kept_connection=False))
            else:
                if policy.hides(outcome, failures):
                    raise unknown_outcome(statement, parameters, GONE, self.dialect.table_prefix)
                return outcome
        raise await self._error_of(failures, policy, parameters) from failures[-1].cause

    def _failure(self, error: Exception, *, on_kept_connection: bool) -> Failure:
        if isinstance(error, OutcomeUnknownError):
            return Failure(lost(CONNECTION_LOST), error.__cause__)
        diagnosis = self._errors.diagnose(error)
        if not on_kept_connection:  # nothing is stored, since its commit was not sent
            diagnosis = replace(diagnosis, answer_is_lost=False)
        return Failure(diagnosis, redacted(error), on_kept_connection)

    async def _error_of(
        self, failures: Sequence[Failure], policy: RetryPolicy, parameters: Parameters
    ) -> PersistenceError:
        """Make the error for a statement of which all attempts failed."""
        diagnosis, prefix = failures[-1].diagnosis, self.dialect.table_prefix
        if policy.leaves_unknown(failures):
            return unknown_outcome(policy.statement, parameters, diagnosis.reason, prefix)
        error = failure_of(diagnosis, policy.statement, parameters, prefix)
        if diagnosis.fault is not Fault.SCHEMA:
            return error
        async with self._connections.locked(write=False):
            return await self._explained(error)

    async def _explained(self, error: PersistenceError) -> PersistenceError:
        """Find out whether an error is due to a schema that is not this version's."""
        try:
            async with self._connections.checked_out() as connection:
                await connection.execution_options(**self._reading)
                return await self._errors.schema_error(connection, error)
        except self._errors.foreign_errors:  # no connection is to be had for that question
            return error


@asynccontextmanager
async def _ordered(
    unit: AbstractAsyncContextManager[Transaction], ordering: Update
) -> AsyncIterator[Transaction]:
    """Have a unit of work end with a statement, if it may have written anything."""
    async with unit as transaction:
        yield transaction
        if transaction.has_written and transaction.fatal_error is None:
            await transaction.execute(_statement_of(ordering), {})


@lru_cache
def _statement_of(ordering: Update) -> Statement:
    assert isinstance(ordering.table, Table)
    return from_expression("order", ordering.table, ordering)


def _tell_of_another_attempt(statement: Statement, diagnosis: Diagnosis) -> None:
    is_lost = diagnosis.fault is Fault.CONNECTION
    log_event(
        logger,
        LogEvent.CONNECTION_RETRIED if is_lost else LogEvent.CONFLICT_RETRIED,
        what="statement",
        table=statement.table.name,
        reason=diagnosis.reason,
    )
