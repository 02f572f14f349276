"""What `synthorg-db status` finds out, and how it shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection, func, select
from sqlalchemy import table as sql_table

from synthorg.persistence.extension import Extension
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.migrations.runner import find_schema_state
from synthorg.persistence.sql.migrations.state import SchemaState
from synthorg.persistence.sql.owned_tables import LIBRARY, OwnedTables
from synthorg.persistence.sql.transfer.mark import find_unfinished

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
    extensions: Mapping[str, "Status"] = field(default_factory=dict)
    unfinished: str | None = None
    """What to do about a copy or a restore that has not ended."""

    def as_json(self) -> dict[str, Any]:
        """Give the status in the form of a JSON document."""
        return {
            "database": self.database,
            "schema": self.state.schema,
            "state": self.state.condition.value,
            "revisions": list(self.state.applied),
            "head": self.state.head,
            "message": self.state.description,
            "unfinished": self.unfinished,
            "tables": {
                table.name: {"rows": table.rows, "bytes": table.size} for table in self.tables
            },
            "extensions": {name: each.as_json() for name, each in self.extensions.items()},
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
        if self.unfinished is not None:
            overview.add_row("unfinished", Text(self.unfinished))
        others = [
            part
            for name, each in self.extensions.items()
            for part in (Text(f"\nextension {name}"), each.as_text())
        ]
        if not self.tables:
            return Group(overview, *others)
        tables = Table()
        tables.add_column("table")
        tables.add_column("rows", justify="right")
        tables.add_column("size", justify="right")
        for table in self.tables:
            tables.add_row(table.name, f"{table.rows:,}", _readable(table.size))
        return Group(overview, tables, *others)


def find_status(
    connection: Connection,
    dialect: Dialect,
    extensions: Sequence[Extension] = (),
    owned: OwnedTables = LIBRARY,
) -> Status:
    """Find out the status of a database.

    Args:
        connection: A connection to it.
        dialect: The kind of database.
        extensions: The extensions to tell about as well.
        owned: The tables in question.
    """
    unfinished = find_unfinished(connection) if owned.is_library else None
    state = find_schema_state(connection, dialect, owned)
    owned = state.owned
    found = dialect.inspection.find_names(connection, owned)
    readable = found.tables - found.hidden.keys()
    sizes = dialect.inspection.table_sizes(connection)
    tables = []
    for name in sorted(set(owned.tables) & readable):
        rows = connection.scalar(select(func.count()).select_from(sql_table(name)))
        tables.append(TableStatus(name, rows or 0, sizes.get(name)))
    others = {each.name: find_status(connection, dialect, owned=each.owned) for each in extensions}
    return Status(dialect.description, state, tuple(tables), others, unfinished)


def _readable(size: int | None) -> str:
    if size is None:
        return "unknown"
    amount = float(size)
    for unit in UNITS:
        if amount < STEP or unit == UNITS[-1]:
            break
        amount /= STEP
    return f"{amount:.0f} {unit}" if unit == UNITS[0] else f"{amount:.1f} {unit}"
