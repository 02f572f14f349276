"""Alembic from code: migrating inside a running loop, and writing the migration as a script."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TextIO

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import (
    MigrationError,
    PersistenceError,
    TransactionConflictError,
)
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.drivers.cancellation import run_to_completion
from synthorg.persistence.sql.drivers.faults import Fault
from synthorg.persistence.sql.execution.database import Database
from synthorg.persistence.sql.execution.failures import connection_failure, redacted
from synthorg.persistence.sql.execution.retrying import run_again_on_conflict
from synthorg.persistence.sql.migrations.operations import DIALECT
from synthorg.persistence.sql.migrations.revisions import (
    CONNECTION,
    PROGRESS,
    REVISION,
    Progress,
    alembic_config,
    known_revisions,
)
from synthorg.persistence.sql.migrations.state import Condition, SchemaState, read_state
from synthorg.persistence.sql.owned_tables import LIBRARY, OwnedTables

HEAD: Final = "head"

Command = Callable[[Config, str], None]

_one_at_a_time = threading.Lock()
"""Alembic's environment is module-global: two migrations in one process would mix up."""


async def upgrade(
    database: Database,
    revision: str = HEAD,
    progress: Progress | None = None,
    owned: OwnedTables = LIBRARY,
) -> None:
    """Bring the schema to a revision, by default as `PersistenceBackend.migrate` says.

    Args:
        database: An open database.
        revision: The revision to end with.
        progress: What is told about each revision.
        owned: The tables to migrate.
    """
    await _migrate(database, owned, command.upgrade, revision, progress)


async def downgrade(
    database: Database,
    revision: str,
    progress: Progress | None = None,
    owned: OwnedTables = LIBRARY,
) -> None:
    """Take the schema back to an earlier revision, with the data that only later ones hold.

    Args:
        database: An open database.
        revision: The revision to end with, or "base" for a database without our tables.
        progress: What is told about each revision.
        owned: The tables to migrate.

    Raises:
        MigrationError: As `PersistenceBackend.migrate` says.
    """
    await _migrate(database, owned, command.downgrade, revision, progress)


def write_script(
    dialect: Dialect, start: str, revision: str, output: TextIO, owned: OwnedTables = LIBRARY
) -> None:
    """Write what an upgrade would send to the database, for people to review and run.

    Args:
        dialect: The kind of database; nothing is connected.
        start: The revision that the database has, or "base".
        revision: The revision to end with.
        output: Where to write it.
        owned: The tables to migrate.

    Raises:
        MigrationError: If there is no such revision.
    """
    config = alembic_config(owned, {DIALECT: dialect})
    config.output_buffer = output
    try:
        with _one_at_a_time:
            command.upgrade(config, f"{start}:{revision}", sql=True)
    except CommandError as error:
        raise MigrationError(f"cannot write the script: {error}") from None


def find_schema_state(
    connection: Connection, dialect: Dialect, owned: OwnedTables = LIBRARY
) -> SchemaState:
    """Find out in which state a schema is; the transaction that this begins is ended.

    Args:
        connection: A connection to the database in question, with no transaction begun.
        dialect: The kind of database.
        owned: The tables in question.
    """
    state = read_state(connection, known_revisions(owned), dialect, owned)
    connection.rollback()
    return state


async def find_schema_problem(
    connection: AsyncConnection, dialect: Dialect, *more: OwnedTables
) -> str | None:
    """Say what a user has to do about the schema, or None when it is this version's.

    Args:
        connection: A connection to the database in question.
        dialect: The kind of database.
        more: The tables of extensions, which have to be theirs as well.
    """
    for owned in (LIBRARY, *more):
        state = await connection.run_sync(read_state, known_revisions(owned), dialect, owned)
        if state.condition is not Condition.CURRENT:
            return state.description
    return None


async def adjust_storage(connection: AsyncConnection, dialect: Dialect) -> None:
    """Have the storage of a database as configured, if its schema is this version's.

    Args:
        connection: A connection to the database, whose transaction is ended.
        dialect: The kind of database.
    """

    async def is_current() -> bool:
        problem = await find_schema_problem(connection, dialect)
        await connection.rollback()
        return problem is None

    await connection.rollback()
    await dialect.adjust_storage(connection, is_current)


async def _migrate(
    database: Database,
    owned: OwnedTables,
    alembic_command: Command,
    revision: str,
    progress: Progress | None,
) -> None:
    async def attempt() -> None:
        await _try_to_migrate(database, owned, alembic_command, revision, progress)

    try:
        # In a cluster, what one node does to tables ends transactions that read them on another.
        await run_again_on_conflict(attempt)
    except TransactionConflictError as error:
        raise MigrationError(str(error)) from error.__cause__


async def _try_to_migrate(
    database: Database,
    owned: OwnedTables,
    alembic_command: Command,
    revision: str,
    progress: Progress | None,
) -> None:
    config = alembic_config(owned, {DIALECT: database.dialect, PROGRESS: progress})
    try:
        async with database.migration_connection() as connection:
            # Stopped halfway, SQLite would keep its lock for as long as anything refers to a
            # cursor, such as the traceback of the cancellation.
            is_current = revision == HEAD and await run_to_completion(
                connection.run_sync(_is_current, database.dialect, owned)
            )
            if not is_current:
                async with _alembic_to_itself():
                    step = connection.run_sync(_run, config, alembic_command, revision)
                    await run_to_completion(step)
        await database.adjust_storage()
    except PersistenceError:
        raise
    except Exception as error:  # noqa: BLE001 (revisions are programs: anything may leave them)
        failure, cause = explain(error, config, database.dialect), redacted(error)
    else:
        return
    raise failure from cause


def _is_current(connection: Connection, dialect: Dialect, owned: OwnedTables) -> bool:
    state = find_schema_state(connection, dialect, owned)
    return state.condition is Condition.CURRENT and state.unfinished is None


def _run(connection: Connection, config: Config, alembic_command: Command, revision: str) -> None:
    config.attributes[CONNECTION] = connection
    alembic_command(config, revision)


def explain(error: Exception, config: Config, dialect: Dialect) -> PersistenceError:
    """Say what made a migration fail, and in which revision.

    Args:
        error: What was raised.
        config: The configuration that Alembic ran with.
        dialect: The kind of database.
    """
    diagnosis = dialect.diagnose(error)
    revision = config.attributes.get(REVISION)
    if isinstance(error, CommandError):
        reason = str(error)
    elif isinstance(error, (SQLAlchemyError, OSError, *dialect.driver_errors)):
        reason = diagnosis.reason
    else:
        reason = type(error).__name__
    if revision is not None:
        return MigrationError(f"the migration failed in revision {revision}: {reason}")
    if diagnosis.fault is Fault.CONNECTION:
        return connection_failure(diagnosis, f"cannot migrate {dialect.description}")
    if diagnosis.is_conflict:
        return TransactionConflictError(f"cannot migrate {dialect.description}: {reason}")
    return MigrationError(f"cannot migrate {dialect.description}: {reason}")


@asynccontextmanager
async def _alembic_to_itself() -> AsyncIterator[None]:
    # Another loop in another thread may hold it, so waiting must not block this loop.
    while not _one_at_a_time.acquire(blocking=False):  # noqa: ASYNC110 (see below)
        await asyncio.sleep(0.01)  # an asyncio.Event would belong to one loop
    try:
        yield
    finally:
        _one_at_a_time.release()
