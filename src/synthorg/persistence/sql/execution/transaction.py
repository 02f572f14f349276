"""One transaction on one connection, as an executor for repositories."""

import asyncio
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from typing import Any, Final

from sqlalchemy import Table, event
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import (
    DuplicateRecordError,
    PersistenceError,
    QueryError,
    TransactionConflictError,
    UsageError,
)
from synthorg.persistence.observing import RouteName
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.drivers.faults import FATAL, Diagnosis, Fault
from synthorg.persistence.sql.execution.error_translator import ErrorTranslator
from synthorg.persistence.sql.execution.executor import Executor, Result, Rows
from synthorg.persistence.sql.execution.failures import failure_of, redacted, transaction_failure
from synthorg.persistence.sql.execution.own_sql import may_write
from synthorg.persistence.sql.execution.routes import Route
from synthorg.persistence.sql.execution.unit_connection import UnitConnection
from synthorg.persistence.sql.statements.statement import Parameters, Statement

NO_ROW: Final[Parameters] = {}

READ_ONLY: Final = "this unit of work is read-only"

WITHOUT_SAVEPOINTS: Final = (
    "no part of this unit of work can fail alone, since it was begun with savepoints=False"
)

TWO_TASKS: Final = "two tasks use the same unit of work at once; give each task its own"

Explain = Callable[[PersistenceError], Awaitable[PersistenceError]]
"""Finds out whether an error is due to a schema that is not this version's."""


class Transaction:
    """Statements that are committed together.

    A statement that fails has written nothing, and the transaction goes on; only after a
    conflict, a cancelled call or a lost connection nothing but its rollback is left. Without
    savepoints, that is so after whatever fails.

    Args:
        route: The way to its connection, which this alone uses.
        dialect: The kind of database.
        errors: What its errors mean.
        explain: Asked about an error that the schema may have caused.
        check_affinity: Raises where its connection cannot be used, such as after a fork.
        read_only: Whether writes are refused.
        savepoints: Whether what fails is undone alone.
    """

    def __init__(
        self,
        route: Route,
        dialect: Dialect,
        errors: ErrorTranslator,
        explain: Explain,
        check_affinity: Callable[[], None],
        *,
        read_only: bool,
        savepoints: bool = True,
    ) -> None:
        self._route = route
        if not savepoints:
            route.without_savepoints()
        self._undoes_failures = savepoints
        self._check_affinity = check_affinity
        self._dialect = dialect
        self._errors = errors
        self._explain = explain
        self._read_only = read_only
        self._busy = False
        self._ended = False
        self.began = time.monotonic()
        self._savepoints: list[object] = []
        self.has_written = False
        """Whether anything may be written in it."""
        self.step: Callable[[], AbstractContextManager[None]] = nullcontext
        """Shows whoever waits for the end of the transaction that something is done in it."""
        self.fatal_error: PersistenceError | None = None
        """The error after which nothing but a rollback is left."""

    @property
    def skips_unreadable(self) -> bool:
        """Whether lists leave out what cannot be read, as `Executor` says."""
        return self._dialect.skips_unreadable

    @property
    def for_lists(self) -> Executor:
        """What lists are read on, as `Executor` says."""
        return self

    @property
    def description(self) -> str:
        """The database and what has become of the transaction, for people to read."""
        state = "failed" if self.fatal_error is not None else "open"
        access = "read-only" if self._read_only else "read-write"
        return f"{self._dialect.description}, {access}, {'ended' if self._ended else state}"

    def end(self) -> None:
        """Refuse any further use."""
        self._ended = True

    @property
    def route(self) -> RouteName:
        """The way to the database."""
        return self._route.name

    def cut_off(self, error: PersistenceError) -> None:
        """Have everything fail that is still done in it.

        Args:
            error: Why.
        """
        self.fatal_error = error

    async def connection(self) -> UnitConnection:
        """Give the connection, for statements of the application's own."""
        with self._use():
            connection = await self._route.own_connection()
            self.has_written = not self._read_only  # nobody knows what is written by its own SQL
            if self._read_only:
                event.listen(connection.sync_connection, "before_cursor_execute", _refuse_writes)
            return UnitConnection(connection, self._run_own)

    async def _run_own(self, step: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """Run a step of the application's own, in a savepoint that is undone when it fails.

        Raises:
            TransactionConflictError: If the transaction met another one.
            PersistenceConnectionError: If the connection was lost.
            Exception: What else SQLAlchemy raised; the transaction is left as it was.
        """
        with self._use():
            # Not by SQLAlchemy, which does not know how, where the route goes past it.
            first = self._route.begin_savepoint if self._undoes_failures else self._route.begin
            await self._controlled(first())
            connection = await self._route.own_connection()
            try:
                result = await self._dialect.step(connection, step(connection))
            except asyncio.CancelledError:
                self._fail_by_cancellation()
                raise
            except Exception as error:
                diagnosis = self._errors.diagnose(error)
                if diagnosis.fault not in (Fault.TRANSIENT, Fault.CONNECTION):
                    await self._undo_own()
                    raise
                cause = redacted(error)
            else:
                if self._undoes_failures:
                    await self._controlled(self._route.end_savepoint(undo=False))
                return result
        self.fatal_error = transaction_failure(diagnosis)
        raise self.fatal_error from cause

    async def _undo_own(self) -> None:
        if self._undoes_failures:
            await self._controlled(self._route.end_savepoint(undo=True))
        else:
            self.fatal_error = QueryError("SQL of the application's own failed in it")

    def refuse_to_follow(self, table: Table) -> None:
        """Refuse, as `Executor` says."""
        raise UsageError(
            f"cannot follow {table.name} in a unit of work, which sees one state of the database; "
            "ask the backend"
        )

    async def find_writers(self, table: Table, *, patiently: bool) -> Collection[str] | None:  # noqa: ARG002 (the signature is the executor's)
        """Tell that there may be some."""
        self.refuse_to_follow(table)
        return None

    async def fetch(self, statement: Statement, parameters: Parameters) -> Rows:
        """Run a statement that reads, as `Executor` says."""
        with self._use():
            return await self._guarded(self._route.fetch, statement, parameters)

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes, as `Executor` says."""
        with self._use(write=True):
            try:
                return await self._guarded(self._route.execute, statement, parameters)
            except DuplicateRecordError:
                may_pass = statement.replaces and self._dialect.duplicate_may_pass
                may_pass = may_pass and not self._ends_with_a_failure
                if self.fatal_error is not None or not may_pass:
                    raise
            # If it is the same record, inserted by another, that is a conflict the next time.
            return await self._guarded(self._route.execute, statement, parameters)

    async def execute_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        """Run a statement that writes many times, as `Executor` says."""
        if not parameters:
            return
        with self._use(write=True):
            try:
                await self._guarded(self._route.execute_many, statement, parameters)
            except PersistenceError:
                if self.fatal_error is not None or self._ends_with_a_failure:
                    raise
                await self._write_singly(statement, parameters)

    async def atomically(
        self,
        work: Callable[[Executor], Awaitable[Result]],
        *,
        repeatable: bool,  # noqa: ARG002 (the whole transaction is what is run again)
        idempotent: bool = False,  # noqa: ARG002 (likewise)
    ) -> Result:
        """Do several things in a savepoint, as `Executor` says."""
        if self._undoes_failures:
            async with self.savepoint():
                return await work(self)
        try:
            return await work(self)
        except BaseException as error:  # some of it may be done
            if self.fatal_error is None:
                interrupted = QueryError("a call in it was interrupted")
                self.fatal_error = error if isinstance(error, PersistenceError) else interrupted
            raise

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what is done inside when it raises, and nothing else."""
        if not self._undoes_failures:
            raise UsageError(WITHOUT_SAVEPOINTS)
        savepoint = object()
        with self._use():
            await self._controlled(self._route.begin_savepoint())
            self._savepoints.append(savepoint)
        try:
            yield
        except BaseException:
            self._close(savepoint)
            if self.fatal_error is None and not self._ended:
                with suppress(
                    PersistenceError
                ):  # the transaction has failed then, and the error goes on
                    await self._controlled(self._route.end_savepoint(undo=True))
            raise
        self._close(savepoint)
        with self._use():
            await self._controlled(self._route.end_savepoint(undo=False))

    def _close(self, savepoint: object) -> None:
        """Take a savepoint off the open ones, of which it has to be the innermost."""
        if self.fatal_error is None and (self._busy or self._savepoints.pop() is not savepoint):
            self.fatal_error = QueryError(TWO_TASKS)

    async def _write_singly(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        """Find the record at fault, as drivers do not say which: the first that fails alone."""
        await self._controlled(self._route.begin_savepoint())
        try:
            for each in parameters:
                await self._guarded(self._route.execute, statement, each)
        except PersistenceError:
            if self.fatal_error is None:
                await self._controlled(self._route.end_savepoint(undo=True))
            raise
        await self._controlled(self._route.end_savepoint(undo=False))

    async def _controlled(self, step: Awaitable[Result]) -> Result:
        """Set or release a savepoint; when that fails, nothing but a rollback is left."""
        try:
            return await step
        except asyncio.CancelledError:
            self._fail_by_cancellation()
            raise
        except self._errors.foreign_errors as error:
            diagnosis = self._errors.diagnose(error)
            cause = redacted(error)
        self.fatal_error = transaction_failure(diagnosis)
        raise self.fatal_error from cause

    async def _guarded(
        self,
        run: Callable[[Statement, Any], Awaitable[Result]],
        statement: Statement,
        parameters: Parameters | Sequence[Parameters],
    ) -> Result:
        try:
            return await run(statement, parameters)
        except asyncio.CancelledError:
            self._fail_by_cancellation()
            raise
        except self._errors.foreign_errors as error:
            diagnosis = self._errors.diagnose(error)
            cause = redacted(error)
        # Of many rows it is not known which failed.
        row = parameters if isinstance(parameters, Mapping) else NO_ROW
        raise await self._failure(diagnosis, statement, row) from cause

    def _fail_by_cancellation(self) -> None:
        # Whether the statement, nothing or everything is undone differs.
        self.fatal_error = QueryError("a call in it was cancelled")

    async def _failure(
        self, diagnosis: Diagnosis, statement: Statement, values: Parameters
    ) -> PersistenceError:
        error = failure_of(diagnosis, statement, values, self._dialect.table_prefix)
        if diagnosis.fault in FATAL or self._has_no_way_back(statement):
            if diagnosis.fault is Fault.SCHEMA:
                await self._route.rollback()
                error = await self._explain(error)
            self.fatal_error = error
        return error

    def _has_no_way_back(self, statement: Statement) -> bool:
        """Tell whether the failure of a statement ended all; reads have no savepoint."""
        return statement.reads and self._dialect.failure_ends_transaction

    @property
    def _ends_with_a_failure(self) -> bool:
        """Whether the database itself refuses all that follows a statement that fails."""
        return self._dialect.failure_ends_transaction and not self._undoes_failures

    @contextmanager
    def _use(self, *, write: bool = False) -> Iterator[None]:
        self._check_affinity()
        if self._ended:
            raise QueryError("this unit of work has ended; begin a new one")
        if self.fatal_error is not None:
            is_conflict = isinstance(self.fatal_error, TransactionConflictError)  # so run it again
            raise (TransactionConflictError if is_conflict else QueryError)(
                f"this unit of work failed and can only be left: {self.fatal_error}"
            ) from self.fatal_error
        if self._busy:
            raise QueryError(TWO_TASKS)
        if write and self._read_only:
            raise QueryError(READ_ONLY)
        self.has_written = self.has_written or write
        self._busy = True
        try:
            with self.step():
                yield
        except PersistenceError as error:
            if not self._undoes_failures and self.fatal_error is None:
                self.fatal_error = error
            raise
        finally:
            self._busy = False


def _refuse_writes(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
    # Some databases would carry it out, for the unit to undo it without a word. The first step may
    # begin the transaction.
    if may_write(statement) and not statement.startswith("BEGIN"):
        raise QueryError(READ_ONLY)
