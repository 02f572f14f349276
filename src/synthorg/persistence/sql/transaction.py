"""One transaction on one connection, as an executor for repositories."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncTransaction

from synthorg.persistence.errors import PersistenceError, QueryError, TransactionConflictError
from synthorg.persistence.sql.dialects.base import Diagnosis, Fault
from synthorg.persistence.sql.executor import Executor, Result, Rows
from synthorg.persistence.sql.express import Direct
from synthorg.persistence.sql.failures import failure, redacted, transaction_failure
from synthorg.persistence.sql.preparation import Preparation
from synthorg.persistence.sql.prepared import Prepared
from synthorg.persistence.sql.statements import Parameters, Statement

NO_ROW: Final[Parameters] = {}

FATAL: Final = (Fault.TRANSIENT, Fault.CONNECTION, Fault.SCHEMA)
"""The faults after which a database may have rolled back all, so that going on would lose data."""

TWO_TASKS: Final = "two tasks use the same unit of work at once; give each task its own"


class Transaction:
    """Statements that are committed together.

    A statement that fails has written nothing, and the transaction goes on; only after a
    conflict, a cancelled call or a lost connection nothing but its rollback is left.

    Args:
        connection: The connection, which this alone uses.
        preparation: How statements are prepared and errors diagnosed.
        read_only: Whether writes are refused.
    """

    def __init__(
        self, connection: AsyncConnection, preparation: Preparation, *, read_only: bool
    ) -> None:
        self._connection = connection
        self._preparation = preparation
        self._read_only = read_only
        self._busy = False
        self._ended = False
        self._parts: list[AsyncTransaction] = []
        self.doom: PersistenceError | None = None
        """The error after which nothing but a rollback is left."""

    def end(self) -> None:
        """Refuse any further use."""
        self._ended = True

    async def fetch(self, statement: Statement, parameters: Parameters) -> Rows:
        """Run a statement that reads, as `Executor` says."""
        with self._use():
            return await self._carried_out(self._guarded(statement, parameters, self._rows))

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes, as `Executor` says."""
        with self._use(write=True):
            return await self._carried_out(self._guarded(statement, parameters, self._write))

    async def execute_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        """Run a statement that writes many times, as `Executor` says."""
        if not parameters:
            return
        with self._use(write=True):
            await self._carried_out(self._write_all(statement, parameters))

    async def atomically(
        self,
        work: Callable[[Executor], Awaitable[Result]],
        *,
        repeatable: bool,  # noqa: ARG002 (the whole transaction is what is run again)
    ) -> Result:
        """Do several things in a savepoint, as `Executor` says."""
        async with self.savepoint():
            return await work(self)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what is done inside when it raises, and nothing else."""
        with self._use():
            part = await self._carried_out(self._controlled(self._connection.begin_nested()))
            self._parts.append(part)
        try:
            yield
        except BaseException:
            self._close(part)
            if self.doom is None and not self._ended:
                with suppress(PersistenceError):  # the whole is doomed then, and the error goes on
                    await self._carried_out(self._controlled(part.rollback()))
            raise
        self._close(part)
        with self._use():
            await self._carried_out(self._controlled(part.commit()))

    def _close(self, part: AsyncTransaction) -> None:
        """Take a part off the open ones, of which it has to be the innermost."""
        if self.doom is None and (self._busy or self._parts.pop() is not part):
            self.doom = QueryError(TWO_TASKS)

    @asynccontextmanager
    async def _part(self) -> AsyncIterator[None]:
        """Undo what one call did when it raises."""
        part = await self._controlled(self._connection.begin_nested())
        try:
            yield
        except BaseException:
            if self.doom is None:  # some conflicts have undone all, the savepoint included
                await self._controlled(part.rollback())
            raise
        await self._controlled(part.commit())

    async def _rows(self, statement: Statement, parameters: Parameters) -> Rows:
        direct, prepared = self._prepared(statement)
        if direct is not None and prepared is not None:
            values = self._preparation.bound(prepared, parameters)
            return await direct.fetch(self._connection, prepared, values)
        result = await self._connection.execute(
            self._preparation.expression(statement), self._preparation.values(statement, parameters)
        )
        return result.all()

    async def _write(self, statement: Statement, parameters: Parameters) -> int:
        direct, prepared = self._prepared(statement)
        if direct is not None and prepared is not None:
            values = self._preparation.bound(prepared, parameters)
            return await direct.execute(self._connection, prepared, values)
        expression = self._preparation.expression(statement)
        named = self._preparation.values(statement, parameters)
        if not self._preparation.dialect.failure_ends_transaction:
            return (await self._connection.execute(expression, named)).rowcount
        async with self._part():
            return (await self._connection.execute(expression, named)).rowcount

    async def _write_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        direct, prepared = self._prepared(statement)
        if direct is not None and prepared is not None:
            rows = [self._preparation.bound(prepared, each) for each in parameters]
            await direct.execute_many(self._connection, prepared, rows)
            return
        named = [self._preparation.values(statement, each) for each in parameters]
        await self._connection.execute(self._preparation.expression(statement), named)

    async def _write_all(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        try:
            async with self._part():
                await self._guarded(statement, parameters, self._write_many)
        except PersistenceError:
            if self.doom is not None:
                raise
            # A driver does not say which of many failed: the first one to fail alone did.
            async with self._part():
                for each in parameters:
                    await self._guarded(statement, each, self._write)

    def _prepared(self, statement: Statement) -> tuple[Direct | None, Prepared | None]:
        direct = self._preparation.direct
        return direct, None if direct is None else self._preparation.prepared(statement)

    async def _carried_out(self, step: Awaitable[Result]) -> Result:
        try:
            return await self._preparation.dialect.carry_out(self._connection, step)
        except asyncio.CancelledError:
            # Whether the statement, nothing or everything is undone differs.
            self.doom = QueryError("a call in it was cancelled")
            raise

    async def _controlled(self, step: Awaitable[Result]) -> Result:
        """Begin or end a part; when that fails, nothing but a rollback of the whole is left."""
        try:
            return await step
        except self._preparation.foreign_errors as error:
            diagnosis = self._preparation.dialect.diagnose(error)
            cause = redacted(error)
        self.doom = transaction_failure(diagnosis)
        raise self.doom from cause

    async def _guarded(
        self,
        statement: Statement,
        parameters: Parameters | Sequence[Parameters],
        work: Callable[[Statement, Any], Awaitable[Result]],
    ) -> Result:
        try:
            return await work(statement, parameters)
        except self._preparation.foreign_errors as error:
            diagnosis = self._preparation.dialect.diagnose(error)
            cause = redacted(error)
        # Of many rows it is not known which failed.
        row = parameters if isinstance(parameters, Mapping) else NO_ROW
        raise await self._failure(diagnosis, statement, row) from cause

    async def _failure(
        self, diagnosis: Diagnosis, statement: Statement, values: Parameters
    ) -> PersistenceError:
        error = failure(diagnosis, statement, values)
        if diagnosis.fault in FATAL or self._has_no_way_back(statement):
            if diagnosis.fault is Fault.SCHEMA:
                await self._connection.rollback()
                error = await self._preparation.schema_error(self._connection, error)
            self.doom = error
        return error

    def _has_no_way_back(self, statement: Statement) -> bool:
        """Tell whether the failure of a statement ended the transaction; reads have no part."""
        reads = self._preparation.expression(statement).is_select
        return reads and self._preparation.dialect.failure_ends_transaction

    @contextmanager
    def _use(self, *, write: bool = False) -> Iterator[None]:
        if self._ended:
            raise QueryError("this unit of work has ended; begin a new one")
        if self.doom is not None:
            is_conflict = isinstance(self.doom, TransactionConflictError)  # so run it again
            raise (TransactionConflictError if is_conflict else QueryError)(
                f"this unit of work failed and can only be left: {self.doom}"
            ) from self.doom
        if self._busy:
            raise QueryError(TWO_TASKS)
        if write and self._read_only:
            raise QueryError("this unit of work is read-only")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
