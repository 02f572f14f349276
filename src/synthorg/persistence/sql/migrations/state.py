"""In which state a database's schema is, and what its operator has to do about it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, String, column, select, table

from synthorg.persistence.health import SchemaCondition
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.inspection import Names
from synthorg.persistence.sql.migrations.adoption.recognition import (
    explain_mismatch,
    is_predecessor,
)
from synthorg.persistence.sql.migrations.crash_marker import CrashMarker, read_mark
from synthorg.persistence.sql.owned_tables import LIBRARY, OwnedTables

HOW_TO_MIGRATE: Final = (
    "await backend.migrate(), or run `synthorg-db migrate` or `alembic upgrade head`"
)


Condition: TypeAlias = SchemaCondition

NOT_OURS: Final = (
    Condition.AHEAD,
    Condition.AMBIGUOUS,
    Condition.TAKEN,
    Condition.HIDDEN,
    Condition.UNSEEN,
    Condition.FOREIGN,
)
"""What this version must not touch, whichever way."""


@dataclass(frozen=True)
class SchemaState:
    """The state of a schema.

    Attributes:
        condition: What it is.
        applied: The revisions in its version table.
        head: The revision that this version of the library needs.
        tables: The tables that are the matter: those found, or for INCOMPLETE those missing.
        unfinished: The migration that left it INTERRUPTED.
        remark: What else there is to say, such as what keeps FOREIGN tables from being the
            predecessor's, if they look like it.
        schema: The schema where the tables are or would be, where a database has several.
        owned: The tables in question.
    """

    condition: Condition
    applied: tuple[str, ...]
    head: str
    tables: tuple[str, ...] = ()
    unfinished: CrashMarker | None = None
    remark: str | None = None
    schema: str | None = None
    owned: OwnedTables = LIBRARY

    def admits(self, *, upgrade: bool | None) -> bool:
        """Tell whether it may be migrated.

        Args:
            upgrade: Whether to upgrade or to downgrade; None when there is no step to take.
        """
        if self.condition is Condition.INTERRUPTED:
            assert self.unfinished is not None
            return upgrade is self.unfinished.is_upgrade
        if self.condition is Condition.INCOMPLETE:
            return upgrade is False
        return self.condition not in NOT_OURS

    @property
    def description(self) -> str:
        """The state in a sentence that ends with what to do, if there is anything to do."""
        description = _DESCRIPTIONS[self.condition].format(
            version=", ".join(self.applied),
            rows=len(self.applied),
            head=self.head,
            tables=", ".join(self.tables),
            schema=self.schema,
            owner=self.owned.owner,
            package=self.owned.package,
            version_table=self.owned.version_table,
            unfinished="" if self.unfinished is None else self.unfinished.mark,
            how_to_finish="" if self.unfinished is None else _how_to_finish(self.unfinished),
        )
        return description if self.remark is None else f"{description}; {self.remark}"


_DESCRIPTIONS: Final = {
    Condition.EMPTY: f"the database has no schema yet; {HOW_TO_MIGRATE}",
    Condition.CURRENT: "the schema is at revision {version}, which is this version's",
    Condition.BEHIND: (
        "the schema is at revision {version}, behind this version, which needs {head}; "
        + HOW_TO_MIGRATE
    ),
    Condition.AHEAD: (
        "the schema is at revision {version}, written by a newer release; upgrade {package}"
    ),
    Condition.AMBIGUOUS: (
        "the table {version_table} has {rows} rows ({version}) where one belongs; restore a "
        "backup, or find out which is right and run `alembic stamp --purge REVISION`"
    ),
    Condition.INCOMPLETE: (
        "the schema says that it is at revision {version}, but has no {tables}; restore a backup"
    ),
    Condition.TAKEN: (
        "names that {owner} uses are taken by something else ({tables}); rename that, or use "
        "another database or schema"
    ),
    Condition.HIDDEN: (
        "statements do not find the tables of {owner} in the schema {schema}, since something "
        "of the same name comes first ({tables}); set search_path for this user or database so "
        "that {schema} comes first"
    ),
    Condition.UNSEEN: (
        "this user may not see {tables}, so that nothing can be said of the schema; grant it "
        "SELECT on all tables of {owner}, or ask as a user who has it"
    ),
    Condition.FOREIGN: (
        "the database has tables with names that {owner} uses ({tables}), but no version in "
        "{version_table}, so that somebody else must have made them; use another database, or "
        "rename these tables"
    ),
    Condition.PREDECESSOR: f"the database is the predecessor's, to be adopted; {HOW_TO_MIGRATE}",
    Condition.INTERRUPTED: (
        "a migration was interrupted, which left an {unfinished}; run it again to finish it: "
        "{how_to_finish}"
    ),
}


def _how_to_finish(unfinished: CrashMarker) -> str:
    if unfinished.is_upgrade:
        return HOW_TO_MIGRATE
    destination = ", ".join(unfinished.destination) or "base"
    return f"`synthorg-db downgrade {destination}` or `alembic downgrade {destination}`"


def read_state(
    connection: Connection, known: ScriptDirectory, dialect: Dialect, owned: OwnedTables = LIBRARY
) -> SchemaState:
    """Find out in which state a schema is.

    Args:
        connection: A connection to the database in question.
        known: The revisions that this version knows.
        dialect: The kind of database.
        owned: The tables in question.
    """
    owned = owned.in_database(dialect.table_prefix)
    names = dialect.inspection.find_names(connection, owned)
    ours = names.tables & set(owned.tables)
    applied = _applied(connection, names, owned)
    has_mark = not dialect.transactional_ddl and owned.version_table in names.tables
    unfinished = read_mark(connection, owned.version_table) if has_mark else None
    may_adopt = owned.is_library and dialect.adopts_predecessors
    head = known.get_current_head()
    assert head is not None

    remark = _remark(names)
    tables: Iterable[str] = ours
    if (obstacle := _obstacle(names, applied, known, owned)) is not None:
        condition, tables = obstacle
    elif unfinished is not None and applied != unfinished.destination:
        condition = Condition.INTERRUPTED
    elif not applied and may_adopt and is_predecessor(connection):
        condition = Condition.PREDECESSOR
    elif names.taken:
        condition = Condition.TAKEN
        tables = [*_described(names.taken), *([] if applied else ours)]
    elif applied == (head,):
        tables = set(owned.tables) - ours
        condition = Condition.INCOMPLETE if tables else Condition.CURRENT
    elif applied:
        condition = Condition.BEHIND
    elif not ours:
        condition = Condition.EMPTY
    else:
        condition = Condition.FOREIGN
        remark = explain_mismatch(connection) if may_adopt else remark
    return SchemaState(
        condition, applied, head, tuple(sorted(tables)), unfinished, remark, names.schema, owned
    )


def _obstacle(
    names: Names, applied: tuple[str, ...], known: ScriptDirectory, owned: OwnedTables
) -> tuple[Condition, Iterable[str]] | None:
    """Find what keeps anything else from being said, and the tables that it concerns."""
    if any(_is_unknown(known, revision) for revision in applied):
        return Condition.AHEAD, ()
    if len(applied) > 1:
        return Condition.AMBIGUOUS, ()
    if names.hidden:
        return Condition.HIDDEN, _described(names.hidden)
    if owned.version_table in names.unseen or (applied and names.unseen):
        return Condition.UNSEEN, names.unseen
    return None


def _applied(connection: Connection, names: Names, owned: OwnedTables) -> tuple[str, ...]:
    if owned.version_table not in names.tables:
        return ()
    version = column("version_num", String)
    versions = select(version).select_from(table(owned.version_table))
    return tuple(sorted(connection.scalars(versions)))


def _described(objects: Mapping[str, str]) -> Iterable[str]:
    return [f"{name}: {description}" for name, description in objects.items()]


def _remark(names: Names) -> str | None:
    if names.schema == names.first:
        return None
    return f"the tables are in the schema {names.schema}, although {names.first} comes first"


def _is_unknown(known: ScriptDirectory, revision: str) -> bool:
    try:
        return known.get_revision(revision) is None
    except CommandError:
        return True
