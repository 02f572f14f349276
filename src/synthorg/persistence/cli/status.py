"""What `synthorg-db status` finds out, and how it shows it."""

from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection, func, select

from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.migrations.runner import find_schema_state
from synthorg.persistence.sql.migrations.state import SchemaState
from synthorg.persistence.sql.owned_tables import LIBRARY

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
STEP = 1024


@dataclass(frozen=True)
class TableStatus:
    """One table: how many rows it has, and how many bytes it takes where that can be told."""

    name: str
    rows: int
    size: int | None


@dataclass(frozen=True)
class Status:
    """A database, the state of its schema, and its tables."""

    database: str
    state: SchemaState
    tables: tuple[TableStatus, ...]

    def as_json(self) -> dict[str, Any]:
        """Give the status in the form of a JSON document."""
        return {
            "database": self.database,
            "schema": self.state.schema,
            "state": self.state.condition.value,
            "revisions": list(self.state.applied),
            "head": self.state.head,
            "message": self.state.description,
            "tables": {
                table.name: {"rows": table.rows, "bytes": table.size} for table in self.tables
            },
        }

    def as_text(self) -> RenderableType:
        """Give the status in a form for people."""
        overview = Table.grid(padding=(0, 2))
        overview.add_row("database", Text(self.database))
        if self.state.schema is not None:
            overview.add_row("schema", Text(self.state.schema))
        overview.add_row("revision", Text(", ".join(self.state.applied) or "none"))
        overview.add_row("needed", Text(self.state.head))
        overview.add_row("state", Text(self.state.description))
        if not self.tables:
            return overview
        tables = Table()
        tables.add_column("table")
        tables.add_column("rows", justify="right")
        tables.add_column("size", justify="right")
        for table in self.tables:
            tables.add_row(table.name, f"{table.rows:,}", _readable(table.size))
        return Group(overview, tables)


def find_status(connection: Connection, dialect: Dialect) -> Status:
    """Find out the status of a database.

    Args:
        connection: A connection to it.
        dialect: The kind of database.
    """
    state = find_schema_state(connection, dialect)
    found = dialect.inspection.find_names(connection, LIBRARY)
    readable = found.tables - found.hidden.keys()
    sizes = dialect.inspection.table_sizes(connection)
    tables = []
    for name in sorted(set(LIBRARY.tables) & readable):
        rows = connection.scalar(select(func.count()).select_from(LIBRARY.metadata.tables[name]))
        tables.append(TableStatus(name, rows or 0, sizes.get(name)))
    return Status(dialect.description, state, tuple(tables))


def _readable(size: int | None) -> str:
    if size is None:
        return "unknown"
    amount = float(size)
    for unit in UNITS:
        if amount < STEP or unit == UNITS[-1]:
            break
        amount /= STEP
    return f"{amount:.0f} {unit}" if unit == UNITS[0] else f"{amount:.1f} {unit}"
