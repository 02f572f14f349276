"""What an operator can ask SQLite about a database."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from synthorg.persistence.sql.dialects.inspection import Inspection, Names
from synthorg.persistence.sql.dialects.sqlite_triggers import is_trigger, triggers_of
from synthorg.persistence.sql.dialects.triggered import Triggered
from synthorg.persistence.sql.owned_tables import OwnedTables

_QUOTED: Final = re.compile(r"'[^']*'")
_LENIENT: Final = re.compile(
    r"\bCOLLATE\s+(?!BINARY\b)\w+|\bON\s+CONFLICT\s+(?:REPLACE|IGNORE)\b", re.IGNORECASE
)
"""The clauses of a definition that the tables of this library do not have."""


class SQLiteInspection(Inspection):
    """From the schema table, and from what SQLite checks itself."""

    def find_names(self, connection: Connection, owned: OwnedTables) -> Names:
        found = connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master"))
        objects = [_Object(*row) for row in found if row[0] != "trigger"]
        tables = {each.name for each in objects if each.is_plain_table and each.name in owned.names}
        spellings = {name.lower(): name for name in (*owned.names, *owned.owners)}
        taken = {
            spellings[each.name.lower()]: each.description
            for each in objects
            if each.name.lower() in spellings
            and each.name not in tables
            and not (each.kind == "index" and owned.owners.get(each.name) == each.table)
        }
        return Names(frozenset(tables), taken)

    def table_sizes(self, connection: Connection) -> Mapping[str, int | None]:
        owners = connection.execute(
            text("SELECT name, tbl_name FROM sqlite_master WHERE type IN ('table', 'index')")
        )
        tables: dict[str, str] = {name: table for name, table in owners}  # noqa: C416 (rows are no pairs to mypy)
        try:
            pages = connection.execute(text("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
        except DBAPIError:  # a virtual table that not every build of SQLite has
            return dict.fromkeys(tables.values())
        sizes = dict.fromkeys(tables.values(), 0)
        for name, size in pages:
            if name in tables:
                sizes[tables[name]] += size
        return sizes

    def active_triggers(self, connection: Connection, what: Triggered) -> Collection[str]:
        wanted = triggers_of(what)
        found = connection.execute(
            text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        )
        return [name for name, sql in found if name in wanted and is_trigger(wanted[name], sql)]

    def storage_problems(self, connection: Connection, tables: Collection[str]) -> tuple[str, ...]:
        found = connection.scalars(text("PRAGMA integrity_check")).all()
        damage = () if found == ["ok"] else tuple(found)
        return (*damage, *_lenient_definitions(connection, tables))

    def never_counts_again(self, connection: Connection, table: str) -> bool:
        statement = text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :table")
        definition = connection.scalar(statement, {"table": table})
        return "AUTOINCREMENT" in _QUOTED.sub("", definition or "").upper()

    def trigger_definitions(self, connection: Connection, table: str) -> tuple[str, ...]:
        return tuple(
            connection.scalars(
                text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table"),
                {"table": table},
            )
        )


def _lenient_definitions(connection: Connection, tables: Collection[str]) -> Iterator[str]:
    """Find what has keys compare inexactly, or rows replaced where they should collide."""
    definitions = connection.execute(
        text("SELECT tbl_name, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    )
    for table, name, sql in definitions:
        if table in tables:
            for clause in _LENIENT.findall(_QUOTED.sub("", sql)):
                yield f"{table}: {name} is defined with {' '.join(clause.split()).upper()}"


@dataclass(frozen=True)
class _Object:
    """A row of the schema table."""

    kind: str
    name: str
    table: str
    sql: str | None

    @property
    def is_plain_table(self) -> bool:
        return self.kind == "table" and not self._is_virtual

    @property
    def description(self) -> str:
        if self.kind == "index":
            return f"an index of {self.table}"
        kind = "virtual table" if self._is_virtual else self.kind
        return f"the {kind} {self.name}"

    @property
    def _is_virtual(self) -> bool:
        return (self.sql or "").upper().startswith("CREATE VIRTUAL")
