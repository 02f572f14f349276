"""One transaction on one connection, as an executor for repositories."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import PersistenceError, QueryError
from synthorg.persistence.sql.dialects.base import Diagnosis, Fault
from synthorg.persistence.sql.executor import Executor, Result, Rows
from synthorg.persistence.sql.failures import failure, redacted
from synthorg.persistence.sql.preparation import Preparation
from synthorg.persistence.sql.statements import Parameters, Statement

FATAL = (Fault.TRANSIENT, Fault.CONNECTION, Fault.SCHEMA)
"""The faults after which a database may have rolled back all, so that going on would lose data."""


class Transaction:
    """Statements that are committed together.

    A statement that fails has written nothing, and the transaction goes on; only after a
    conflict or a lost connection nothing but its rollback is left.

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
        self.doom: PersistenceError | None = None
        """The error after which nothing but a rollback is left."""

    def end(self) -> None:
        """Refuse any further use."""
        self._ended = True

    async def fetch(self, statement: Statement, parameters: Parameters) -> Rows:
        """Run a statement that reads, as `Executor` says."""
        values = self._preparation.values(statement, parameters)
        with self._use():
            return await self._guarded(statement, values, self._rows(statement, values))

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes, as `Executor` says."""
        values = self._preparation.values(statement, parameters)
        with self._use(write=True):
            return await self._guarded(statement, values, self._write(statement, values))

    async def execute_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        """Run a statement that writes many times, as `Executor` says."""
        values = [self._preparation.values(statement, each) for each in parameters]
        if not values:
            return
        with self._use(write=True):
            try:
                await self._guarded(statement, {}, self._write(statement, values))
            except PersistenceError:
                if self.doom is not None:
                    raise
                # A driver does not say which of many failed: the first one to fail alone did.
                async with self._savepoint():
                    for each in values:
                        await self._guarded(statement, each, self._write(statement, each))

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
            savepoint = await self._connection.begin_nested()
        try:
            yield
        except BaseException:
            if self.doom is None and savepoint.is_active:
                await savepoint.rollback()
            raise
        with self._use():
            await savepoint.commit()

    async def _rows(self, statement: Statement, values: Parameters) -> Rows:
        expression = self._preparation.expression(statement)
        return (await self._connection.execute(expression, values)).all()

    async def _write(self, statement: Statement, values: Parameters | Sequence[Parameters]) -> int:
        expression = self._preparation.expression(statement)
        if not self._preparation.dialect.failure_ends_transaction and isinstance(values, dict):
            return (await self._connection.execute(expression, values)).rowcount
        async with self._savepoint():
            return (await self._connection.execute(expression, values)).rowcount

    def _savepoint(self) -> Any:
        return self._connection.begin_nested()

    async def _guarded(
        self, statement: Statement, values: Parameters, work: Awaitable[Result]
    ) -> Result:
        try:
            return await work
        except asyncio.CancelledError:
            await self._preparation.dialect.interrupt(self._connection)
            raise
        except self._preparation.foreign_errors as error:
            diagnosis = self._preparation.dialect.diagnose(error)
            cause = redacted(error)
        raise await self._failure(diagnosis, statement, values) from cause

    async def _failure(
        self, diagnosis: Diagnosis, statement: Statement, values: Parameters
    ) -> PersistenceError:
        error = failure(diagnosis, statement, values)
        if diagnosis.fault in FATAL:
            if diagnosis.fault is Fault.SCHEMA:
                await self._connection.rollback()
                error = await self._preparation.schema_error(self._connection, error)
            self.doom = error
        return error

    @contextmanager
    def _use(self, *, write: bool = False) -> Iterator[None]:
        if self._ended:
            raise QueryError("this unit of work has ended; begin a new one")
        if self.doom is not None:
            raise QueryError(
                f"this unit of work failed and can only be left: {self.doom}"
            ) from self.doom
        if self._busy:
            raise QueryError("two tasks use the same unit of work at once; give each task its own")
        if write and self._read_only:
            raise QueryError("this unit of work is read-only")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
