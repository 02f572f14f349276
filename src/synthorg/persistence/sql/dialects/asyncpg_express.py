"""The fast route of PostgreSQL through asyncpg, which pipelines many runs of one statement."""

from collections.abc import Sequence
from typing import Any

from synthorg.persistence.sql.dialects.server_express import ServerLane
from synthorg.persistence.sql.express import DriverStatement
from synthorg.persistence.sql.lanes import Call, Outcome


class AsyncpgLane(ServerLane[Any]):
    """Runs calls on one connection of asyncpg, which has no types of its own."""

    def is_lost(self, driver: Any) -> bool:
        """Tell whether the connection is closed, as `ServerLane` says."""
        return bool(driver.is_closed())

    async def ping(self, driver: Any) -> None:
        """Ask for a sign of life, as `ServerLane` says."""
        await driver.execute("SELECT 1")

    async def send(self, driver: Any, call: Call) -> Outcome:
        """Run one call, as `ServerLane` says."""
        if call.statement.reads:
            return await driver.fetch(call.statement.sql, *call.values)
        # Such as "UPDATE 1" or "INSERT 0 1".
        status = await driver.execute(call.statement.sql, *call.values)
        return int(status.rpartition(" ")[2])

    async def send_many(
        self, driver: Any, statement: DriverStatement, values: Sequence[Sequence[Any]]
    ) -> None:
        """Run a statement many times, as `ServerLane` says."""
        await driver.executemany(statement.sql, values)
