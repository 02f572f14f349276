"""Alembic's environment: on a connection that code hands over, on its own, or offline."""

import asyncio
from logging.config import fileConfig
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection

from synthorg.persistence.config import PersistenceConfig
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.migration import CONNECTION
from synthorg.persistence.sql.operations import DIALECT
from synthorg.persistence.sql.tables import VERSION_TABLE, metadata
from synthorg.persistence.sql.types import UtcDateTime


def render_item(kind: str, item: object, _: AutogenContext) -> str | Literal[False]:
    """Write a moment as the function that makes it, without its variants; all else as usual."""
    return "types.utc_datetime()" if kind == "type" and isinstance(item, UtcDateTime) else False


SETTINGS: dict[str, Any] = {
    "target_metadata": metadata,
    "version_table": VERSION_TABLE,
    # One transaction around them all is begun by the dialect, where DDL is transactional.
    "transaction_per_migration": True,
    "user_module_prefix": "types.",
    "render_item": render_item,
}


def migrate(connection: Connection, dialect: Dialect) -> None:
    """Run the migrations on a connection, under the dialect's lock."""
    with dialect.migration_transaction(connection):
        context.configure(connection=connection, **SETTINGS)
        with context.begin_transaction():
            context.run_migrations()


async def migrate_on_own_engine(dialect: Dialect) -> None:
    """Run the migrations for the command line, which hands over no connection."""
    engine = dialect.create_engine()
    try:
        async with engine.connect() as connection:
            await connection.run_sync(migrate, dialect)
    finally:
        await engine.dispose()


def write_sql(dialect: Dialect) -> None:
    """Write the migrations as a script, without a database."""
    context.configure(dialect_name=dialect.backend_name, literal_binds=True, **SETTINGS)
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """Run in whichever of the three ways Alembic was called."""
    config = context.config
    connection = config.attributes.get(CONNECTION)
    if connection is not None:
        migrate(connection, config.attributes[DIALECT])
        return
    if config.config_file_name is not None:
        fileConfig(config.config_file_name, disable_existing_loggers=False)
    dialect = config.attributes[DIALECT] = create_dialect(PersistenceConfig.from_env())
    if context.is_offline_mode():
        write_sql(dialect)
    else:
        asyncio.run(migrate_on_own_engine(dialect))


main()
