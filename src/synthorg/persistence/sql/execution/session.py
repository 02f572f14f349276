"""Sessions: a connection in a transaction, either through SQLAlchemy or past it."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncTransaction

from synthorg.persistence.sql.drivers.base import DriverTransaction
from synthorg.persistence.sql.drivers.faults import FATAL
from synthorg.persistence.sql.execution.executor import Result, Rows
from synthorg.persistence.sql.execution.preparation import Preparation
from synthorg.persistence.sql.statements.statement import Parameters, Statement


class Session(Protocol):
    """A connection in a transaction, which whoever opened the session begins and ends."""

    async def fetch(self, statement: Statement, parameters: Parameters) -> Rows:
        """Run a statement that reads.

        Raises:
            Exception: What SQLAlchemy or the driver raised.
        """
        ...

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes, and give the number of rows that it matched.

        Raises:
            Exception: What SQLAlchemy or the driver raised; the transaction is left as it was.
        """
        ...

    async def execute_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        """Run a statement that writes once for each set of parameters, all or none of them.

        Raises:
            Exception: What SQLAlchemy or the driver raised; the transaction is left as it was.
        """
        ...

    async def own_connection(self) -> AsyncConnection:
        """Give the connection for statements of the application's own, inside a part."""
        ...

    async def begin_part(self) -> None:
        """Begin a part (a savepoint), inside the innermost one that is open."""
        ...

    async def end_part(self, *, undo: bool) -> None:
        """End the innermost part.

        Args:
            undo: Whether what was done in it is undone.
        """
        ...

    async def rollback(self) -> None:
        """Undo all, so that the connection is free for other questions."""
        ...


class PublicSession:
    """`Session` through SQLAlchemy.

    Args:
        connection: The connection, which this alone uses.
        preparation: How statements are prepared.
    """

    def __init__(self, connection: AsyncConnection, preparation: Preparation) -> None:
        self._connection = connection
        self._preparation = preparation
        self._parts: list[AsyncTransaction] = []

    async def fetch(self, statement: Statement, parameters: Parameters) -> Rows:
        """Run a statement that reads, as `Session` says."""
        expression = self._preparation.expression(statement)
        values = self._preparation.values(statement, parameters)
        return (await self._carried_out(self._connection.execute(expression, values))).all()

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes, as `Session` says."""
        expression = self._preparation.expression(statement)
        values = self._preparation.values(statement, parameters)
        if not self._preparation.dialect.failure_ends_transaction:
            return (await self._carried_out(self._connection.execute(expression, values))).rowcount
        async with self._part():
            return (await self._carried_out(self._connection.execute(expression, values))).rowcount

    async def execute_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        """Run a statement that writes many times, as `Session` says."""
        expression = self._preparation.expression(statement)
        values = [self._preparation.values(statement, each) for each in parameters]
        async with self._part():
            await self._carried_out(self._connection.execute(expression, values))

    async def own_connection(self) -> AsyncConnection:
        """Give the connection, as `Session` says."""
        return self._connection

    async def begin_part(self) -> None:
        """Begin a part, as `Session` says."""
        self._parts.append(await self._carried_out(self._connection.begin_nested()))

    async def end_part(self, *, undo: bool) -> None:
        """End the innermost part, as `Session` says."""
        part = self._parts.pop()
        await self._carried_out(part.rollback() if undo else part.commit())

    async def rollback(self) -> None:
        """Undo all, as `Session` says."""
        await self._carried_out(self._connection.rollback())

    @asynccontextmanager
    async def _part(self) -> AsyncIterator[None]:
        await self.begin_part()
        try:
            yield
        except Exception as error:
            if self._preparation.diagnose(error).fault not in FATAL:
                await self.end_part(undo=True)
            raise
        await self.end_part(undo=False)

    async def _carried_out(self, step: Awaitable[Result]) -> Result:
        return await self._preparation.dialect.step(self._connection, step)


class DirectSession:
    """`Session` past SQLAlchemy.

    Args:
        transaction: The transaction of the driver.
        preparation: How statements are prepared.
    """

    def __init__(self, transaction: DriverTransaction, preparation: Preparation) -> None:
        self._transaction = transaction
        self._preparation = preparation
        self.begin_part = transaction.begin_part
        self.end_part = transaction.end_part
        self.rollback = transaction.rollback
        self._joined = False

    async def own_connection(self) -> AsyncConnection:
        """Give the connection, as `Session` says."""
        connection = self._transaction.connection
        if not self._joined:
            await connection.execution_options(**self._preparation.dialect.joining_options())
            self._joined = True
        return connection

    async def fetch(self, statement: Statement, parameters: Parameters) -> Rows:
        """Run a statement that reads, as `Session` says."""
        prepared = self._preparation.prepared(statement)
        values = self._preparation.bound(prepared, parameters)
        return await self._transaction.fetch(prepared, values)

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes, as `Session` says."""
        prepared = self._preparation.prepared(statement)
        values = self._preparation.bound(prepared, parameters)
        return await self._transaction.execute(prepared, values)

    async def execute_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        """Run a statement that writes many times, as `Session` says."""
        prepared = self._preparation.prepared(statement)
        bound = partial(self._preparation.bound, prepared)
        await self._transaction.execute_many(prepared, map(bound, parameters))
