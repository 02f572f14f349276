"""One transaction on one connection, as an executor for repositories."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncTransaction

from synthorg.persistence.errors import PersistenceError, QueryError
from synthorg.persistence.sql.dialects.base import Diagnosis, Fault
from synthorg.persistence.sql.executor import Executor, Result, Rows
from synthorg.persistence.sql.express import Direct
from synthorg.persistence.sql.failures import failure, redacted
from synthorg.persistence.sql.preparation import Preparation
from synthorg.persistence.sql.prepared import Prepared
from synthorg.persistence.sql.statements import Parameters, Statement

NO_ROW: Final[Parameters] = {}

FATAL: Final = (Fault.TRANSIENT, Fault.CONNECTION, Fault.SCHEMA)
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
            savepoint = await self._carried_out(self._savepoint())
        try:
            yield
        except BaseException:
            if self.doom is None and savepoint.is_active:
                await self._carried_out(savepoint.rollback())
            raise
        with self._use():
            await self._carried_out(savepoint.commit())

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
        async with self._savepoint():
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
            async with self._savepoint():
                await self._guarded(statement, parameters, self._write_many)
        except PersistenceError:
            if self.doom is not None:
                raise
            # A driver does not say which of many failed: the first one to fail alone did.
            async with self._savepoint():
                for each in parameters:
                    await self._guarded(statement, each, self._write)

    def _prepared(self, statement: Statement) -> tuple[Direct | None, Prepared | None]:
        direct = self._preparation.direct
        return direct, None if direct is None else self._preparation.prepared(statement)

    def _savepoint(self) -> AsyncTransaction:
        return self._connection.begin_nested()

    async def _carried_out(self, step: Awaitable[Result]) -> Result:
        return await self._preparation.dialect.carry_out(self._connection, step)

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
