"""The fast route of MySQL and MariaDB through asyncmy, with statements prepared on the server."""

from collections.abc import Sequence
from typing import Any

from synthorg.persistence.sql.dialects.server_express import ServerLane
from synthorg.persistence.sql.express import DriverStatement
from synthorg.persistence.sql.lanes import Call, Outcome


class AsyncmyLane(ServerLane[Any]):
    """Runs calls on one connection of asyncmy, which has no types of its own."""

    def is_lost(self, driver: Any) -> bool:
        """Tell whether the connection is closed, as `ServerLane` says."""
        return not driver.connected

    async def ping(self, driver: Any) -> None:
        """Ask for a sign of life, as `ServerLane` says."""
        await driver.ping(reconnect=False)

    async def send(self, driver: Any, call: Call) -> Outcome:
        """Run one call, as `ServerLane` says."""
        cursor = driver.cursor()
        await cursor.execute(call.statement.sql, call.values)
        return await cursor.fetchall() if call.statement.reads else cursor.rowcount

    async def send_many(
        self, driver: Any, statement: DriverStatement, values: Sequence[Sequence[Any]]
    ) -> None:
        """Run a statement many times, as `ServerLane` says."""
        cursor = driver.cursor()
        await driver.begin()
        try:
            await cursor.executemany(statement.sql, values)
            await driver.commit()
        except BaseException:
            if driver.connected:
                await driver.rollback()
            raise
