"""What tests of migrations share: a database to migrate, its schema as data, and the operator."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, inspect, select, table, text
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.ext.asyncio import AsyncEngine

from synthorg.persistence import PersistenceConfig
from synthorg.persistence.config import DATABASE_URL_VARIABLE
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.migrations.operations import DIALECT
from synthorg.persistence.sql.migrations.revisions import (
    CONNECTION,
    alembic_config,
    known_revisions,
)
from synthorg.persistence.sql.tables import VERSION_TABLE
from tests.servers.base import Server

CHECKOUT: Final = Path(__file__).resolve().parents[2]
BUSY_SECONDS: Final = 60
"""The longest that anything may take on a machine that has much else to do."""

HEAD: Final = known_revisions().get_current_head() or ""

NOTES: Final = (f"table {VERSION_TABLE}",)

COMMA_OUTSIDE_BRACKETS: Final = re.compile(r", (?![^()]*(?:\([^()]*\)[^()]*)*\))")

_MYSQL_PROGRAMS: Final = (
    "SELECT trigger_name, action_statement FROM information_schema.triggers"
    " WHERE trigger_schema = DATABASE() UNION ALL"
    " SELECT routine_name, routine_definition FROM information_schema.routines"
    " WHERE routine_schema = DATABASE()"
)
_PROGRAMS: Final = {
    "postgresql": (
        "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal UNION ALL"
        " SELECT proname, prosrc FROM pg_proc"
        " WHERE pronamespace = current_schema()::regnamespace"
    ),
    "mysql": _MYSQL_PROGRAMS,
    "mariadb": _MYSQL_PROGRAMS,
}
"""The triggers and functions of a database, which SQLAlchemy does not reflect."""

Result = TypeVar("Result")
Schema = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """A database, and a connected backend on it."""

    url: str
    dialect: Dialect
    backend: SQLPersistenceBackend

    @property
    def engine(self) -> AsyncEngine:
        """The backend's engine."""
        return self.backend.get_db()

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        """Do something on a connection, and commit it."""
        async with self.engine.begin() as connection:
            return await connection.run_sync(work)

    async def schema(self) -> Schema:
        """Describe the schema."""
        return await self.run(describe)

    async def versions(self) -> list[str]:
        """Read the version table."""
        return await self.run(applied_revisions)

    async def alembic(self, command: Callable[..., None], *arguments: str) -> None:
        """Run one of Alembic's commands on a connection of the backend."""

        def run(connection: Connection) -> None:
            attributes: dict[str, object] = {CONNECTION: connection, DIALECT: self.dialect}
            command(alembic_config(attributes=attributes), *arguments)

        async with self.engine.connect() as connection:
            await connection.run_sync(run)


@asynccontextmanager
async def site_at(url: str) -> AsyncIterator[Site]:
    """Connect a backend to the database of a URL."""
    dialect = create_dialect(PersistenceConfig.from_url(url))
    backend = SQLPersistenceBackend(dialect)
    await backend.connect()
    try:
        yield Site(url, dialect, backend)
    finally:
        await backend.disconnect()


@asynccontextmanager
async def migrated_site(server: Server) -> AsyncIterator[Site]:
    """Connect a backend to a database of its own that is at the head revision."""
    with server.migrated_database() as url:
        async with site_at(url) as site:
            await server.migrate(site.backend)
            yield site


def applied_revisions(connection: Connection) -> list[str]:
    """Read the version table."""
    return list(connection.scalars(text(f"SELECT version_num FROM {VERSION_TABLE}")))


def describe(connection: Connection) -> Schema:
    """Describe all that a schema consists of, save for the version table, in comparable values.

    Returns:
        What the database says of each table and index, and of each trigger or function, which are
        called programs here, under names like "table users".
    """
    on_sqlite = connection.dialect.name == "sqlite"
    schema = _describe_sqlite(connection) if on_sqlite else _describe_server(connection)
    schema.pop(f"table {VERSION_TABLE}", None)
    return schema


def _describe_sqlite(connection: Connection) -> Schema:
    rows = connection.execute(text("SELECT type, name, sql FROM sqlite_master"))
    return statements((row[0], row[1], row[2]) for row in rows)


def statements(rows: Iterable[tuple[str, str, str | None]]) -> Schema:
    """Describe a SQLite database by the statements that would make it.

    Args:
        rows: Type, name and statement of everything in `sqlite_master`.
    """
    return {
        f"{'program' if kind == 'trigger' else kind} {name}": sorted_items(" ".join(sql.split()))
        for kind, name, sql in rows
        # SQLite makes the table of its counters by itself, and never lets go of it.
        if sql is not None and name != "sqlite_sequence"
    }


def sorted_items(statement: str) -> list[str]:
    """Split a CREATE TABLE into its columns and constraints, the order of which does not matter."""
    if not statement.startswith("CREATE TABLE"):
        return [statement]
    head, _, body = statement.partition("(")
    items, _, tail = body.rpartition(")")
    return [head, *sorted(map(str.strip, COMMA_OUTSIDE_BRACKETS.split(items))), tail]


def _describe_server(connection: Connection) -> Schema:
    inspector = inspect(connection)
    programs = connection.execute(text(_PROGRAMS[connection.dialect.name]))
    return {
        **{
            f"table {name}": _describe_table(inspector, name)
            for name in inspector.get_table_names()
        },
        **{f"view {name}": name for name in inspector.get_view_names()},
        **{f"program {row[0]}": row[1] for row in programs},
    }


def _describe_table(inspector: Inspector, name: str) -> dict[str, Any]:
    return {
        "columns": [_frozen(column) for column in inspector.get_columns(name)],
        "primary key": _frozen(inspector.get_pk_constraint(name)),
        "unique": sorted(map(_frozen, inspector.get_unique_constraints(name))),
        "references": sorted(map(_frozen, inspector.get_foreign_keys(name))),
        "checks": sorted(map(_frozen, inspector.get_check_constraints(name))),
        "indexes": sorted(map(_frozen, inspector.get_indexes(name))),
        "options": _options(inspector, name),
    }


def _options(inspector: Inspector, name: str) -> str:
    try:
        return _frozen(inspector.get_table_options(name))
    except NotImplementedError:  # SQLAlchemy 2.0 knows none of PostgreSQL
        return ""


def _frozen(reflected: Any) -> str:
    return repr(sorted((key, repr(value)) for key, value in reflected.items()))


def contents(connection: Connection) -> dict[str, list[str]]:
    """Read every row of every table."""
    return {
        name: sorted(map(repr, connection.execute(select(text("*")).select_from(table(name)))))
        for name in inspect(connection).get_table_names()
    }


def stored(connection: Connection) -> dict[str, list[str]]:
    """Read every row of every table but the version table."""
    return {name: rows for name, rows in contents(connection).items() if name != VERSION_TABLE}


def program(*arguments: str, folder: Path, url: str | None) -> subprocess.Popen[str]:
    """Start Python in a folder of its own, with the database of the URL in its environment."""
    environment = {
        name: value for name, value in os.environ.items() if name != DATABASE_URL_VARIABLE
    }
    if url is not None:
        environment[DATABASE_URL_VARIABLE] = url
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


ALEMBIC: Final = """
import sys
from alembic.config import main
ini, *commands = sys.argv[1:]
for command in commands:
    main(["-c", ini, *command.split()])
"""
"""Starts Python once for several commands, which takes longer than most of them."""


def alembic(*commands: str, folder: Path, url: str | None) -> str:
    """Run `alembic` as an operator does, which has to succeed, and give what it printed.

    Args:
        commands: Command lines, one after the other.
        folder: Where to run them.
        url: The database, as the environment names it.
    """
    arguments = ("-c", ALEMBIC, str(CHECKOUT / "alembic.ini"), *commands)
    with program(*arguments, folder=folder, url=url) as process:
        output, errors = process.communicate(timeout=BUSY_SECONDS)
    assert process.returncode == 0, errors
    return output
