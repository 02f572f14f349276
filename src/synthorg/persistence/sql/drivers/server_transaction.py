"""Transactions of the fast route of servers, on connections of SQLAlchemy's pool."""

from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.sql.drivers.answer_timeout import AnswerTimeout
from synthorg.persistence.sql.drivers.base import Call, DriverStatement, DriverTransaction
from synthorg.persistence.sql.drivers.cancellation import Result, run_to_completion
from synthorg.persistence.sql.drivers.faults import FATAL
from synthorg.persistence.sql.drivers.returning import note_end
from synthorg.persistence.sql.drivers.server_driver import ServerDriver
from synthorg.persistence.sql.drivers.server_policy import ServerPolicy

SET_SAVEPOINT: Final = "SAVEPOINT step"
RELEASE_SAVEPOINT: Final = "RELEASE SAVEPOINT step"
ROLLBACK_TO_SAVEPOINT: Final = "ROLLBACK TO SAVEPOINT step"


class ServerTransaction(DriverTransaction):
    """A transaction on a pooled connection, which is dropped unless it ended in good order.

    A write that may have to be undone alone needs a savepoint before it. That stays until the next
    such write, which then moves it in one trip, or in none if nothing was written since.

    Args:
        connection: The connection, with no transaction begun.
        driver: The driver's own behind it.
        policy: What errors mean, and whether one ends a transaction.
        begin: The statements that begin it.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        driver: ServerDriver,
        policy: ServerPolicy,
        begin: Sequence[str],
    ) -> None:
        self.connection = connection
        self._driver = driver
        self._diagnose = policy.diagnose
        self._answer_timeout_seconds = policy.answer_timeout_seconds
        self._errors: tuple[type[Exception], ...] = (*policy.driver_errors, OSError)
        self._needs_savepoints = policy.failure_ends_transaction
        self._undoes_many = True
        self._begin = begin
        self._begun = False
        self._cut_off = False
        """Whether a step was left half done, so that the next answer may not be to what is sent."""
        self._has_savepoint = False
        self._wrote = False
        """Whether anything may have been written since the savepoint."""
        self._savepoints = 0

    def without_savepoints(self) -> None:
        """Set no savepoint before a write, as `DriverTransaction` says."""
        self._undoes_many = not self._needs_savepoints
        self._needs_savepoints = False

    async def fetch(self, call: Call) -> Sequence[Sequence[Any]]:
        """Run a statement that reads, as `DriverTransaction` says."""
        if not self._begun:
            # The savepoint costs nothing in the same trip, and a write may follow.
            await (self._set_savepoint() if self._needs_savepoints else self._control())
        return call.statement.decode(await self._step(self._driver.send(call)))

    async def execute(self, call: Call) -> int:
        """Run a statement that writes, as `DriverTransaction` says."""
        row_count: int
        if self._needs_savepoints:
            async with self._undone_if_it_fails():
                row_count = await self._step(self._driver.send(call))
        else:
            await self._control()
            self._wrote = True
            row_count = await self._step(self._driver.send(call))
        return row_count

    async def execute_many(
        self, statement: DriverStatement, values: Iterable[Sequence[Any]]
    ) -> None:
        """Run a statement many times, as `DriverTransaction` says."""
        async with self._undone_if_it_fails():
            await self._step(self._driver.send_many(statement, values))

    async def begin_savepoint(self) -> None:
        """Set a savepoint, as `DriverTransaction` says."""
        await self._nest(
            *[RELEASE_SAVEPOINT] * self._has_savepoint,
            f"SAVEPOINT savepoint_{self._savepoints + 1}",
        )
        self._savepoints += 1

    async def end_savepoint(self, *, undo: bool) -> None:
        """Release the innermost savepoint, as `DriverTransaction` says."""
        name = f"savepoint_{self._savepoints}"
        self._savepoints -= 1
        # That of the last write is inside, and ends with it.
        await self._nest(*[f"ROLLBACK TO SAVEPOINT {name}"] * undo, f"RELEASE SAVEPOINT {name}")

    async def commit(self) -> None:
        """Commit, as `DriverTransaction` says."""
        if not self._begun:
            return
        try:
            await self._step(self._driver.commit())
        except BaseException:
            await self.rollback()
            raise
        self._begun = False
        note_end(self.connection)

    async def rollback(self) -> None:
        """Undo all, as `DriverTransaction` says."""
        if self._begun:
            self._begun = False
            await run_to_completion(self._undo())

    async def _undo(self) -> None:
        undone = False
        try:
            if not self._cut_off:
                # The server undoes what has lost its connection.
                with suppress(*self._errors), self._answer_timeout():
                    await self._driver.run("ROLLBACK")
                    undone = True
        finally:
            if undone:
                note_end(self.connection)
            else:
                await self.connection.invalidate()

    @asynccontextmanager
    async def _undone_if_it_fails(self) -> AsyncIterator[None]:
        if not self._undoes_many:
            await self._control()
            yield
            return
        await self._set_savepoint()
        self._wrote = True
        try:
            yield
        except Exception as error:
            if self._diagnose(error).fault not in FATAL:
                await self._control(ROLLBACK_TO_SAVEPOINT)
                self._wrote = False
            raise

    async def _set_savepoint(self) -> None:
        if self._wrote or not self._has_savepoint:
            await self._control(*[RELEASE_SAVEPOINT] * self._has_savepoint, SET_SAVEPOINT)
            self._has_savepoint, self._wrote = True, False

    async def _nest(self, *statements: str) -> None:
        """Set or release a savepoint that was asked for; that of a write must not outlive it."""
        await self._control(*statements, *[SET_SAVEPOINT] * self._needs_savepoints)
        self._has_savepoint, self._wrote = self._needs_savepoints, False

    async def _control(self, *statements: str) -> None:
        if not self._begun:
            self._begun = True
            statements = (*self._begin, *statements)
        if statements:
            await self._step(self._driver.run(*statements))

    def _answer_timeout(self) -> AnswerTimeout:
        return AnswerTimeout(self._driver.connection, self._answer_timeout_seconds)

    async def _step(self, step: Awaitable[Result]) -> Result:
        self._cut_off = True
        try:
            with self._answer_timeout():
                result = await step
        except self._errors:
            self._cut_off = False
            raise
        self._cut_off = False
        return result
