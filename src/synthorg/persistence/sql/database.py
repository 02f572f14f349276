"""The database: owns the engine, runs statements, and decides what a failure means."""

import asyncio
import logging
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import Executable, Row, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import (
    MigrationError,
    PersistenceConnectionError,
    PersistenceError,
    QueryError,
)
from synthorg.persistence.sql.dialects.base import Diagnosis, Dialect, Fault, Sharing
from synthorg.persistence.sql.failures import failure, redacted
from synthorg.persistence.sql.statements import Parameters, Statement
from synthorg.persistence.sql.turns import Turns

logger = logging.getLogger(__name__)

ATTEMPTS: Final = 5
FIRST_DELAY_SECONDS: Final = 0.02

STATEMENT_BYTES: Final = 16 * 1024  # ample for the text of a statement around its values
WIDEST_CHARACTER: Final = 8  # bytes: four in UTF-8, or two for an escaped one
ESCAPED: Final = ("\x1a", "\n", "\r", '"', "'", "\\")  # sent with a backslash before them

Result = TypeVar("Result")
Work = Callable[[AsyncConnection], Awaitable[Result]]


class Executor(Protocol):
    """What repositories run statements on: a database, or one transaction on it."""

    async def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row[Any]]:
        """Run a statement that reads.

        Args:
            statement: The statement.
            parameters: A value for each of its parameters.

        Returns:
            All rows, in the statement's order.

        Raises:
            PersistenceError: If it did not succeed.
        """

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes.

        Args:
            statement: The statement.
            parameters: A value for each of its parameters.

        Returns:
            How many rows an UPDATE or a DELETE matched; meaningless for others.

        Raises:
            PersistenceError: If it did not succeed; then nothing is written.
        """


class Database:
    """One database: each call is a transaction of its own, durable when it returns.

    It makes its engine and disposes it. It belongs to the event loop and the process that opened
    it, since connections survive neither another loop nor a fork.

    Args:
        dialect: The kind of database, with its configuration.
        find_schema_problem: Tells what is wrong with the schema, if anything, when a statement
            did not fit it.
    """

    def __init__(
        self,
        dialect: Dialect,
        find_schema_problem: Callable[[AsyncConnection], Awaitable[str | None]],
    ) -> None:
        self.dialect = dialect
        self.engine = dialect.create_engine()
        self._readers = self.engine.execution_options(**dialect.begin_options(write=False))
        self._writers = self.engine.execution_options(**dialect.begin_options(write=True))
        self._find_schema_problem = find_schema_problem
        self._turns = Turns(dialect.patience_seconds)
        self._expressions: dict[Statement, Executable] = {}
        self._home = (os.getpid(), asyncio.get_running_loop())

    async def open(self) -> None:
        """Connect once, so that a wrong configuration shows now.

        Raises:
            PersistenceConnectionError: If the database cannot be used.
        """
        try:
            async with self._connection(write=False) as connection:
                await self.dialect.inspect_server(connection)
        except self._foreign_errors as error:
            reason = self.dialect.diagnose(error).reason
            cause = redacted(error)
        else:
            return
        await self.close()
        raise PersistenceConnectionError(
            f"cannot connect to {self.dialect.description}: {reason}"
        ) from cause

    async def close(self) -> None:
        """Close every connection."""
        await to_the_end(self.engine.dispose())

    async def ping(self) -> None:
        """Ask the database for an answer.

        Raises:
            Exception: If it gives none.
        """
        async with self._connection(write=False) as connection:
            await connection.execute(text("SELECT 1"))

    async def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row[Any]]:
        """Run a statement that reads, as `Executor` says."""
        values = statement.admit(parameters)

        async def read(connection: AsyncConnection) -> Sequence[Row[Any]]:
            result = await connection.execute(self._expression(statement), values)
            return result.all()

        return await self._in_transaction(read, statement, values, write=False)

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes, as `Executor` says."""
        values = statement.admit(parameters)

        async def write(connection: AsyncConnection) -> int:
            result = await connection.execute(self._expression(statement), values)
            return result.rowcount

        return await self._in_transaction(write, statement, values, write=True)

    @asynccontextmanager
    async def migration_connection(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection with no transaction begun, while nobody else changes data."""
        async with self._turn(write=True), self._checked_out(self.engine.connect()) as connection:
            yield connection

    async def _in_transaction(
        self, work: Work[Result], statement: Statement, values: Parameters, *, write: bool
    ) -> Result:
        self._refuse_oversized(statement, values)
        for attempt, delay in enumerate(_delays()):
            try:
                async with self._connection(write=write) as connection:
                    return await work(connection)
            except self._foreign_errors as error:
                diagnosis = self.dialect.diagnose(error)
                cause = redacted(error)
            may_pass = diagnosis.fault is Fault.TRANSIENT or (
                diagnosis.fault is Fault.DUPLICATE
                and statement.replaces
                and self.dialect.duplicate_may_pass
                and attempt == 0
            )
            if not may_pass or delay is None:
                break
            logger.info("running a transaction again", extra={"table": statement.table.name})
            await asyncio.sleep(delay)
        raise await self._failure(diagnosis, statement, values) from cause

    async def _failure(
        self, diagnosis: Diagnosis, statement: Statement, values: Parameters
    ) -> PersistenceError:
        if diagnosis.fault is Fault.SCHEMA:
            async with self._connection(write=False) as connection:
                problem = await self._find_schema_problem(connection)
            if problem is not None:
                return MigrationError(
                    f"cannot {statement.action} {statement.table.name}: {problem}"
                )
        return failure(diagnosis, statement, values)

    @asynccontextmanager
    async def _connection(self, *, write: bool) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction, committed when it wrote and nothing failed."""
        self._refuse_strangers()
        engine = self._writers if write else self._readers
        async with self._turn(write=write), self._checked_out(engine.connect()) as connection:
            try:
                yield connection
            except asyncio.CancelledError:
                await self.dialect.interrupt(connection)
                raise
            if write:
                await to_the_end(connection.commit())

    @asynccontextmanager
    async def _checked_out(self, connection: AsyncConnection) -> AsyncIterator[AsyncConnection]:
        await connection.start()
        try:
            yield connection
        finally:
            # Rolls back what was not committed; a cancelled caller must not leave that undone.
            await to_the_end(connection.close())

    def _turn(self, *, write: bool) -> AbstractAsyncContextManager[None]:
        sharing = self.dialect.sharing
        if sharing is Sharing.ONE or (write and sharing is Sharing.ONE_WRITER):
            return self._turns.take()
        return nullcontext()

    def _expression(self, statement: Statement) -> Executable:
        expression = self._expressions.get(statement)
        if expression is None:
            expression = self._expressions[statement] = statement.build(self.dialect)
        return expression

    def _refuse_oversized(self, statement: Statement, values: Parameters) -> None:
        """Refuse before sending what would make the server drop the connection."""
        limit = self.dialect.largest_payload
        if limit is None:
            return
        texts = [value for value in values.values() if isinstance(value, str)]
        if sum(map(len, texts)) * WIDEST_CHARACTER + STATEMENT_BYTES < limit:
            return
        size = sum(len(value.encode()) + sum(map(value.count, ESCAPED)) for value in texts)
        if size + STATEMENT_BYTES >= limit:
            raise QueryError(
                f"cannot {statement.action} {statement.subject(values)}: its values take {size} "
                f"bytes, and the server accepts {limit} in one statement (max_allowed_packet)"
            )

    def _refuse_strangers(self) -> None:
        process, loop = self._home
        if os.getpid() != process:
            raise PersistenceConnectionError(
                "this backend was connected in another process; connect a new one after a fork"
            )
        if asyncio.get_running_loop() is not loop:
            raise PersistenceConnectionError(
                "this backend was connected in another event loop; connect a new one in this loop"
            )

    @property
    def _foreign_errors(self) -> tuple[type[Exception], ...]:
        # OSError leaves some drivers when a server is unreachable; the other two leave SQLite's.
        return SQLAlchemyError, OSError, OverflowError, UnicodeError, *self.dialect.driver_errors


async def to_the_end(step: Coroutine[Any, Any, Result]) -> Result:
    """Await a step that must not be left half done, also when the caller is cancelled meanwhile.

    Args:
        step: What has to finish, such as a commit.

    Returns:
        Its result.

    Raises:
        asyncio.CancelledError: After the step has finished, if the caller was cancelled.
    """
    task = asyncio.ensure_future(step)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None:
        if not task.cancelled():
            task.exception()  # seen: the cancellation is what the caller is told
        raise cancellation
    return task.result()


def _delays() -> Iterator[float | None]:
    """Yield the jittered pause after each attempt that may be repeated, and None after the last."""
    for attempt in range(ATTEMPTS - 1):
        yield FIRST_DELAY_SECONDS * 2**attempt * random.uniform(0.5, 1.5)  # noqa: S311 (jitter)
    yield None
