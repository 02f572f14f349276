"""The fast route of MySQL and MariaDB through asyncmy, with most statements prepared there."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from synthorg.persistence.sql.drivers.asyncmy_rows import Rows, pieces
from synthorg.persistence.sql.drivers.base import Call, DriverStatement, NotWritten
from synthorg.persistence.sql.drivers.batching import Outcome
from synthorg.persistence.sql.drivers.server_driver import ServerDriver

CACHED_STATEMENTS: Final = 256  # all that the repositories have


class AsyncmyDriver(ServerDriver):
    """A connection of asyncmy.

    Args:
        connection: The connection.
        prepares: Whether the server prepares statements.
        prepares_many: Whether it does so with those for many rows, of which a transaction may have
            several.
    """

    def __init__(
        self, connection: Any, *, prepares: bool = True, prepares_many: bool = True
    ) -> None:
        super().__init__(connection)
        self._cached_statements = CACHED_STATEMENTS if prepares else 0
        self._prepares_many = prepares_many

    def is_lost(self) -> bool:
        """Tell whether the connection is closed, as `ServerDriver` says."""
        # The second notices a farewell that nobody has read yet.
        return not self.connection.connected or self.connection._stream_broken  # noqa: SLF001

    @property
    def begins_by_itself(self) -> bool:
        """Whether a statement begins a transaction where none is open, as answers have said."""
        return not self.connection.get_autocommit()

    async def ping(self) -> None:
        """Ask for a sign of life, as `ServerDriver` says."""
        await self.connection.ping(reconnect=False)

    async def run(self, *statements: str) -> None:
        """Run statements, as `ServerDriver` says."""
        cursor = self.connection.cursor()
        await cursor.execute("; ".join(statements))
        while await cursor.nextset():
            pass

    async def send(self, call: Call) -> Outcome:
        """Run one call, as `ServerDriver` says."""
        cursor = self.connection.cursor()
        if call.statement.scans:
            # Prepared on the server, it would look up each row of an index that has all it needs,
            # once a row was added to the table by anyone.
            await cursor.execute(cursor.mogrify(call.statement.sql, call.values))
        else:
            self.connection._stmt_cache_size = self._cached_statements  # noqa: SLF001 (no other way)
            try:
                await cursor.execute(call.statement.sql, call.values)
            finally:
                # What SQLAlchemy sends on the same connection is not prepared.
                self.connection._stmt_cache_size = 0  # noqa: SLF001
        if not call.statement.reads:
            return cursor.rowcount
        rows = await cursor.fetchall()
        self.connection._result = None  # noqa: SLF001 (it would hold the rows until the next call)
        return rows

    async def send_many(self, statement: DriverStatement, values: Iterable[Sequence[Any]]) -> None:
        """Run a statement many times, as `ServerDriver` says."""
        for rows in pieces(values):
            await self._write(Rows(statement.sql, rows))

    async def send_together(
        self, statement: DriverStatement, values: Sequence[Sequence[Any]]
    ) -> None:
        """Run a statement many times in one transaction, as `ServerDriver` says."""
        is_sent = False
        try:
            await self.run("BEGIN")
            await self.send_many(statement, values)
            is_sent = True
            await self.commit()
        except Exception as error:
            if is_sent and self.is_lost():
                raise
            if not self.is_lost():
                await self.run("ROLLBACK")
            raise NotWritten(error) from None

    async def commit(self) -> None:
        """Commit, as `ServerDriver` says."""
        await self.connection.commit()

    async def _write(self, rows: Rows) -> None:
        """Run a statement for a few rows, in one trip where the server takes them as they are."""
        cursor = self.connection.cursor()
        is_supported = self.connection._bulk_supported  # noqa: SLF001 (nobody else knows)
        if self._prepares_many and is_supported and rows.are_alike:
            self.connection._stmt_cache_size = CACHED_STATEMENTS  # noqa: SLF001 (as above)
            try:
                await cursor.executemany(rows.sql_without_nulls, rows.without_nulls)
            finally:
                self.connection._stmt_cache_size = 0  # noqa: SLF001
        else:
            await cursor.executemany(rows.sql, rows.values)
