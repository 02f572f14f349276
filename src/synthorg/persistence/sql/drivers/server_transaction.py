"""Transactions of the fast route of servers, on connections of SQLAlchemy's pool."""

from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.sql.drivers.answer_timeout import AnswerTimeouts
from synthorg.persistence.sql.drivers.base import Call, DriverStatement, DriverTransaction
from synthorg.persistence.sql.drivers.cancellation import Result, run_to_completion
from synthorg.persistence.sql.drivers.faults import FATAL
from synthorg.persistence.sql.drivers.returning import (
    note_begin,
    note_end,
    note_sharing,
    was_begun_by,
)
from synthorg.persistence.sql.drivers.server_driver import ServerDriver
from synthorg.persistence.sql.drivers.server_policy import ServerPolicy

SET_SAVEPOINT: Final = "SAVEPOINT step"
RELEASE_SAVEPOINT: Final = "RELEASE SAVEPOINT step"
ROLLBACK_TO_SAVEPOINT: Final = "ROLLBACK TO SAVEPOINT step"


class ServerTransaction(DriverTransaction):
    """A transaction on a pooled connection, which is dropped unless it ended in good order.

    A write that may have to be undone alone needs a savepoint before it. That stays until the next
    such write, which moves it in its own trip, where the driver can, or need not if nothing was
    written since.

    Args:
        connection: The connection, with no transaction begun.
        driver: The driver's own behind it.
        policy: What errors mean, and whether one ends a transaction.
        begin: The statements that begin it.
        remembers: Whether they need not be sent where the transaction before was begun by the same,
            and nobody else had the connection since.
    """

    completes_in_place = True

    def __init__(
        self,
        connection: AsyncConnection,
        driver: ServerDriver,
        policy: ServerPolicy,
        begin: Sequence[str],
        *,
        remembers: bool = False,
    ) -> None:
        self.connection = connection
        self._driver = driver
        self._diagnose = policy.diagnose
        self._answers = AnswerTimeouts(driver.connection, policy.answer_timeout_seconds)
        self._errors: tuple[type[Exception], ...] = (*policy.driver_errors, OSError)
        self._needs_savepoints = policy.failure_ends_transaction
        self._undoes_many = True
        self._begin = begin
        self._remembers = remembers
        self._is_shared = False
        self._begun = False
        self._cut_off = False
        """Whether a step was left half done, so that the next answer may not be to what is sent."""
        self._has_savepoint = False
        self._wrote = False
        """Whether anything may have been written since the savepoint."""
        self._savepoints = 0

    def shared_connection(self) -> AsyncConnection:
        """Give the connection to somebody else, as `DriverTransaction` says."""
        self._is_shared = True
        return self.connection

    async def begin(self) -> None:
        """Begin it, as `DriverTransaction` says."""
        await self._control(*self._beginning())

    def without_savepoints(self) -> None:
        """Set no savepoint before a write, as `DriverTransaction` says."""
        self._undoes_many = not self._needs_savepoints
        self._needs_savepoints = False

    async def fetch(self, call: Call) -> Sequence[Sequence[Any]]:
        """Run a statement that reads, as `DriverTransaction` says."""
        if self._begun:
            rows = await self._step(self._driver.send(call))
        else:
            # The savepoint costs nothing in the same trip, and a write may follow.
            before = self._to_savepoint() if self._needs_savepoints else self._beginning()
            rows = await self._step(self._driver.send_behind(before, call))
        return call.statement.decode(rows)

    async def execute(self, call: Call) -> int:
        """Run a statement that writes, as `DriverTransaction` says."""
        row_count: int
        before = self._to_savepoint() if self._needs_savepoints else self._beginning()
        self._wrote = True
        try:
            row_count = await self._step(self._driver.send_behind(before, call))
        except Exception as error:
            if self._needs_savepoints:
                await self._undo_write(error)
            raise
        return row_count

    async def execute_many(
        self, statement: DriverStatement, values: Iterable[Sequence[Any]]
    ) -> None:
        """Run a statement many times, as `DriverTransaction` says."""
        await self._control(*(self._to_savepoint() if self._undoes_many else self._beginning()))
        self._wrote = True
        try:
            await self._step(self._driver.send_many(statement, values))
        except Exception as error:
            if self._undoes_many:
                await self._undo_write(error)
            raise

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
        self._answers.end()
        self._note_end()

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
                with suppress(*self._errors), self._answers:
                    await self._driver.run("ROLLBACK")
                    undone = True
        finally:
            self._answers.end()
            if undone:
                self._note_end()
            else:
                await self.connection.invalidate()

    def _note_end(self) -> None:
        note_end(self.connection)
        if self._is_shared:
            note_sharing(self.connection)

    async def _undo_write(self, error: Exception) -> None:
        if self._diagnose(error).fault not in FATAL:
            await self._control(ROLLBACK_TO_SAVEPOINT)
            self._wrote = False

    def _to_savepoint(self) -> Sequence[str]:
        """Give what has to be run before a write that is undone alone if it fails."""
        if self._has_savepoint and not self._wrote:
            return ()
        release = [RELEASE_SAVEPOINT] * self._has_savepoint
        self._has_savepoint, self._wrote = True, False
        return (*self._beginning(), *release, SET_SAVEPOINT)

    def _beginning(self) -> Sequence[str]:
        """Give what has to be run first of all, once."""
        if self._begun:
            return ()
        self._begun = True
        if self._remembers:
            if was_begun_by(self.connection, self._begin):
                return ()
            note_begin(self.connection, self._begin)
        return self._begin

    async def _nest(self, *statements: str) -> None:
        """Set or release a savepoint that was asked for; that of a write must not outlive it."""
        savepoint = [SET_SAVEPOINT] * self._needs_savepoints
        await self._control(*self._beginning(), *statements, *savepoint)
        self._has_savepoint, self._wrote = self._needs_savepoints, False

    async def _control(self, *statements: str) -> None:
        if statements:
            await self._step(self._driver.run(*statements))

    async def _step(self, step: Awaitable[Result]) -> Result:
        self._cut_off = True
        try:
            with self._answers:
                result = await step
        except self._errors:
            self._cut_off = False
            if self._remembers:
                note_sharing(self.connection)  # what began it may not have been carried out
            raise
        self._cut_off = False
        return result
