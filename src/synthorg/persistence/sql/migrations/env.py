"""What an `env.py` runs: on a connection that code hands over, on its own, or offline."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging.config import fileConfig
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from synthorg.persistence.config import PersistenceConfig
from synthorg.persistence.errors import PersistenceError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.execution.failures import redacted
from synthorg.persistence.sql.migrations import environment
from synthorg.persistence.sql.migrations.comparison import COMPARISON
from synthorg.persistence.sql.migrations.directives import adjust_directives
from synthorg.persistence.sql.migrations.operations import DIALECT, OWNED
from synthorg.persistence.sql.migrations.revisions import CONNECTION
from synthorg.persistence.sql.migrations.runner import adjust_storage, explain
from synthorg.persistence.sql.owned_tables import OwnedTables
from synthorg.persistence.sql.types import UtcDateTime


def render_item(kind: str, item: object, _: AutogenContext) -> str | Literal[False]:
    """Write a moment as the function that makes it, without its variants; all else as usual."""
    return "types.utc_datetime()" if kind == "type" and isinstance(item, UtcDateTime) else False


def settings_of(owned: OwnedTables) -> dict[str, Any]:
    """Give the arguments for Alembic's `context.configure`.

    Args:
        owned: The tables to migrate; all others in the database are somebody else's.
    """

    def include_name(name: str | None, kind: str, _: object) -> bool:
        return kind != "table" or name in owned.tables

    return COMPARISON | {
        "target_metadata": owned.metadata,
        "version_table": owned.version_table,
        # One transaction around them all is begun by the dialect, where DDL is transactional.
        "transaction_per_migration": True,
        "include_name": include_name,
        "user_module_prefix": "types.",
        "render_item": render_item,
        "process_revision_directives": adjust_directives,
    }


def run_environment(owned: OwnedTables) -> None:
    """Run the command that Alembic was given, in whichever of the three ways it was called.

    Args:
        owned: The tables to migrate.
    """
    config = context.config
    config.attributes[DIALECT] = dialect = _dialect_of(config)
    config.attributes[OWNED] = owned = owned.in_database(dialect.table_prefix)
    connection = config.attributes.get(CONNECTION)
    if connection is not None:
        environment.run(connection, dialect, settings_of(owned), owned)
        return
    if config.config_file_name is not None and config.file_config.has_section("loggers"):
        fileConfig(config.config_file_name, disable_existing_loggers=False)
    if context.is_offline_mode():
        _write_sql(dialect, settings_of(owned))
    else:
        _run_for_an_operator(dialect, owned)


def _dialect_of(config: Config) -> Dialect:
    """Give the dialect of the code that runs Alembic, or of the URL in the environment."""
    given = config.attributes.get(DIALECT)
    if given is None:
        return create_dialect(PersistenceConfig.from_env())
    assert isinstance(given, Dialect)
    return given


async def _run_on_own_engine(dialect: Dialect, owned: OwnedTables) -> None:
    """Run the command on a connection of its own, since `alembic` hands over none."""
    settings = settings_of(owned)
    if environment.only_looks(dialect, settings):
        dialect.refuse_absence()
        with dialect.read_only_view() as view:
            async with _connection_of(view.engine) as connection:
                await connection.run_sync(environment.run, dialect, settings, owned)
        return
    async with _connection_of(dialect.create_engine()) as connection:
        await connection.run_sync(environment.run, dialect, settings, owned)
        await adjust_storage(connection, dialect)


@asynccontextmanager
async def _connection_of(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Give the one connection of an engine, and dispose of both."""
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


def _run_for_an_operator(dialect: Dialect, owned: OwnedTables) -> None:
    """Run the command with failures as `alembic` reports them: in one line."""
    try:
        asyncio.run(_run_on_own_engine(dialect, owned))
    except (CommandError, PersistenceError) as error:
        raise CommandError(str(error)) from None
    except Exception as error:  # noqa: BLE001 (revisions are programs: anything may leave them)
        failure, cause = explain(error, context.config, dialect), redacted(error)
    else:
        return
    raise CommandError(str(failure)) from cause


def _write_sql(dialect: Dialect, settings: dict[str, Any]) -> None:
    """Write the migrations as a script, without a database."""
    context.configure(
        dialect_name=dialect.backend_name,
        literal_binds=True,
        transactional_ddl=dialect.transactional_ddl,
        **settings,
    )
    with context.begin_transaction():
        context.run_migrations()
