"""Tables and engines for the contenders that build on SQLAlchemy."""

import json
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Double,
    Executable,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    event,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from benchmarks.contenders.base import mariadb_session, server_address, sqlite_pragmas
from synthorg.persistence import MariaDBConfig, PersistenceConfig, SQLiteConfig
from synthorg.persistence.sql.types import serial_number, utc_datetime

DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mariadb": "mariadb+asyncmy",
}
CONNECTIONS_TO_SQLITE: Final = 6
"""As many as the library opens."""


class JsonText(TypeDecorator[Any]):
    """JSON in a text column.

    As https://docs.sqlalchemy.org/en/21/core/custom_types.html#marshal-json-strings shows it.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 (the signature is SQLAlchemy's)
        """Write JSON."""
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 (the signature is SQLAlchemy's)
        """Read JSON."""
        return None if value is None else json.loads(value)


def _columns(kind: Any, names: str) -> list[Column[Any]]:
    return [Column(name, kind) for name in names.split()]


metadata: Final = MetaData()

tasks: Final = Table(
    "tasks",
    metadata,
    Column("id", String(255), primary_key=True),
    *_columns(Text, "title description deadline"),
    *_columns(String(255), "project created_by assigned_to parent_task_id"),
    *_columns(
        String(32),
        "type priority estimated_complexity status task_structure coordination_topology",
    ),
    *_columns(
        JsonText,
        "reviewers dependencies delegation_chain artifacts_expected acceptance_criteria",
    ),
    Column("budget_limit", Double),
    Column("max_retries", BigInteger),
)

messages: Final = Table(
    "messages",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("timestamp", utc_datetime()),
    *_columns(String(255), "sender to channel"),
    *_columns(String(32), "type priority"),
    Column("content", Text),
    *_columns(JsonText, "attachments metadata"),
)

cost_records: Final = Table(
    "cost_records",
    metadata,
    Column("sequence_number", serial_number(), primary_key=True, autoincrement=True),
    *_columns(String(255), "agent_id task_id provider model"),
    *_columns(BigInteger, "input_tokens output_tokens"),
    Column("cost_usd", Double),
    Column("timestamp", utc_datetime()),
    Column("call_category", String(32)),
)


def create_engine(config: PersistenceConfig) -> AsyncEngine:
    """Make an engine with as many connections and the same pragmas as the library's.

    Args:
        config: The database.
    """
    section = config.section
    if isinstance(section, SQLiteConfig):
        engine = create_async_engine(
            f"{DRIVERS['sqlite']}:///{section.path}",
            pool_size=CONNECTIONS_TO_SQLITE,
            max_overflow=0,
            connect_args={"timeout": section.busy_timeout_seconds},
        )
        pragmas = sqlite_pragmas(section)

        # https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#foreign-key-support
        @event.listens_for(engine.sync_engine, "connect")
        def set_pragmas(connection: DBAPIConnection, _record: object) -> None:
            cursor = connection.cursor()
            for pragma, value in pragmas.items():
                cursor.execute(f"PRAGMA {pragma}={value}")
            cursor.close()

        return engine
    return create_async_engine(
        f"{DRIVERS[config.backend]}://{server_address(section)}",
        pool_size=section.pool_size,
        max_overflow=0,
        isolation_level="READ COMMITTED",
        connect_args=(
            {"init_command": mariadb_session(section)} if isinstance(section, MariaDBConfig) else {}
        ),
    )


def unit_options(config: PersistenceConfig) -> dict[str, Any]:
    """Give the options of a unit of work: serializable, which SQLite always is."""
    return {} if config.backend == "sqlite" else {"isolation_level": "SERIALIZABLE"}


def upsert(database: str, target: Any) -> Executable:
    """Build the statement that inserts tasks or replaces them.

    Args:
        database: The kind of database.
        target: The table, or the class that is mapped to it.
    """
    replaced = [column.name for column in tasks.columns if not column.primary_key]
    if database == "mariadb":
        # https://docs.sqlalchemy.org/en/21/dialects/mysql.html#mysql-insert-on-duplicate-key-update
        into = mysql.insert(target)
        return into.on_duplicate_key_update({name: into.inserted[name] for name in replaced})
    # https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#sqlite-on-conflict-insert
    insert = sqlite.insert if database == "sqlite" else postgresql.insert
    statement = insert(target)
    excluded = {name: statement.excluded[name] for name in replaced}
    return statement.on_conflict_do_update(index_elements=["id"], set_=excluded)
