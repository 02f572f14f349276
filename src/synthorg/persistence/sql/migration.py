"""Alembic from code: upgrading inside a running loop, and telling the state of a schema."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import MigrationError
from synthorg.persistence.sql.database import Database
from synthorg.persistence.sql.failures import redacted
from synthorg.persistence.sql.operations import DIALECT
from synthorg.persistence.sql.tables import VERSION_TABLE

logger = logging.getLogger(__name__)

CONNECTION: Final = "connection"
"""The attribute of Alembic's configuration that hands a connection to `env.py`."""

HOW_TO_MIGRATE: Final = "await backend.migrate(), or run `alembic upgrade head`"

_one_at_a_time = threading.Lock()
"""Alembic's environment is module-global: two migrations in one process would mix up."""


def migrations_folder() -> Path:
    """Find the Alembic environment: inside the package when installed, else in the checkout."""
    package = Path(__file__).resolve().parent.parent
    checkout = package.parent.parent.parent
    for folder in (package / "migrations", checkout / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise MigrationError(f"the installation is incomplete: no migrations beside {package}")


def alembic_config(**attributes: object) -> Config:
    """Make a configuration for Alembic's commands that needs no file.

    Args:
        attributes: What the environment finds in the configuration's `attributes`.
    """
    config = Config(attributes=attributes)
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    return config


async def upgrade(database: Database) -> None:
    """Bring the schema to the head revision, as `PersistenceBackend.migrate` says.

    Args:
        database: An open database.
    """
    async with database.migration_connection() as connection:
        if await connection.run_sync(_is_at_head):
            return
        async with _alembic_to_itself():
            await connection.run_sync(_upgrade, database)


async def find_schema_problem(connection: AsyncConnection) -> str | None:
    """Say what a user has to do about the schema, or None when it is this version's.

    Args:
        connection: A connection to the database in question.
    """
    applied = await connection.run_sync(_applied_revisions)
    known = ScriptDirectory.from_config(alembic_config())
    if not applied:
        return f"the database has no schema yet; {HOW_TO_MIGRATE}"
    if set(applied) == set(known.get_heads()):
        return None
    if any(_is_unknown(known, revision) for revision in applied):
        return _ahead(applied)
    return f"the schema is at revision {', '.join(applied)}, behind this version; {HOW_TO_MIGRATE}"


def _is_at_head(connection: Connection) -> bool:
    known = ScriptDirectory.from_config(alembic_config())
    applied = _applied_revisions(connection)
    if any(_is_unknown(known, revision) for revision in applied):
        raise MigrationError(f"cannot migrate: {_ahead(applied)}; nothing was touched")
    return set(applied) == set(known.get_heads())


def _upgrade(connection: Connection, database: Database) -> None:
    config = alembic_config(**{CONNECTION: connection, DIALECT: database.dialect})
    try:
        command.upgrade(config, "head")
    except MigrationError:
        raise
    except (SQLAlchemyError, CommandError) as error:
        reason = (
            str(error)
            if isinstance(error, CommandError)
            else database.dialect.diagnose(error).reason
        )
        revision = config.attributes.get("revision", "the first one")
        cause = redacted(error)
    else:
        return
    raise MigrationError(f"the migration failed in revision {revision}: {reason}") from cause


def _applied_revisions(connection: Connection) -> tuple[str, ...]:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    applied = context.get_current_heads()
    connection.rollback()
    return applied


def _is_unknown(known: ScriptDirectory, revision: str) -> bool:
    try:
        return known.get_revision(revision) is None
    except CommandError:
        return True


def _ahead(applied: tuple[str, ...]) -> str:
    return (
        f"the schema is at revision {', '.join(applied)}, written by a newer release; upgrade "
        "synthorg-persistence"
    )


@asynccontextmanager
async def _alembic_to_itself() -> AsyncIterator[None]:
    # Another loop in another thread may hold it, so waiting must not block this loop.
    while not _one_at_a_time.acquire(blocking=False):  # noqa: ASYNC110 (see below)
        await asyncio.sleep(0.01)  # an asyncio.Event would belong to one loop
    try:
        yield
    finally:
        _one_at_a_time.release()
