"""The two routes of a transaction to its database: through SQLAlchemy, and past it."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Protocol

from sqlalchemy import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncTransaction

from synthorg.persistence.observing import RouteName
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.drivers.base import DriverTransaction
from synthorg.persistence.sql.drivers.faults import FATAL
from synthorg.persistence.sql.execution.executor import Result, Rows
from synthorg.persistence.sql.statements.compiler import StatementCompiler
from synthorg.persistence.sql.statements.statement import Parameters, Statement


class Route(Protocol):
    """A connection in a transaction, which whoever made the route begins and ends."""

    name: ClassVar[RouteName]
    """Which of the two it is."""

    def without_savepoints(self) -> None:
        """Set no savepoint before a write where that costs a trip for each.

        After one that fails, only a rollback follows.
        """
        ...

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

    async def begin(self) -> None:
        """Begin the transaction, if nothing has begun it, for statements of the application's own.

        All others begin it by themselves.
        """
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
        dialect: The kind of database.
        statements: What it makes of each statement.
    """

    name: ClassVar[RouteName] = "public"

    def __init__(
        self, connection: AsyncConnection, dialect: Dialect, statements: StatementCompiler
    ) -> None:
        self._connection = connection
        self._dialect = dialect
        self._statements = statements
        self._savepoints: list[AsyncTransaction] = []
        self._undoes_failures = True

    def without_savepoints(self) -> None:
        """Set no savepoint before a write, as `Route` says."""
        self._undoes_failures = not self._dialect.failure_ends_transaction

    async def fetch(self, statement: Statement, parameters: Parameters) -> Rows:
        """Run a statement that reads, as `Route` says."""
        return (await self._run(statement, self._statements.values(statement, parameters))).all()

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes, as `Route` says."""
        values = self._statements.values(statement, parameters)
        if not self._dialect.failure_ends_transaction:
            return (await self._run(statement, values)).rowcount
        async with self._undone_if_it_fails():
            return (await self._run(statement, values)).rowcount

    async def execute_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        """Run a statement that writes many times, as `Route` says."""
        values = [self._statements.values(statement, each) for each in parameters]
        async with self._undone_if_it_fails():
            await self._run(statement, values)

    async def own_connection(self) -> AsyncConnection:
        """Give the connection, as `Route` says."""
        return self._connection

    async def begin(self) -> None:
        """Do nothing, since SQLAlchemy begins it with whatever comes first."""

    async def begin_savepoint(self) -> None:
        """Set a savepoint, as `Route` says."""
        self._savepoints.append(await self._step(self._connection.begin_nested()))

    async def end_savepoint(self, *, undo: bool) -> None:
        """Release the innermost savepoint, as `Route` says."""
        savepoint = self._savepoints.pop()
        await self._step(savepoint.rollback() if undo else savepoint.commit())

    async def rollback(self) -> None:
        """Undo all, as `Route` says."""
        await self._step(self._connection.rollback())

    @asynccontextmanager
    async def _undone_if_it_fails(self) -> AsyncIterator[None]:
        if not self._undoes_failures:
            yield
            return
        await self.begin_savepoint()
        try:
            yield
        except Exception as error:
            if self._dialect.diagnose(error).fault not in FATAL:
                await self.end_savepoint(undo=True)
            raise
        await self.end_savepoint(undo=False)

    async def _run(self, statement: Statement, values: Any) -> CursorResult[Any]:
        return await self._step(
            self._connection.execute(self._statements.expression(statement), values)
        )

    async def _step(self, step: Awaitable[Result]) -> Result:
        return await self._dialect.step(self._connection, step)


class FastRoute:
    """`Route` past SQLAlchemy.

    Args:
        transaction: The transaction of the driver.
        dialect: The kind of database.
        statements: What it makes of each statement.
    """

    name: ClassVar[RouteName] = "fast"

    def __init__(
        self, transaction: DriverTransaction, dialect: Dialect, statements: StatementCompiler
    ) -> None:
        self._transaction = transaction
        self._dialect = dialect
        self._statements = statements
        self.begin = transaction.begin
        self.begin_savepoint = transaction.begin_savepoint
        self.end_savepoint = transaction.end_savepoint
        self.rollback = transaction.rollback
        self.without_savepoints = transaction.without_savepoints
        self._joined = False

    async def own_connection(self) -> AsyncConnection:
        """Give the connection, as `Route` says."""
        connection = self._transaction.shared_connection()
        if not self._joined:
            await connection.execution_options(**self._dialect.joining_options())
            self._joined = True
        return connection

    async def fetch(self, statement: Statement, parameters: Parameters) -> Rows:
        """Run a statement that reads, as `Route` says."""
        return await self._transaction.fetch(self._statements.call(statement, parameters))

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes, as `Route` says."""
        return await self._transaction.execute(self._statements.call(statement, parameters))

    async def execute_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        """Run a statement that writes many times, as `Route` says."""
        await self._transaction.execute_many(*self._statements.batch(statement, parameters))
