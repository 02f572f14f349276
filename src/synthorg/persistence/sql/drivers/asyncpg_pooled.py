"""The fast route through asyncpg and a pooler that gives each transaction a session of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from synthorg.persistence.sql.drivers.asyncpg import AsyncpgDriver
from synthorg.persistence.sql.drivers.base import Call, DriverStatement, NotWritten
from synthorg.persistence.sql.drivers.batching import Outcome
from synthorg.persistence.sql.drivers.cancellation import run_to_completion

BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"


class PooledAsyncpgDriver(AsyncpgDriver):
    """A connection of asyncpg on which each call is a transaction that says so.

    Between the trips of one that does not, the pooler might go on with another session, which has
    other settings.
    """

    async def ping(self) -> None:
        """Do nothing: what begins a transaction shows whether the connection is alive."""

    async def send(self, call: Call) -> Outcome:
        """Run one call, as `ServerDriver` says."""
        async with self._transaction():
            return await super().send(call)

    async def send_together(
        self, statement: DriverStatement, values: Sequence[Sequence[Any]]
    ) -> None:
        """Run a statement many times in one transaction, as `ServerDriver` says."""
        if not await self._send_columns(statement, values):
            async with self._transaction():
                await self.connection.executemany(statement.sql, values)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        """Begin a transaction and commit it, or undo it.

        Raises:
            NotWritten: If anything failed before its COMMIT was sent.
        """
        try:
            try:
                await self.connection.execute(BEGIN)
                yield
            except Exception as error:  # noqa: BLE001 (it goes on as the reason)
                raise NotWritten(error) from None
            await self.commit()
        except BaseException:
            await run_to_completion(self._undo())
            raise

    async def _undo(self) -> None:
        undone = False
        try:
            with suppress(Exception):
                await self.connection.execute("ROLLBACK")
                undone = True
        finally:
            if not undone:
                self.connection.terminate()


def driver_of(connection: Any) -> AsyncpgDriver:
    """Choose the driver for a connection that is kept.

    Args:
        connection: The connection of asyncpg.
    """
    is_stateless = hasattr(connection, "settings_of_transactions")
    return PooledAsyncpgDriver(connection) if is_stateless else AsyncpgDriver(connection)
