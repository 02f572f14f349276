"""What an operator can ask a database about itself: sizes, triggers, damage."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError


class Inspection(ABC):
    """The questions, which each database wants put in its own way."""

    @abstractmethod
    def table_sizes(self, connection: Connection) -> Mapping[str, int | None]:
        """Give the bytes that each table takes with its indexes; None where it cannot be told."""

    @abstractmethod
    def active_triggers(self, connection: Connection) -> Collection[str]:
        """Name the triggers that are there and not switched off."""

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

    def active_triggers(self, connection: Connection) -> Collection[str]:
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

    def active_triggers(self, connection: Connection) -> Collection[str]:
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

    def active_triggers(self, connection: Connection) -> Collection[str]:
        return connection.scalars(
            text(
                "SELECT trigger_name FROM information_schema.triggers "
                "WHERE trigger_schema = DATABASE()"
            )
        ).all()

    def storage_problems(self, connection: Connection, tables: Collection[str]) -> tuple[str, ...]:
        return tuple(
            f"{table}: {message}"
            for table in tables
            for _, _, kind, message in connection.execute(text(f"CHECK TABLE `{table}`"))
            if kind.lower() in ("error", "warning")
        )
