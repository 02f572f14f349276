"""A database made ready for records that come from elsewhere."""

from collections.abc import Sequence

from synthorg.persistence.errors import MigrationError, UsageError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.execution.database import Database
from synthorg.persistence.sql.migrations import runner
from synthorg.persistence.sql.migrations.state import Condition
from synthorg.persistence.sql.owned_tables import OwnedTables


def refuse_memory(dialect: Dialect, action: str) -> None:
    """Refuse a database that ends with its connection.

    Args:
        dialect: The kind of database.
        action: What was asked for, as in "copy with".

    Raises:
        UsageError: If it is in memory.
    """
    if dialect.place is None:
        raise UsageError(
            f"cannot {action} {dialect.description}: a database in memory ends with the "
            "connection; name a file"
        )


async def make_tables(database: Database, every: Sequence[OwnedTables], action: str) -> None:
    """Make the tables of a database that has none.

    Args:
        database: The database.
        every: The tables of each owner.
        action: What is done to it, as in "copy".

    Raises:
        MigrationError: If its tables are others than those of this release.
    """
    for owned in every:
        async with database.migration_connection() as connection:
            state = await connection.run_sync(runner.find_schema_state, database.dialect, owned)
        if state.condition is Condition.EMPTY or (
            state.condition is Condition.INTERRUPTED and state.admits(upgrade=True)
        ):
            await runner.upgrade(database, owned=owned)
        elif state.condition is not Condition.CURRENT:
            raise MigrationError(
                f"cannot {action} into {database.dialect.description}: {state.description}"
            )
