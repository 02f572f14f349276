"""Alembic's environment: on a connection that code hands over, on its own, or offline."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging.config import fileConfig
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.util import CommandError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from synthorg.persistence.config import PersistenceConfig
from synthorg.persistence.errors import PersistenceError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.execution.failures import redacted
from synthorg.persistence.sql.migrations import environment
from synthorg.persistence.sql.migrations.comparison import COMPARISON
from synthorg.persistence.sql.migrations.operations import DIALECT
from synthorg.persistence.sql.migrations.runner import CONNECTION, adjust_storage, explain
from synthorg.persistence.sql.tables import VERSION_TABLE, metadata
from synthorg.persistence.sql.types import UtcDateTime


def render_item(kind: str, item: object, _: AutogenContext) -> str | Literal[False]:
    """Write a moment as the function that makes it, without its variants; all else as usual."""
    return "types.utc_datetime()" if kind == "type" and isinstance(item, UtcDateTime) else False


def include_name(name: str | None, kind: str, _: object) -> bool:
    """Leave out the tables of an application that keeps its own in the same database."""
    return kind != "table" or name in metadata.tables


SETTINGS: dict[str, Any] = COMPARISON | {
    "target_metadata": metadata,
    "version_table": VERSION_TABLE,
    # One transaction around them all is begun by the dialect, where DDL is transactional.
    "transaction_per_migration": True,
    "include_name": include_name,
    "user_module_prefix": "types.",
    "render_item": render_item,
}


async def run_on_own_engine(dialect: Dialect) -> None:
    """Run the command on a connection of its own, since `alembic` hands over none."""
    if environment.only_looks(dialect, SETTINGS):
        dialect.refuse_absence()
        with dialect.read_only_view() as view:
            async with connection_of(view.engine) as connection:
                await connection.run_sync(environment.run, dialect, SETTINGS)
        return
    async with connection_of(dialect.create_engine()) as connection:
        await connection.run_sync(environment.run, dialect, SETTINGS)
        await adjust_storage(connection, dialect)


@asynccontextmanager
async def connection_of(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Give the one connection of an engine, and dispose of both."""
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


def run_for_an_operator(dialect: Dialect) -> None:
    """Run the command with failures as `alembic` reports them: in one line."""
    try:
        asyncio.run(run_on_own_engine(dialect))
    except (CommandError, PersistenceError) as error:
        raise CommandError(str(error)) from None
    except Exception as error:  # noqa: BLE001 (revisions are programs: anything may leave them)
        failure, cause = explain(error, context.config, dialect), redacted(error)
    else:
        return
    raise CommandError(str(failure)) from cause


def write_sql(dialect: Dialect) -> None:
    """Write the migrations as a script, without a database."""
    context.configure(
        dialect_name=dialect.backend_name,
        literal_binds=True,
        transactional_ddl=dialect.transactional_ddl,
        **SETTINGS,
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """Run in whichever of the three ways Alembic was called."""
    config = context.config
    connection = config.attributes.get(CONNECTION)
    if connection is not None:
        environment.run(connection, config.attributes[DIALECT], SETTINGS)
        return
    if config.config_file_name is not None and config.file_config.has_section("loggers"):
        fileConfig(config.config_file_name, disable_existing_loggers=False)
    dialect = config.attributes.get(DIALECT)
    if dialect is None:
        dialect = config.attributes[DIALECT] = create_dialect(PersistenceConfig.from_env())
    if context.is_offline_mode():
        write_sql(dialect)
    else:
        run_for_an_operator(dialect)


main()
