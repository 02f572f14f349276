"""What an operator can ask a database about itself: names, sizes, triggers, damage."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, Table, UniqueConstraint, literal, select, text
from sqlalchemy import table as sql_table
from sqlalchemy.exc import DBAPIError

from synthorg.persistence.sql.dialects.mysql_triggers import does_guard
from synthorg.persistence.sql.tables import TABLE_OPTIONS, VERSION_TABLE, metadata


def _names_of(table: Table) -> Collection[str]:
    unique = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    return [*(str(index.name) for index in table.indexes), *(str(each.name) for each in unique)]


OWN: Final[Mapping[str, Collection[str]]] = {
    VERSION_TABLE: (),
    **{table.name: _names_of(table) for table in metadata.sorted_tables},
}
"""The tables of this library, and the names that belong to each."""

OWNERS: Final = {name: table for table, names in OWN.items() for name in names}


@dataclass(frozen=True)
class Names:
    """What a database has under the names of this library.

    Attributes:
        tables: The tables that are there.
        taken: What else has one of the names, in words for each.
        unseen: Those of which this user may not know whether they are there.
        schema: Where the tables are, or would be made; None where a database has one schema only.
        first: The schema in which this user would make a new table.
        hidden: Tables of which statements do not see anything, and what they see instead.
    """

    tables: frozenset[str]
    taken: Mapping[str, str] = field(default_factory=dict)
    unseen: frozenset[str] = frozenset()
    schema: str | None = None
    first: str | None = None
    hidden: Mapping[str, str] = field(default_factory=dict)


class Inspection(ABC):
    """The questions, which each database wants put in its own way."""

    @abstractmethod
    def find_names(self, connection: Connection) -> Names:
        """Find what has the names of this library, where its statements look for them."""

    @abstractmethod
    def table_sizes(self, connection: Connection) -> Mapping[str, int | None]:
        """Give the bytes that each table takes with its indexes; None where it cannot be told."""

    @abstractmethod
    def active_triggers(self, connection: Connection, names: Collection[str]) -> Collection[str]:
        """Find out which of some triggers are there and not switched off.

        Args:
            connection: A connection to the database.
            names: The triggers.
        """

    @abstractmethod
    def storage_problems(self, connection: Connection, tables: Collection[str]) -> tuple[str, ...]:
        """Let the database look for damage in its own storage, and say what it finds."""

    def trigger_definitions(self, connection: Connection, table: str) -> tuple[str, ...]:  # noqa: ARG002 (used where tables are built anew)
        """Give the DDL of the triggers that a table loses when it is built anew."""
        return ()


_STORAGE: Final = text(
    "SELECT table_name, engine, row_format FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
)

_COLLATIONS: Final = text(
    "SELECT table_name, column_name, collation_name FROM information_schema.columns "
    "WHERE table_schema = DATABASE() AND collation_name <> :collation"
)

_TIMES: Final = text(
    "SELECT table_name, column_name FROM information_schema.columns "
    "WHERE table_schema = DATABASE() AND data_type = 'datetime' AND datetime_precision < 6"
)

NO_SUCH_TRIGGER: Final = 1360
NEEDS_PRIVILEGE: Final = 1227


KINDS_OF_MYSQL: Final = {"VIEW": "a view", "SEQUENCE": "a sequence"}

NO_SUCH_TABLE: Final = 1146  # https://mariadb.com/kb/en/mariadb-error-codes/


class MySQLInspection(Inspection):
    """From the information schema, and from CHECK TABLE."""

    def find_names(self, connection: Connection) -> Names:
        # Whether "Users" is another name than "users" depends on the server's file system.
        fold = str.casefold if connection.scalar(text("SELECT @@lower_case_table_names")) else str
        found = connection.execute(
            text(
                "SELECT table_name, table_type FROM information_schema.tables "
                "WHERE table_schema = DATABASE()"
            )
        )
        kinds = {fold(name): kind for name, kind in found}
        tables = {name for name in OWN if kinds.get(name) == "BASE TABLE"}
        taken = {
            name: KINDS_OF_MYSQL.get(kinds[name], kinds[name].lower())
            for name in OWN
            if name in kinds and name not in tables
        }
        missing = OWN.keys() - kinds.keys()
        unseen = {name for name in missing if self._may_not_know(connection, name)}
        return Names(frozenset(tables), taken, frozenset(unseen))

    def _may_not_know(self, connection: Connection, table: str) -> bool:
        """Tell whether a table is not listed because this user has no right to it."""
        try:
            connection.execute(select(literal(1)).select_from(sql_table(table)).limit(0))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            return error.orig is not None and error.orig.args[0] != NO_SUCH_TABLE
        return False

    def table_sizes(self, connection: Connection) -> Mapping[str, int | None]:
        sizes = connection.execute(
            text(
                "SELECT table_name, data_length + index_length FROM information_schema.tables "
                "WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
            )
        )
        return {name: None if size is None else int(size) for name, size in sizes}

    def active_triggers(self, connection: Connection, names: Collection[str]) -> Collection[str]:
        return [name for name in names if self._is_active(connection, name)]

    def storage_problems(self, connection: Connection, tables: Collection[str]) -> tuple[str, ...]:
        damage = (
            f"{table}: {message}"
            for table in tables
            for _, _, kind, message in connection.execute(text(f"CHECK TABLE `{table}`"))
            if kind.lower() in ("error", "warning")
        )
        return (*damage, *self._unsuitable_storage(connection, tables))

    def _unsuitable_storage(self, connection: Connection, tables: Collection[str]) -> Iterator[str]:
        """Find what was changed of that which keys and transactions rely on."""
        collation = TABLE_OPTIONS[f"{connection.dialect.name}_collate"]
        for name, engine, row_format in connection.execute(_STORAGE):
            if name in tables and engine != "InnoDB":
                yield f"{name}: its engine is {engine}, not InnoDB"
            elif name in tables and row_format.upper() != "DYNAMIC":
                yield f"{name}: its row format is {row_format}, not Dynamic"
        for name, column, found in connection.execute(_COLLATIONS, {"collation": collation}):
            if name in tables:
                yield f"{name}: {column} is compared by {found}, not exactly as by {collation}"
        for name, column in connection.execute(_TIMES):
            if name in tables:
                yield f"{name}: {column} loses the microseconds of times"

    def _is_active(self, connection: Connection, name: str) -> bool:
        # The information schema lists no trigger for a user without the privilege TRIGGER. This
        # statement tells such a user at least whether the trigger is there.
        try:
            definition = connection.execute(text(f"SHOW CREATE TRIGGER `{name}`")).one()[2]
        except DBAPIError as error:
            number = None if error.orig is None else error.orig.args[0]
            if number not in (NO_SUCH_TRIGGER, NEEDS_PRIVILEGE):
                raise
            return bool(number == NEEDS_PRIVILEGE)
        return does_guard(name, str(definition))
