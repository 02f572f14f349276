"""The database: owns the engine and its connections, and begins and ends transactions."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import (
    OutcomeUnknownError,
    PersistenceConnectionError,
    PersistenceError,
)
from synthorg.persistence.sql.dialects.base import Dialect, Sharing
from synthorg.persistence.sql.drivers.cancellation import run_to_completion
from synthorg.persistence.sql.drivers.faults import Fault, lost
from synthorg.persistence.sql.drivers.forks import keep_alive
from synthorg.persistence.sql.drivers.single_connection import SingleConnectionPool, holding_lock
from synthorg.persistence.sql.drivers.write_lock import DISCONNECTED, WriteLock
from synthorg.persistence.sql.execution.affinity import Affinity
from synthorg.persistence.sql.execution.executor import Executor, Result, Rows
from synthorg.persistence.sql.execution.failures import (
    failure_of,
    redacted,
    transaction_failure,
    unknown_outcome,
)
from synthorg.persistence.sql.execution.own_sql import LIBRARY, watch
from synthorg.persistence.sql.execution.ping import Question, ask
from synthorg.persistence.sql.execution.preparation import FindSchemaProblem, Preparation
from synthorg.persistence.sql.execution.retrying import (
    STATEMENT_ATTEMPTS,
    Failure,
    RetryPolicy,
    pauses,
    run_again_if_unknown,
    run_again_on_conflict,
)
from synthorg.persistence.sql.execution.routes import FastRoute, PublicRoute, Route
from synthorg.persistence.sql.execution.transaction import Transaction
from synthorg.persistence.sql.statements.statement import Parameters, Statement

logger = logging.getLogger(__name__)

Options = Mapping[str, Any]
"""SQLAlchemy's execution options of a connection."""

CONNECTION_LOST: Final = "the connection was lost while committing"
CLOSES_UNDER_ITSELF: Final = (
    "this task has a transaction open on the database, or was started inside one, and disconnect() "
    "would wait for itself; end the transaction first"
)
MIGRATES_UNDER_ITSELF: Final = (
    "this task has a transaction open on the database, or was started inside one, and migrate() "
    "would wait for itself; end the transaction first"
)

COMMIT_UNKNOWN: Final = (
    f"{CONNECTION_LOST}, so that the changes may or may not be stored; read before writing again"
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
        self._preparation = Preparation(dialect, self.engine.dialect, find_schema_problem)
        self._write_lock = WriteLock(dialect.lock_timeout_seconds)
        self._driver_pool = dialect.driver_pool(self._write_lock)
        self._affinity = Affinity()
        self._closed = False
        self._in_use: set[AsyncConnection] = set()
        self._open: set[Transaction] = set()
        self._ended = asyncio.Event()
        keep_alive(self)
        pool = self.engine.sync_engine.pool
        if isinstance(pool, SingleConnectionPool):
            pool.write_lock = self._write_lock
        watch(
            self.engine,
            self._write_lock,
            one_writer=dialect.sharing is Sharing.ONE_WRITER,
            readers_block=dialect.readers_block_writers,
        )
        self._own = self.engine.execution_options(**{LIBRARY: True})

    async def open(self) -> None:
        """Connect once, so that a wrong configuration shows now.

        Raises:
            PersistenceConnectionError: If the database cannot be used.
        """
        try:
            async with self._connection(self._reading, write=False) as connection:
                await self.dialect.inspect_server(connection)
            await self.adjust_storage()
            if self._driver_pool is not None:
                await self._driver_pool.open()
        except self._preparation.foreign_errors as error:
            reason = self._preparation.diagnose(error).reason
            cause = redacted(error)
        except BaseException:  # also a cancellation: nobody else would close what is open
            await self.close()
            raise
        else:
            return
        await self.close()
        raise PersistenceConnectionError(
            f"cannot connect to {self.dialect.description}: {reason}"
        ) from cause

    @property
    def has_ended(self) -> bool:
        """Whether its connections belong to a parent process, or to an event loop that is over."""
        return self._affinity.has_ended

    @property
    def is_here(self) -> bool:
        """Whether the caller is in the process and the event loop that opened it."""
        return self._affinity.is_here

    def check_not_over(self) -> None:
        """Refuse what nobody in this process can do any more.

        Raises:
            UsageError: If its connections are a parent's, or its event loop has ended.
        """
        self._affinity.check_not_over()

    def check_affinity(self) -> None:
        """Refuse to be used from elsewhere.

        Raises:
            UsageError: If the caller is in another process or event loop.
        """
        self._affinity.check_affinity()

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
        async with self.migration_connection() as connection:

            async def is_current() -> bool:
                problem = await self._preparation.find_schema_problem(connection)
                await connection.rollback()
                return problem is None

            await self.dialect.adjust_storage(connection, is_current)

    async def close(self) -> None:
        """Refuse new calls and close every connection.

        Transactions under way may end in the time that others would wait for them; those that
        have not are cut off, and whatever is done in them fails.
        """
        if not self._affinity.is_in_this_process:
            return  # what is shared with the parent is left alone
        if self._affinity.is_here:
            if not self._closed:
                self._closed = True
                await run_to_completion(self._close())
        elif self._affinity.loop.is_running():
            await self._affinity.run(self.close())
        else:
            self._closed = True
            await self.dialect.abandon()

    async def _close(self) -> None:
        self._write_lock.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.dialect.lock_timeout_seconds):
                while self._in_use or self._open:
                    self._ended.clear()
                    await self._ended.wait()
        for transaction in self._open:
            transaction.cut_off(PersistenceConnectionError(DISCONNECTED))
        if self._driver_pool is not None:
            await self._driver_pool.close()
        for connection in list(self._in_use):
            with suppress(*self._preparation.foreign_errors):
                await connection.invalidate()
        await self.engine.dispose()

    @property
    def skips_unreadable(self) -> bool:
        """Whether lists leave out what cannot be read, as `Executor` says."""
        return self.dialect.skips_unreadable

    async def ping(self) -> None:
        """Ask the database for an answer, also while all of the pool's connections are in use.

        Raises:
            Exception: If it gives none.
        """
        self._check_affinity()
        if self.dialect.sharing is Sharing.ONE:
            await self.dialect.ask_in_between()
            return
        if self._driver_pool is not None:
            with suppress(*self._preparation.foreign_errors):  # a kept connection may be lost
                await self._driver_pool.fetch(Question(), ())
                return
        await ask(self._own)

    async def fetch(self, statement: Statement, parameters: Parameters) -> Rows:
        """Run a statement that reads, as `Executor` says."""
        if self._driver_pool is None:
            return await self._alone(self._read, statement, parameters)
        prepared = self._preparation.prepared(statement)
        values = self._preparation.bound(prepared, parameters)
        self._check_affinity()
        try:
            return await self._driver_pool.fetch(prepared, values)
        except self._preparation.foreign_errors as error:
            failure = Failure(
                self._preparation.diagnose(error), redacted(error), on_kept_connection=True
            )
        return await self._alone(self._read, statement, parameters, failure)

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes, as `Executor` says."""
        if self._driver_pool is None:
            return await self._alone(self._write, statement, parameters)
        prepared = self._preparation.prepared(statement)
        values = self._preparation.bound(prepared, parameters)
        self._check_affinity()
        try:
            return await self._driver_pool.execute(prepared, values)
        except self._preparation.foreign_errors as error:
            failure = Failure(
                self._preparation.diagnose(error), redacted(error), on_kept_connection=True
            )
        return await self._alone(self._write, statement, parameters, failure)

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
            return await (run_again_on_conflict(attempt) if repeatable else attempt())

        return await (run_again_if_unknown(attempts) if idempotent else attempts())

    def unit(self, *, read_only: bool) -> AbstractAsyncContextManager[Transaction]:
        """Begin a transaction for reading and then writing what follows, or for reading alone.

        Args:
            read_only: Whether to read one state of the database and refuse writes.
        """
        dialect = self.dialect
        options = dialect.snapshot_options() if read_only else dialect.unit_options()
        return self._transaction(options, read_only=read_only)

    @asynccontextmanager
    async def _transaction(
        self, options: Options, *, read_only: bool = False
    ) -> AsyncIterator[Transaction]:
        """Begin a transaction; leaving commits it, and an exception rolls it back.

        Args:
            options: How it begins, and how isolated it is from others.
            read_only: Whether writes are refused.

        Raises:
            TransactionConflictError: If it met another transaction and has to be run again.
            PersistenceConnectionError: If the connection was lost.
        """
        callers_error: BaseException | None = None
        try:
            async with self._route(options, write=not read_only) as route:
                transaction = Transaction(
                    route,
                    self._preparation,
                    self._explained,
                    self._affinity.check_affinity,
                    read_only=read_only,
                )
                self._open.add(transaction)
                try:
                    with self._write_lock.unit(
                        blocks=self._keeps_waiting(read_only=read_only)
                    ) as noted:
                        transaction.step = noted.step
                        yield transaction
                except BaseException as error:
                    callers_error = error
                    raise
                finally:
                    transaction.end()
                    self._open.discard(transaction)
                    self._ended.set()
                if transaction.fatal_error is not None:
                    raise transaction.fatal_error
        except self._preparation.foreign_errors as error:
            if error is callers_error:
                raise
            diagnosis = self._preparation.diagnose(error)
            cause = redacted(error)
        else:
            return
        raise transaction_failure(diagnosis) from cause

    @asynccontextmanager
    async def _route(self, options: Options, *, write: bool) -> AsyncIterator[Route]:
        """Give a connection in a transaction, by the fastest way there is."""
        self._check_affinity()
        kept = self._driver_pool.transaction() if write and self._driver_pool is not None else None
        if kept is not None:
            async with kept as driver_transaction:
                yield FastRoute(driver_transaction, self._preparation)
            return
        async with self._held(write=write) as connection:
            direct = await self.dialect.direct(connection, options)
            if direct is None:
                async with self._begun(connection, options, write=write):
                    yield PublicRoute(connection, self._preparation)
                return
            try:
                yield FastRoute(direct, self._preparation)
            except BaseException:
                await direct.rollback()
                raise
            await (self._commit(connection, direct.commit()) if write else direct.rollback())

    @asynccontextmanager
    async def migration_connection(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection with no transaction begun, while nobody else changes data."""
        self._check_affinity()
        await self._write_lock.wait_for_own_unit(MIGRATES_UNDER_ITSELF)
        async with self._locked(write=True), self._checked_out() as connection:
            yield connection

    async def _read(self, statement: Statement, parameters: Parameters) -> Rows:
        values = self._preparation.values(statement, parameters)
        expression = self._preparation.expression(statement)
        async with self._connection(self._reading, write=False) as connection:
            step = connection.execute(expression, values)
            return (await self.dialect.step(connection, step)).all()

    async def _write(self, statement: Statement, parameters: Parameters) -> int:
        values = self._preparation.values(statement, parameters)
        expression = self._preparation.expression(statement)
        async with self._connection(self._writing, write=True) as connection:
            step = connection.execute(expression, values)
            return (await self.dialect.step(connection, step)).rowcount

    async def _alone(
        self,
        attempt: Callable[[Statement, Parameters], Awaitable[Result]],
        statement: Statement,
        parameters: Parameters,
        failure: Failure | None = None,
    ) -> Result:
        """Run one statement in a transaction of its own, again if that may help.

        Args:
            attempt: Runs it through SQLAlchemy.
            statement: The statement.
            parameters: Its parameters.
            failure: What came of a first attempt, on the fast route.
        """
        self._check_affinity()
        policy = RetryPolicy(
            statement,
            self.dialect.duplicate_may_pass,
            asyncio.get_running_loop().time() + self.dialect.lock_timeout_seconds,
        )
        failures: list[Failure] = []
        for pause in pauses(STATEMENT_ATTEMPTS):
            if failure is None:
                outcome = await self._attempted(attempt, statement, parameters)
                if not isinstance(outcome, Failure):
                    if policy.hides(outcome, failures):
                        raise unknown_outcome(statement, parameters, GONE)
                    return outcome
                failure = outcome
            failures.append(failure)
            if pause is None or not policy.allows(failure, failures[:-1]):
                break
            failure = None
            logger.info("running a statement again", extra={"table": statement.table.name})
            await asyncio.sleep(pause)
        raise await self._error_of(failures, policy, parameters) from failures[-1].cause

    async def _attempted(
        self,
        attempt: Callable[[Statement, Parameters], Awaitable[Result]],
        statement: Statement,
        parameters: Parameters,
    ) -> Result | Failure:
        """Make one attempt, of which nothing is stored unless its commit was sent."""
        try:
            return await attempt(statement, parameters)
        except OutcomeUnknownError as error:
            return Failure(lost(CONNECTION_LOST), error.__cause__)
        except self._preparation.foreign_errors as error:
            diagnosis = replace(self._preparation.diagnose(error), answer_is_lost=False)
            return Failure(diagnosis, redacted(error))

    async def _error_of(
        self, failures: Sequence[Failure], policy: RetryPolicy, parameters: Parameters
    ) -> PersistenceError:
        """Make the error for a statement of which all attempts failed."""
        diagnosis = failures[-1].diagnosis
        if policy.leaves_unknown(failures):
            return unknown_outcome(policy.statement, parameters, diagnosis.reason)
        error = failure_of(diagnosis, policy.statement, parameters)
        if diagnosis.fault is not Fault.SCHEMA:
            return error
        async with self._locked(write=False):
            return await self._explained(error)

    async def _explained(self, error: PersistenceError) -> PersistenceError:
        """Find out whether an error is due to a schema that is not this version's."""
        async with self._checked_out() as connection:
            await connection.execution_options(**self._reading)
            return await self._preparation.schema_error(connection, error)

    @asynccontextmanager
    async def _connection(self, options: Options, *, write: bool) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction, committed when it wrote and nothing failed."""
        async with (
            self._held(write=write) as connection,
            self._begun(connection, options, write=write),
        ):
            yield connection

    @asynccontextmanager
    async def _held(self, *, write: bool) -> AsyncIterator[AsyncConnection]:
        """Give a connection with no transaction begun, once the caller may use it."""
        self._check_affinity()
        async with self._locked(write=write), self._checked_out() as connection:
            try:
                self._check_affinity()  # it may have been closed while this waited
                yield connection
            finally:
                if self._closed:
                    # Its pool is gone, and would be no place to give it back to.
                    await run_to_completion(connection.invalidate())

    @asynccontextmanager
    async def _checked_out(self) -> AsyncIterator[AsyncConnection]:
        connection = self._own.connect()
        with holding_lock():
            await connection.start()
        self._in_use.add(connection)
        try:
            yield connection
        finally:
            try:
                await run_to_completion(self._given_back(connection))
            finally:
                self._in_use.discard(connection)
                self._ended.set()

    async def _given_back(self, connection: AsyncConnection) -> None:
        """Roll back what was not committed; a cancelled caller must not leave that undone."""
        # What is lost now says nothing of what was done before.
        with suppress(*self._preparation.foreign_errors):
            try:
                with self.dialect.answer_timeout(connection):
                    await connection.close()
            except BaseException:
                await connection.invalidate()
                raise

    @asynccontextmanager
    async def _begun(
        self, connection: AsyncConnection, options: Options, *, write: bool
    ) -> AsyncIterator[None]:
        """Have the first statement begin a transaction, committed as `_connection` says."""
        # As options of the engine, they would be sent to the server before there is something to
        # close, so that a cancellation meanwhile would leave the connection checked out.
        await connection.execution_options(**options)
        yield
        if not write:
            return
        try:
            await self._commit(connection, connection.commit())
        except BaseException:
            # SQLAlchemy takes a transaction whose COMMIT failed for ended, and would hand it on to
            # the next user; without it, the pool rolls back whatever is open on the connection.
            await run_to_completion(connection.rollback())
            raise

    async def _commit(self, connection: AsyncConnection, commit: Awaitable[None]) -> None:
        try:
            with self.dialect.answer_timeout(connection):
                await run_to_completion(commit)
        except self._preparation.foreign_errors as error:
            if not self._preparation.diagnose(error).answer_is_lost:
                raise
            cause = redacted(error)
        else:
            return
        raise OutcomeUnknownError(COMMIT_UNKNOWN) from cause

    def _locked(self, *, write: bool) -> AbstractAsyncContextManager[None]:
        sharing = self.dialect.sharing
        if sharing is Sharing.ONE or (write and sharing is Sharing.ONE_WRITER):
            return self._write_lock
        return nullcontext()

    def _keeps_waiting(self, *, read_only: bool) -> bool:
        """Tell whether a transaction keeps whatever needs the write lock waiting."""
        if self.dialect.sharing is Sharing.ONE_WRITER:
            return not read_only or self.dialect.readers_block_writers
        return self.dialect.sharing is Sharing.ONE

    def _check_affinity(self) -> None:
        self._affinity.check_affinity()
        if self._closed:
            raise PersistenceConnectionError(DISCONNECTED)
