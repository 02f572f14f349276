"""The fast route of PostgreSQL through asyncpg, which takes many rows as values of columns."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from synthorg.persistence.errors import PersistenceConnectionError
from synthorg.persistence.sql.drivers.asyncpg_pipeline import (
    MOST_PREPARED,
    Prepared,
    send_behind,
)
from synthorg.persistence.sql.drivers.base import Call, DriverStatement, Executions
from synthorg.persistence.sql.drivers.batching import Outcome
from synthorg.persistence.sql.drivers.server_driver import ServerDriver

CHARACTERS_AT_ONCE: Final = 1024 * 1024
"""How many characters are sent together, so that large rows do not pile up in memory."""

BYTES_OF_MANY_RUNS: Final = 64 * 1024
"""The same for many runs of a statement. From 128 KiB, asyncpg sends those in several goes, and a
cancellation in between leaves it waiting for ever for an answer to what it has not asked."""

WIDEST_CHARACTER: Final = 4  # bytes, in UTF-8
WIDEST_NUMBER: Final = 32  # bytes, in the binary format, with what goes around a value


class AsyncpgDriver(ServerDriver):
    """A connection of asyncpg.

    Args:
        connection: The connection.
        prepared: What is prepared on it to go behind other statements; None to prepare nothing.
    """

    def __init__(self, connection: Any, prepared: Prepared | None = None) -> None:
        super().__init__(connection)
        self._prepared = prepared

    def is_lost(self) -> bool:
        """Tell whether the connection is closed, as `ServerDriver` says."""
        return bool(self.connection.is_closed())

    async def ping(self) -> None:
        """Ask for a sign of life, as `ServerDriver` says."""
        await self.connection.execute("SELECT 1")

    async def run(self, *statements: str) -> None:
        """Run statements, as `ServerDriver` says."""
        await self.connection.execute("; ".join(statements))

    async def send(self, call: Call) -> Outcome:
        """Run one call, as `ServerDriver` says."""
        if call.statement.reads:
            held = await self.connection.fetch(call.statement.sql, *call.values)
            rows = held.copy()
            held.clear()  # the connection would hold the rows until the next call
            return rows
        return _row_count(await self.connection.execute(call.statement.sql, *call.values))

    async def send_behind(self, statements: Sequence[str], call: Call) -> Outcome:
        """Run statements and then a call, as `ServerDriver` says."""
        prepared = self._prepared
        if not statements or prepared is None or len(prepared) >= MOST_PREPARED:
            return await super().send_behind(statements, call)
        rows, status = await send_behind(self.connection, prepared, statements, call)
        return rows if call.statement.reads else _row_count(status)

    async def send_many(self, statement: DriverStatement, values: Iterable[Sequence[Any]]) -> None:
        """Run a statement many times, as `ServerDriver` says."""
        if isinstance(values, Executions):
            together = values.together(CHARACTERS_AT_ONCE)
            if together is not None:
                await self.send(together)
                return
        for rows in _portions(values, CHARACTERS_AT_ONCE, _characters):
            if not await self._send_columns(statement, rows):
                for portion in _portions(rows, BYTES_OF_MANY_RUNS, _largest_size):
                    await self.connection.executemany(statement.sql, portion)

    async def send_together(
        self, statement: DriverStatement, values: Sequence[Sequence[Any]]
    ) -> None:
        """Run a statement many times in one transaction, as `ServerDriver` says."""
        if not await self._send_columns(statement, values):
            await self.connection.executemany(statement.sql, values)

    async def _send_columns(
        self, statement: DriverStatement, rows: Sequence[Sequence[Any]]
    ) -> bool:
        """Write rows by one run of a statement for many, and tell whether there is one."""
        at_once = statement.batched(rows)
        if at_once is not None:
            await self.send(Call(*at_once))
        return at_once is not None

    async def commit(self) -> None:
        """Commit, as `ServerDriver` says."""
        # After a failed statement, the server answers this with a rollback that is no error.
        if await self.connection.execute("COMMIT") != "COMMIT":
            raise PersistenceConnectionError("the transaction failed: it was rolled back")


def _portions(
    rows: Iterable[Sequence[Any]], size: int, size_of: Callable[[Sequence[Any]], int]
) -> Iterator[Sequence[Sequence[Any]]]:
    """Divide rows into what is sent together."""
    portion: list[Sequence[Any]] = []
    so_far = 0
    for row in rows:
        portion.append(row)
        so_far += size_of(row)
        if so_far >= size:
            yield portion
            portion, so_far = [], 0
    if portion:
        yield portion


def _row_count(status: str) -> int:
    """Find the number of rows in a status such as "UPDATE 1" or "INSERT 0 1"."""
    return int(status.rpartition(" ")[2])


def _characters(row: Sequence[Any]) -> int:
    return sum([len(value) for value in row if value.__class__ is str])


def _largest_size(row: Sequence[Any]) -> int:
    """Tell how many bytes a row has at most as it is sent."""
    texts = [value for value in row if isinstance(value, str)]
    characters = sum(map(len, texts))
    widest = 1 if all(map(str.isascii, texts)) else WIDEST_CHARACTER
    return WIDEST_NUMBER * len(row) + characters * widest
