"""The fast route of PostgreSQL through asyncpg, which pipelines many runs of one statement."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

from synthorg.persistence.errors import PersistenceConnectionError
from synthorg.persistence.sql.dialects.server_driver import ServerDriver
from synthorg.persistence.sql.express import DriverStatement
from synthorg.persistence.sql.lanes import Call, Outcome

BYTES_AT_ONCE: Final = 64 * 1024
"""How many bytes of values are sent together. From 128 KiB, asyncpg sends in several goes, and a
cancellation in between leaves it waiting for ever for an answer to what it has not asked."""

WIDEST_CHARACTER: Final = 4  # bytes, in UTF-8
WIDEST_NUMBER: Final = 32  # bytes, in the binary format, with what goes around a value


class AsyncpgDriver(ServerDriver):
    """A connection of asyncpg."""

    def is_lost(self) -> bool:
        """Tell whether the connection is closed, as `ServerDriver` says."""
        return bool(self._connection.is_closed())

    async def ping(self) -> None:
        """Ask for a sign of life, as `ServerDriver` says."""
        await self._connection.execute("SELECT 1")

    async def run(self, *statements: str) -> None:
        """Run statements, as `ServerDriver` says."""
        await self._connection.execute("; ".join(statements))

    async def send(self, call: Call) -> Outcome:
        """Run one call, as `ServerDriver` says."""
        if call.statement.reads:
            return await self._connection.fetch(call.statement.sql, *call.values)
        # Such as "UPDATE 1" or "INSERT 0 1".
        status = await self._connection.execute(call.statement.sql, *call.values)
        return int(status.rpartition(" ")[2])

    async def send_many(self, statement: DriverStatement, values: Iterable[Sequence[Any]]) -> None:
        """Run a statement many times, as `ServerDriver` says."""
        rows = iter(values)
        for row in rows:
            await self._connection.executemany(statement.sql, _portion(row, rows))

    async def send_together(
        self, statement: DriverStatement, values: Sequence[Sequence[Any]]
    ) -> None:
        """Run a statement many times in one transaction, as `ServerDriver` says."""
        await self._connection.executemany(statement.sql, values)

    async def commit(self) -> None:
        """Commit, as `ServerDriver` says."""
        # After a failed statement, the server answers this with a rollback that is no error.
        if await self._connection.execute("COMMIT") != "COMMIT":
            raise PersistenceConnectionError("the transaction failed: it was rolled back")


def _portion(first: Sequence[Any], others: Iterator[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Take as many rows as are sent together."""
    size = 0
    for row in chain([first], others):
        yield row
        size += sum(map(_largest_size, row))
        if size >= BYTES_AT_ONCE:
            return


def _largest_size(value: Any) -> int:
    if not isinstance(value, str):
        return WIDEST_NUMBER
    return WIDEST_NUMBER + len(value) * (1 if value.isascii() else WIDEST_CHARACTER)
