"""Whether a database is what its version says: columns, constraints, triggers, references."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Table, and_, func, inspect, not_, select
from sqlalchemy.schema import CreateTable

from synthorg.persistence.sql.comparison import COMPARISON
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.tables import VERSION_TABLE, metadata

APPEND_ONLY: Final = ("audit_entries",)
NAMED_CHECK: Final = re.compile(r"CONSTRAINT (\w+) CHECK")


def find_drift(connection: Connection, dialect: Dialect) -> tuple[str, ...]:
    """Compare a database at the head revision with what it should be.

    Args:
        connection: A connection to the database.
        dialect: The kind of database.

    Returns:
        A sentence about each difference; nothing when it is sound.
    """
    names = dialect.inspection.find_names(connection)
    tables = [table for table in metadata.sorted_tables if table.name in names.tables]
    return (
        *_structure(connection),
        *_check_constraints(connection, tables),
        *_triggers(connection, dialect),
        *_dangling_references(connection, tables),
        *dialect.inspection.storage_problems(connection, [table.name for table in tables]),
    )


def _structure(connection: Connection) -> Iterator[str]:
    options = COMPARISON | {
        "version_table": VERSION_TABLE,
        "include_name": lambda name, kind, _: kind != "table" or name in metadata.tables,
    }
    context = MigrationContext.configure(connection, opts=options)
    for difference in compare_metadata(context, metadata):
        # The changes of one column come as a list.
        for change in difference if isinstance(difference, list) else [difference]:
            yield _sentence(change)


def _sentence(change: Sequence[Any]) -> str:
    action, *subjects = change
    names = []
    for subject in subjects:
        owner = getattr(subject, "table", None)
        name = subject if isinstance(subject, str) else getattr(subject, "name", None)
        if name is not None:
            names.append(f"{name} of {owner.name}" if owner is not None else str(name))
    return f"to do: {str(action).replace('_', ' ')}: {', '.join(names)}"


def _check_constraints(connection: Connection, tables: list[Table]) -> Iterator[str]:
    """Compare the names of CHECK constraints, at which Alembic does not look."""
    found = inspect(connection)
    for table in tables:
        expected = _check_names(connection, table)
        present = {str(check["name"]) for check in found.get_check_constraints(table.name)}
        for name in sorted(expected - present):
            yield f"the table {table.name} has lost its constraint {name}"


def _check_names(connection: Connection, table: Table) -> set[str]:
    """Name the constraints that the table is created with on this kind of database."""
    statement = str(CreateTable(table).compile(dialect=connection.dialect))
    return set(NAMED_CHECK.findall(statement))


def _triggers(connection: Connection, dialect: Dialect) -> Iterator[str]:
    for table in APPEND_ONLY:
        names = dialect.append_only_trigger_names(table)
        active = dialect.inspection.active_triggers(connection, names)
        for name in names:
            if name not in active:
                yield f"the table {table} has lost the trigger {name}, which protects its rows"


def _dangling_references(connection: Connection, tables: list[Table]) -> Iterator[str]:
    for table in tables:
        for constraint in table.foreign_key_constraints:
            target = constraint.referred_table
            pairs = [(element.parent, element.column) for element in constraint.elements]
            exists = select(1).where(and_(*[own == other for own, other in pairs])).exists()
            given = and_(*[own.is_not(None) for own, _ in pairs])
            query = select(func.count()).select_from(table).where(given, not_(exists))
            count = connection.scalar(query)
            if count:
                yield f"{count} rows of {table.name} refer to rows of {target.name} that are gone"
