"""The two routes of a transaction to its database: through SQLAlchemy, and past it."""

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


class Route(Protocol):
    """A connection in a transaction, which whoever made the route begins and ends."""

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
        """Give the connection for statements of the application's own, inside a savepoint."""
        ...

    async def begin_savepoint(self) -> None:
        """Set a savepoint, inside the innermost one that is open."""
        ...

    async def end_savepoint(self, *, undo: bool) -> None:
        """Release the innermost savepoint.

        Args:
            undo: Whether to roll back to it first.
        """
        ...

    async def rollback(self) -> None:
        """Undo all, so that the connection is free for other questions."""
        ...


class PublicRoute:
    """`Route` through SQLAlchemy.

    Args:
        connection: The connection, which this alone uses.
        preparation: How statements are prepared.
    """

    def __init__(self, connection: AsyncConnection, preparation: Preparation) -> None:
        self._connection = connection
        self._preparation = preparation
        self._savepoints: list[AsyncTransaction] = []

    async def fetch(self, statement: Statement, parameters: Parameters) -> Rows:
        """Run a statement that reads, as `Route` says."""
        expression = self._preparation.expression(statement)
        values = self._preparation.values(statement, parameters)
        return (await self._carried_out(self._connection.execute(expression, values))).all()

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes, as `Route` says."""
        expression = self._preparation.expression(statement)
        values = self._preparation.values(statement, parameters)
        if not self._preparation.dialect.failure_ends_transaction:
            return (await self._carried_out(self._connection.execute(expression, values))).rowcount
        async with self._savepoint():
            return (await self._carried_out(self._connection.execute(expression, values))).rowcount

    async def execute_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        """Run a statement that writes many times, as `Route` says."""
        expression = self._preparation.expression(statement)
        values = [self._preparation.values(statement, each) for each in parameters]
        async with self._savepoint():
            await self._carried_out(self._connection.execute(expression, values))

    async def own_connection(self) -> AsyncConnection:
        """Give the connection, as `Route` says."""
        return self._connection

    async def begin_savepoint(self) -> None:
        """Set a savepoint, as `Route` says."""
        self._savepoints.append(await self._carried_out(self._connection.begin_nested()))

    async def end_savepoint(self, *, undo: bool) -> None:
        """Release the innermost savepoint, as `Route` says."""
        savepoint = self._savepoints.pop()
        await self._carried_out(savepoint.rollback() if undo else savepoint.commit())

    async def rollback(self) -> None:
        """Undo all, as `Route` says."""
        await self._carried_out(self._connection.rollback())

    @asynccontextmanager
    async def _savepoint(self) -> AsyncIterator[None]:
        await self.begin_savepoint()
        try:
            yield
        except Exception as error:
            if self._preparation.diagnose(error).fault not in FATAL:
                await self.end_savepoint(undo=True)
            raise
        await self.end_savepoint(undo=False)

    async def _carried_out(self, step: Awaitable[Result]) -> Result:
        return await self._preparation.dialect.step(self._connection, step)


class FastRoute:
    """`Route` past SQLAlchemy.

    Args:
        transaction: The transaction of the driver.
        preparation: How statements are prepared.
    """

    def __init__(self, transaction: DriverTransaction, preparation: Preparation) -> None:
        self._transaction = transaction
        self._preparation = preparation
        self.begin_savepoint = transaction.begin_savepoint
        self.end_savepoint = transaction.end_savepoint
        self.rollback = transaction.rollback
        self._joined = False

    async def own_connection(self) -> AsyncConnection:
        """Give the connection, as `Route` says."""
        connection = self._transaction.connection
        if not self._joined:
            await connection.execution_options(**self._preparation.dialect.joining_options())
            self._joined = True
        return connection

    async def fetch(self, statement: Statement, parameters: Parameters) -> Rows:
        """Run a statement that reads, as `Route` says."""
        prepared = self._preparation.prepared(statement)
        values = self._preparation.bound(prepared, parameters)
        return await self._transaction.fetch(prepared, values)

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes, as `Route` says."""
        prepared = self._preparation.prepared(statement)
        values = self._preparation.bound(prepared, parameters)
        return await self._transaction.execute(prepared, values)

    async def execute_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        """Run a statement that writes many times, as `Route` says."""
        prepared = self._preparation.prepared(statement)
        bound = partial(self._preparation.bound, prepared)
        await self._transaction.execute_many(prepared, map(bound, parameters))
