"""The database: owns the engine and its connections, and begins and ends transactions."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import (
    OutcomeUnknownError,
    PersistenceConnectionError,
    PersistenceError,
)
from synthorg.persistence.sql.completion import to_the_end
from synthorg.persistence.sql.dialects.base import Dialect, Fault, Sharing, lost
from synthorg.persistence.sql.dialects.silence import SilenceError
from synthorg.persistence.sql.executor import Executor, Result, Rows
from synthorg.persistence.sql.failures import (
    failure_of,
    redacted,
    transaction_failure,
    unknown_outcome,
)
from synthorg.persistence.sql.lanes import DISCONNECTED
from synthorg.persistence.sql.preparation import FindSchemaProblem, Preparation
from synthorg.persistence.sql.retrying import (
    STATEMENT_ATTEMPTS,
    Failure,
    RetryPolicy,
    pauses,
    run_again_if_unknown,
    run_again_on_conflict,
)
from synthorg.persistence.sql.session import DirectSession, PublicSession, Session
from synthorg.persistence.sql.statements import Parameters, Statement
from synthorg.persistence.sql.transaction import Transaction
from synthorg.persistence.sql.turns import Turns

logger = logging.getLogger(__name__)

Options = Mapping[str, Any]
"""SQLAlchemy's execution options of a connection."""

CONNECTION_LOST: Final = "the connection was lost while committing"
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
        self._turns = Turns(dialect.patience_seconds)
        self._express = dialect.express(self._turns)
        self._home = (os.getpid(), asyncio.get_running_loop())
        self._closed = False

    async def open(self) -> None:
        """Connect once, so that a wrong configuration shows now.

        Raises:
            PersistenceConnectionError: If the database cannot be used.
        """
        try:
            async with self._connection(self._reading, write=False) as connection:
                await self.dialect.inspect_server(connection)
            if self._express is not None:
                await self._express.open()
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

    async def close(self) -> None:
        """Refuse new calls and close every connection; one in use as soon as it is free."""
        self._closed = True
        await to_the_end(self._close())

    async def _close(self) -> None:
        if self._express is not None:
            await self._express.close()
        with suppress(PersistenceConnectionError):  # who keeps it for too long loses it
            # The pool of a database in memory closes its one connection even while it is in use.
            async with self._turn(write=True):
                pass
        await self.engine.dispose()

    @property
    def skips_unreadable(self) -> bool:
        """Whether lists leave out what cannot be read, as `Executor` says."""
        return self.dialect.skips_unreadable

    async def ping(self) -> None:
        """Ask the database for an answer.

        Raises:
            Exception: If it gives none.
        """
        async with self._connection(self._reading, write=False) as connection:
            await self.dialect.step(connection, connection.execute(text("SELECT 1")))

    async def fetch(self, statement: Statement, parameters: Parameters) -> Rows:
        """Run a statement that reads, as `Executor` says."""
        if self._express is None:
            return await self._alone(self._read, statement, parameters)
        prepared = self._preparation.prepared(statement)
        values = self._preparation.bound(prepared, parameters)
        self._refuse_strangers()
        try:
            return await self._express.fetch(prepared, values)
        except self._preparation.foreign_errors as error:
            failure = Failure(self._preparation.diagnose(error), redacted(error), by_lane=True)
        return await self._alone(self._read, statement, parameters, failure)

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes, as `Executor` says."""
        if self._express is None:
            return await self._alone(self._write, statement, parameters)
        prepared = self._preparation.prepared(statement)
        values = self._preparation.bound(prepared, parameters)
        self._refuse_strangers()
        try:
            return await self._express.execute(prepared, values)
        except self._preparation.foreign_errors as error:
            failure = Failure(self._preparation.diagnose(error), redacted(error), by_lane=True)
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
            async with self._session(options, write=not read_only) as session:
                transaction = Transaction(
                    session, self._preparation, self._explained, read_only=read_only
                )
                try:
                    yield transaction
                except BaseException as error:
                    callers_error = error
                    raise
                finally:
                    transaction.end()
                if transaction.doom is not None:
                    raise transaction.doom
        except self._preparation.foreign_errors as error:
            if error is callers_error:
                raise
            diagnosis = self._preparation.diagnose(error)
            cause = redacted(error)
        else:
            return
        raise transaction_failure(diagnosis) from cause

    @asynccontextmanager
    async def _session(self, options: Options, *, write: bool) -> AsyncIterator[Session]:
        """Give a connection in a transaction, by the fastest way there is."""
        self._refuse_strangers()
        kept = self._express.transaction() if write and self._express is not None else None
        if kept is not None:
            async with kept as driver_transaction:
                yield DirectSession(driver_transaction, self._preparation)
            return
        async with self._held(write=write) as connection:
            direct = await self.dialect.direct(connection, options)
            if direct is None:
                async with self._begun(connection, options, write=write):
                    yield PublicSession(connection, self._preparation)
                return
            try:
                yield DirectSession(direct, self._preparation)
            except BaseException:
                await direct.rollback()
                raise
            await (self._commit(connection, direct.commit()) if write else direct.rollback())

    @asynccontextmanager
    async def migration_connection(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection with no transaction begun, while nobody else changes data."""
        async with self._turn(write=True), self._checked_out() as connection:
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
        self._refuse_strangers()
        policy = RetryPolicy(
            statement,
            self.dialect.duplicate_may_pass,
            asyncio.get_running_loop().time() + self.dialect.patience_seconds,
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
        return await self._explained(error) if diagnosis.fault is Fault.SCHEMA else error

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
        """Give a connection with no transaction begun, when it is the caller's turn."""
        self._refuse_strangers()
        async with self._turn(write=write), self._checked_out() as connection:
            try:
                self._refuse_strangers()  # it may have been closed while this waited
                yield connection
            finally:
                if self._closed:
                    # Its pool is gone, and would be no place to give it back to.
                    await to_the_end(connection.invalidate())

    @asynccontextmanager
    async def _checked_out(self) -> AsyncIterator[AsyncConnection]:
        connection = self.engine.connect()
        await connection.start()
        try:
            yield connection
        finally:
            # Rolls back what was not committed; a cancelled caller must not leave that undone.
            with suppress(SilenceError), self.dialect.patience(connection):
                await to_the_end(connection.close())

    @asynccontextmanager
    async def _begun(
        self, connection: AsyncConnection, options: Options, *, write: bool
    ) -> AsyncIterator[None]:
        """Have the first statement begin a transaction, committed as `_connection` says."""
        # As options of the engine, they would be sent to the server before there is something to
        # close, so that a cancellation meanwhile would leave the connection checked out.
        await connection.execution_options(**options)
        yield
        if write:
            await self._commit(connection, connection.commit())

    async def _commit(self, connection: AsyncConnection, commit: Awaitable[None]) -> None:
        try:
            with self.dialect.patience(connection):
                await to_the_end(commit)
        except self._preparation.foreign_errors as error:
            if not self._preparation.diagnose(error).answer_is_lost:
                raise
            cause = redacted(error)
        else:
            return
        raise OutcomeUnknownError(COMMIT_UNKNOWN) from cause

    def _turn(self, *, write: bool) -> AbstractAsyncContextManager[None]:
        sharing = self.dialect.sharing
        if sharing is Sharing.ONE or (write and sharing is Sharing.ONE_WRITER):
            return self._turns
        return nullcontext()

    def _refuse_strangers(self) -> None:
        if self._closed:
            raise PersistenceConnectionError(DISCONNECTED)
        process, loop = self._home
        if os.getpid() != process:
            raise PersistenceConnectionError(
                "this backend was connected in another process; connect a new one after a fork"
            )
        if asyncio.get_running_loop() is not loop:
            raise PersistenceConnectionError(
                "this backend was connected in another event loop; connect a new one in this loop"
            )
