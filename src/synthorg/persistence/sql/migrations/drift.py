"""Whether a database is what its version says: columns, constraints, triggers, references."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final
from warnings import catch_warnings, filterwarnings, simplefilter

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import (
    Boolean,
    Connection,
    Table,
    and_,
    func,
    inspect,
    literal_column,
    not_,
    select,
)
from sqlalchemy import Dialect as SQLAlchemyDialect
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.exc import SAWarning
from sqlalchemy.schema import CreateTable

from synthorg.persistence.sql.dialects.audit_tables import AuditTables
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.rollup_tables import RollupTables
from synthorg.persistence.sql.dialects.triggered import AppendOnly
from synthorg.persistence.sql.migrations.comparison import COMPARISON
from synthorg.persistence.sql.migrations.conditions import Meaning, meaning
from synthorg.persistence.sql.owned_tables import LIBRARY, OwnedTables

NAMED_CHECK: Final = re.compile(r"CONSTRAINT (\w+) CHECK \((.*)\)(?:, )?$", re.MULTILINE)


def find_drift(
    connection: Connection, dialect: Dialect, owned: OwnedTables = LIBRARY
) -> tuple[str, ...]:
    """Compare a database at the head revision with what it should be.

    Args:
        connection: A connection to the database.
        dialect: The kind of database.
        owned: The tables to compare.

    Returns:
        A sentence about each difference; nothing when it is sound.
    """
    owned = owned.in_database(dialect.table_prefix)
    names = dialect.inspection.find_names(connection, owned)
    found = inspect(connection)
    tables = [table for table in owned.metadata.sorted_tables if table.name in names.tables]
    return (
        *_structure(connection, owned),
        *_primary_keys(found, tables),
        *_columns(found, tables),
        *_check_constraints(connection, found, tables),
        *_triggers(connection, dialect, owned),
        *_dangling_references(connection, tables),
        *dialect.inspection.storage_problems(connection, [table.name for table in tables]),
        *dialect.inspection.missing_rights(connection, [table.name for table in tables]),
    )


def _structure(connection: Connection, owned: OwnedTables) -> Iterator[str]:
    options = COMPARISON | {
        "version_table": owned.version_table,
        "include_name": lambda name, kind, _: kind != "table" or name in owned.tables,
    }
    context = MigrationContext.configure(connection, opts=options)
    with catch_warnings():
        # SQLAlchemy warns of a constraint that was never validated, which is reported below.
        simplefilter("ignore", SAWarning)
        filterwarnings("ignore", "Computed default")  # they are compared below
        differences = compare_metadata(context, owned.metadata)
    for difference in differences:
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


def _primary_keys(found: Inspector, tables: list[Table]) -> Iterator[str]:
    for table in tables:
        expected = [column.name for column in table.primary_key]
        if found.get_pk_constraint(table.name)["constrained_columns"] != expected:
            yield f"the primary key of the table {table.name} is not {', '.join(expected)}"


def _columns(found: Inspector, tables: list[Table]) -> Iterator[str]:
    """Compare how the database itself fills columns, at which Alembic does not look."""
    for table in tables:
        for column in found.get_columns(table.name):
            expected = table.columns.get(column["name"])
            if expected is None:
                continue
            subject = f"the column {expected.name} of the table {table.name}"
            computed, default = column.get("computed"), column.get("default")
            if expected.computed is not None:
                given = "" if computed is None else computed["sqltext"]
                if meaning(given) != meaning(str(expected.computed.sqltext)):
                    yield f"{subject} is not computed as {expected.computed.sqltext}"
            elif expected is table.autoincrement_column:
                if not column.get("autoincrement", True):  # SQLite does so for each such key
                    yield f"{subject} is no longer counted up"
            elif default is not None:
                yield f"{subject} has a default, so that a value that is missing is not refused"


def _check_constraints(
    connection: Connection, found: Inspector, tables: list[Table]
) -> Iterator[str]:
    """Compare CHECK constraints, at which Alembic does not look."""
    for table in tables:
        present = {
            str(check["name"]): check["sqltext"]
            for check in found.get_check_constraints(table.name)
        }
        for name, condition in sorted(_conditions(table, found.dialect).items()):
            if name not in present:
                yield f"the table {table.name} has lost its constraint {name}"
            elif meaning(condition) not in _readings(present[name]):
                yield f"the constraint {name} of the table {table.name} is not CHECK ({condition})"
            elif _is_broken(connection, table, condition):
                yield f"CHECK constraint failed in {table.name}: rows break {name}"


def _readings(reflected: str) -> tuple[Meaning, Meaning]:
    """Read a condition, from which SQLAlchemy 2.0 may have taken two brackets that are no pair."""
    return meaning(reflected), meaning(f"({reflected})")


def _is_broken(connection: Connection, table: Table, condition: str) -> bool:
    """Tell whether rows break a condition, which SQLite does not look for in what it only reads."""
    broken = literal_column(f"NOT ({condition})", Boolean)
    return (
        connection.execute(select(1).select_from(table).where(broken).limit(1)).first() is not None
    )


def _conditions(table: Table, dialect: SQLAlchemyDialect) -> dict[str, str]:
    """Give the constraints that the table is created with on this kind of database, by name."""
    statement = str(CreateTable(table).compile(dialect=dialect))
    return dict(NAMED_CHECK.findall(statement))


def _triggers(connection: Connection, dialect: Dialect, owned: OwnedTables) -> Iterator[str]:
    expected: list[str] = []
    active: list[str] = []
    of_library = (AuditTables(owned.prefix), RollupTables(owned.prefix))
    for what in of_library if owned.is_library else map(AppendOnly, owned.append_only):
        expected += dialect.trigger_names(what)
        active += dialect.inspection.active_triggers(connection, what)
    for name in expected:
        if name not in active:
            table = next(table for table in owned.tables if name.startswith(f"{table}_"))
            yield (
                f"the table {table} has lost the trigger {name}, on which its rows rely "
                "(it is missing, switched off, or does something else)"
            )


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
