"""What an operator can ask a database about itself: sizes, triggers, damage."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from synthorg.persistence.sql.dialects.mysql_triggers import does_guard
from synthorg.persistence.sql.tables import TABLE_OPTIONS


class Inspection(ABC):
    """The questions, which each database wants put in its own way."""

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


class SQLiteInspection(Inspection):
    """From the schema table, and from what SQLite checks itself."""

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

    def active_triggers(self, connection: Connection, names: Collection[str]) -> Collection[str]:  # noqa: ARG002 (all are as quickly found)
        return connection.scalars(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ).all()

    def storage_problems(self, connection: Connection, tables: Collection[str]) -> tuple[str, ...]:  # noqa: ARG002 (they are one file)
        found = connection.scalars(text("PRAGMA integrity_check")).all()
        return () if found == ["ok"] else tuple(found)

    def trigger_definitions(self, connection: Connection, table: str) -> tuple[str, ...]:
        return tuple(
            connection.scalars(
                text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table"),
                {"table": table},
            )
        )


class PostgreSQLInspection(Inspection):
    """From the catalogues."""

    def table_sizes(self, connection: Connection) -> Mapping[str, int | None]:
        sizes = connection.execute(
            text(
                "SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE c.relkind = 'r' AND n.nspname = current_schema()"
            )
        )
        return {name: int(size) for name, size in sizes}

    def active_triggers(self, connection: Connection, names: Collection[str]) -> Collection[str]:  # noqa: ARG002 (all are as quickly found)
        return connection.scalars(
            text(
                "SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
                "JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND n.nspname = current_schema()"
            )
        ).all()

    def storage_problems(self, connection: Connection, tables: Collection[str]) -> tuple[str, ...]:
        problems = connection.execute(
            text(
                "SELECT t.relname, 'the index ' || c.relname || ' is invalid' FROM pg_index i "
                "JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid "
                "JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE NOT i.indisvalid AND n.nspname = current_schema() "
                "UNION ALL "
                "SELECT t.relname, 'the constraint ' || k.conname || ' was never validated' "
                "FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid "
                "JOIN pg_namespace n ON n.oid = k.connamespace "
                "WHERE NOT k.convalidated AND n.nspname = current_schema()"
            )
        )
        return tuple(f"{table}: {what}" for table, what in problems if table in tables)


_STORAGE: Final = text(
    "SELECT table_name, engine, row_format FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
)

_COLLATIONS: Final = text(
    "SELECT table_name, column_name, collation_name FROM information_schema.columns "
    "WHERE table_schema = DATABASE() AND collation_name <> :collation"
)

NO_SUCH_TRIGGER: Final = 1360
NEEDS_PRIVILEGE: Final = 1227


class MySQLInspection(Inspection):
    """From the information schema, and from CHECK TABLE."""

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
