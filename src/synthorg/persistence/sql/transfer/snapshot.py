"""One state of a database, whatever others write meanwhile."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Executable, Row, Table, inspect
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import MigrationError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.migrations.revisions import known_revisions
from synthorg.persistence.sql.migrations.state import Condition, SchemaState, read_state
from synthorg.persistence.sql.owned_tables import OwnedTables
from synthorg.persistence.sql.transfer.faults import explained


class Snapshot:
    """One state of a database, whatever others write meanwhile.

    Args:
        connection: A connection in a transaction that reads alone.
        dialect: The kind of database.
    """

    def __init__(self, connection: AsyncConnection, dialect: Dialect) -> None:
        self.dialect = dialect
        self._connection = connection

    async def fetch(
        self, query: Executable, table: Table, values: Mapping[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        """Read rows.

        Args:
            query: What to read.
            table: From which table, for messages.
            values: The values of its parameters.
        """
        with explained(self.dialect, f"read {table.name} of {self.dialect.description}"):
            step = self._connection.execute(query, dict(values or {}))
            return (await self.dialect.step(self._connection, step)).all()

    async def state_of(self, owned: OwnedTables) -> SchemaState:
        """Tell what the tables of an owner are, compared with this release.

        Args:
            owned: The tables in question.
        """
        return await self._connection.run_sync(
            read_state, known_revisions(owned), self.dialect, owned
        )

    async def refuse_other_schema(self, owned: OwnedTables) -> None:
        """Refuse a database whose tables are not those of this release.

        Args:
            owned: The tables in question.

        Raises:
            MigrationError: If they are not, with what to do.
        """
        state = await self.state_of(owned)
        if state.condition is not Condition.CURRENT:
            raise MigrationError(
                f"cannot read {self.dialect.description}, tables of {owned.owner}: "
                f"{state.description}"
            )

    async def find_others(self, every: Sequence[OwnedTables]) -> tuple[str, ...]:
        """Name the tables that are there beside those in question.

        Args:
            every: The tables in question.
        """
        prefix = self.dialect.table_prefix
        known = {name for owned in every for name in owned.in_database(prefix).names}
        names = await self._connection.run_sync(lambda each: inspect(each).get_table_names())
        return tuple(sorted(set(names) - known - {*self.dialect.bookkeeping}))


@asynccontextmanager
async def snapshot_of(dialect: Dialect) -> AsyncIterator[Snapshot]:
    """Look at one state of an existing database for as long as it takes.

    Args:
        dialect: The kind of database.

    Raises:
        PersistenceConnectionError: If it cannot be reached.
    """
    dialect.refuse_absence()
    engine = dialect.create_engine()
    try:
        with explained(dialect, f"connect to {dialect.description}"):
            async with engine.connect() as connection:
                await dialect.inspect_server(connection)
                await connection.rollback()
                await connection.execution_options(**dialect.snapshot_options())
                yield Snapshot(connection, dialect)
    finally:
        await engine.dispose()
