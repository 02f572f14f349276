"""The fast route of MySQL and MariaDB through asyncmy, with most statements prepared there."""

from collections.abc import Iterable, Sequence
from typing import Any

from synthorg.persistence.sql.dialects.server_driver import ServerDriver
from synthorg.persistence.sql.express import DriverStatement
from synthorg.persistence.sql.lanes import Call, Outcome


class AsyncmyDriver(ServerDriver):
    """A connection of asyncmy."""

    def is_lost(self) -> bool:
        """Tell whether the connection is closed, as `ServerDriver` says."""
        return not self._connection.connected

    async def ping(self) -> None:
        """Ask for a sign of life, as `ServerDriver` says."""
        await self._connection.ping(reconnect=False)

    async def run(self, *statements: str) -> None:
        """Run statements, as `ServerDriver` says."""
        cursor = self._connection.cursor()
        await cursor.execute("; ".join(statements))
        while await cursor.nextset():
            pass

    async def send(self, call: Call) -> Outcome:
        """Run one call, as `ServerDriver` says."""
        cursor = self._connection.cursor()
        if call.statement.scans:
            # Prepared on the server, it would look up each row of an index that has all it needs,
            # once a row was added to the table by anyone.
            await cursor.execute(cursor.mogrify(call.statement.sql, call.values))
        else:
            await cursor.execute(call.statement.sql, call.values)
        return await cursor.fetchall() if call.statement.reads else cursor.rowcount

    async def send_many(self, statement: DriverStatement, values: Iterable[Sequence[Any]]) -> None:
        """Run a statement many times, as `ServerDriver` says."""
        await self._connection.cursor().executemany(statement.sql, list(values))

    async def send_together(
        self, statement: DriverStatement, values: Sequence[Sequence[Any]]
    ) -> None:
        """Run a statement many times in one transaction, as `ServerDriver` says."""
        await self.run("BEGIN")
        try:
            await self.send_many(statement, values)
            await self.commit()
        except BaseException:
            if not self.is_lost():
                await self.run("ROLLBACK")
            raise

    async def commit(self) -> None:
        """Commit, as `ServerDriver` says."""
        await self.run("COMMIT")
