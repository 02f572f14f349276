"""What an operator can ask MySQL and MariaDB about themselves."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from sqlalchemy import Connection, literal, select, text
from sqlalchemy import table as sql_table
from sqlalchemy.exc import DBAPIError

from synthorg.persistence.sql.dialects.inspection import Inspection, Names
from synthorg.persistence.sql.dialects.mysql_triggers import is_trigger, triggers_of
from synthorg.persistence.sql.dialects.triggered import Triggered
from synthorg.persistence.sql.owned_tables import OwnedTables
from synthorg.persistence.sql.tables import TABLE_OPTIONS

_STORAGE: Final = text(
    "SELECT table_name, engine, row_format FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
)

_COLLATIONS: Final = text(
    "SELECT table_name, column_name, collation_name FROM information_schema.columns "
    "WHERE table_schema = DATABASE() AND collation_name <> :collation"
)

_LOSSES: Final = {
    "SELECT table_name, column_name FROM information_schema.columns "
    "WHERE table_schema = DATABASE() AND data_type = 'datetime' AND datetime_precision < 6": (
        "loses the microseconds of times"
    ),
    "SELECT table_name, column_name FROM information_schema.columns "
    "WHERE table_schema = DATABASE() AND data_type = 'double' AND numeric_scale IS NOT NULL": (
        "rounds its numbers to a fixed scale"
    ),
    "SELECT DISTINCT table_name, index_name FROM information_schema.statistics "
    "WHERE table_schema = DATABASE() AND non_unique = 0 AND sub_part IS NOT NULL": (
        "compares only the beginning of texts"
    ),
}
"""What of a table loses something, by the query that finds it."""

NO_SUCH_TABLE: Final = 1146  # https://mariadb.com/kb/en/mariadb-error-codes/
NO_SUCH_TRIGGER: Final = 1360
NEEDS_PRIVILEGE: Final = 1227
DENIED: Final = (1044, 1142, 1143, NEEDS_PRIVILEGE)
"""Of a database, a table, a column, and whatever else a privilege is for."""

KINDS: Final = {"VIEW": "a view", "SEQUENCE": "a sequence"}


class MySQLInspection(Inspection):
    """From the information schema, and from CHECK TABLE."""

    def find_names(self, connection: Connection, owned: OwnedTables) -> Names:
        # Whether "Users" is another name than "users" depends on the server's file system.
        fold = str.casefold if connection.scalar(text("SELECT @@lower_case_table_names")) else str
        found = connection.execute(
            text(
                "SELECT table_name, table_type FROM information_schema.tables "
                "WHERE table_schema = DATABASE()"
            )
        )
        kinds = {fold(name): kind for name, kind in found}
        tables = {name for name in owned.names if kinds.get(name) == "BASE TABLE"}
        taken = {
            name: KINDS.get(kinds[name], kinds[name].lower())
            for name in owned.names
            if name in kinds and name not in tables
        }
        missing = owned.names.keys() - kinds.keys()
        unseen = {name for name in missing if self._may_not_know(connection, name)}
        return Names(frozenset(tables), taken, frozenset(unseen))

    def _may_not_know(self, connection: Connection, table: str) -> bool:
        """Tell whether a table is not listed because this user has no right to it."""
        try:
            connection.execute(select(literal(1)).select_from(sql_table(table)).limit(0))
        except DBAPIError as error:
            number = None if error.orig is None else error.orig.args[0]
            if number != NO_SUCH_TABLE and number not in DENIED:
                raise  # as when another node of a cluster changes the table
            return number in DENIED
        return False

    def table_sizes(self, connection: Connection) -> Mapping[str, int | None]:
        sizes = connection.execute(
            text(
                "SELECT table_name, data_length + index_length FROM information_schema.tables "
                "WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
            )
        )
        return {name: None if size is None else int(size) for name, size in sizes}

    def active_triggers(self, connection: Connection, what: Triggered) -> Collection[str]:
        wanted = triggers_of(what)
        return [name for name, sql in wanted.items() if self._is_active(connection, name, sql)]

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
        for query, what in _LOSSES.items():
            for name, subject in connection.execute(text(query)):
                if name in tables:
                    yield f"{name}: {subject} {what}"

    def _is_active(self, connection: Connection, name: str, wanted: str) -> bool:
        # The information schema lists no trigger for a user without the privilege TRIGGER. This
        # statement tells such a user at least whether the trigger is there.
        try:
            definition = connection.execute(text(f"SHOW CREATE TRIGGER `{name}`")).one()[2]
        except DBAPIError as error:
            number = None if error.orig is None else error.orig.args[0]
            if number not in (NO_SUCH_TRIGGER, NEEDS_PRIVILEGE):
                raise
            return bool(number == NEEDS_PRIVILEGE)
        return is_trigger(wanted, str(definition))
