"""What an operator can ask PostgreSQL about a database."""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Connection, text

from synthorg.persistence.sql.dialects.inspection import Inspection, Names
from synthorg.persistence.sql.dialects.postgresql_triggers import triggers_of
from synthorg.persistence.sql.dialects.triggered import Triggered
from synthorg.persistence.sql.owned_tables import OwnedTables
from synthorg.persistence.sql.tables import VERSION_TABLE

_HOME: Final = text(
    "SELECT nspname, current_schema() FROM pg_namespace WHERE oid = coalesce("
    "(SELECT relnamespace FROM pg_class WHERE oid = to_regclass(:version) AND relkind = 'r'), "
    "(SELECT oid FROM pg_namespace WHERE nspname = current_schema()))"
)
"""The schema in which statements find the version table, or else the first of search_path."""

_RELATIONS: Final = text(
    "SELECT c.relname, CAST(c.relkind AS text), t.relname, p.nspname "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class t ON t.oid = i.indrelid "
    "LEFT JOIN pg_class v ON v.oid = to_regclass(quote_ident(c.relname)) "
    "LEFT JOIN pg_namespace p ON p.oid = v.relnamespace "
    "WHERE n.nspname = :schema AND c.relname = ANY (CAST(:names AS text[])) "
    "UNION ALL "
    "SELECT y.typname, 'type', NULL, NULL "
    "FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace "
    "WHERE n.nspname = :schema AND y.typrelid = 0 AND y.typname = ANY (CAST(:names AS text[]))"
)
"""What has one of the names in a schema, the table of an index, and where statements look."""

_SIZES: Final = text(
    "SELECT c.relname, pg_total_relation_size(c.oid) "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind = 'r' AND n.nspname = :schema"
)

_TRIGGERS: Final = text(
    "SELECT t.tgname, t.tgtype, CAST(t.tgenabled AS text), f.prosrc, "
    "t.tgqual IS NOT NULL OR array_length(t.tgattr, 1) > 0, "
    "coalesce(array_to_string(f.proconfig, ';'), ''), c.relname "
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_proc f ON f.oid = t.tgfoid "
    "WHERE NOT t.tgisinternal AND n.nspname = :schema"
)

_PROBLEMS: Final = text(
    "SELECT t.relname, 'the index ' || c.relname || ' is invalid' FROM pg_index i "
    "JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE NOT i.indisvalid AND n.nspname = :schema "
    "UNION ALL "
    "SELECT t.relname, 'the constraint ' || k.conname || ' was never validated' "
    "FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid "
    "JOIN pg_namespace n ON n.oid = k.connamespace "
    "WHERE NOT k.convalidated AND n.nspname = :schema "
    "UNION ALL "
    "SELECT t.relname, 'it is unlogged, so that a crash of the server empties it' "
    "FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace "
    "WHERE t.relkind = 'r' AND t.relpersistence = 'u' AND n.nspname = :schema "
    "UNION ALL "
    "SELECT t.relname, 'row security may keep rows from being read or written' "
    "FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace "
    "WHERE t.relrowsecurity AND n.nspname = :schema "
    "UNION ALL "
    "SELECT t.relname, 'the rule ' || r.rulename || ' may have statements do something else' "
    "FROM pg_rewrite r JOIN pg_class t ON t.oid = r.ev_class "
    "JOIN pg_namespace n ON n.oid = t.relnamespace "
    "WHERE t.relkind = 'r' AND n.nspname = :schema "
    "UNION ALL "
    "SELECT t.relname, a.attname || ' is compared by ' || l.collname || ', not exactly as by C' "
    "FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid "
    "JOIN pg_namespace n ON n.oid = t.relnamespace "
    "JOIN pg_collation l ON l.oid = a.attcollation "
    "WHERE t.relkind = 'r' AND n.nspname = :schema AND NOT a.attisdropped "
    "AND a.atttypid = CAST('varchar' AS regtype) AND l.collname NOT IN ('C', 'POSIX') "
    "UNION ALL "
    "SELECT t.relname, a.attname || ' loses the microseconds of times' "
    "FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid "
    "JOIN pg_namespace n ON n.oid = t.relnamespace "
    "WHERE t.relkind = 'r' AND n.nspname = :schema AND NOT a.attisdropped "
    "AND a.atttypid = CAST('timestamptz' AS regtype) AND a.atttypmod BETWEEN 0 AND 5 "
    "UNION ALL "
    "SELECT t.relname, 'its constraint ' || k.conname || ' is not enforced, since the triggers "
    "that do so are switched off' "
    "FROM pg_constraint k JOIN pg_trigger g ON g.tgconstraint = k.oid "
    "JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace "
    "WHERE n.nspname = :schema AND g.tgisinternal AND g.tgenabled IN ('D', 'R') "
    "GROUP BY t.relname, k.conname "
    "UNION ALL "
    "SELECT t.relname, 'its constraint ' || k.conname || ' is deferrable, so that no row can be "
    "saved over another' "
    "FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid "
    "JOIN pg_namespace n ON n.oid = t.relnamespace "
    "WHERE n.nspname = :schema AND k.contype IN ('p', 'u') AND k.condeferrable"
)

_RIGHTS: Final = text(
    "SELECT t.relname, r.name, has_table_privilege(t.oid, r.name) "
    "FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace "
    "CROSS JOIN (VALUES ('INSERT'), ('UPDATE'), ('DELETE')) AS r (name) "
    "WHERE t.relkind = 'r' AND n.nspname = :schema "
    "ORDER BY t.relname, r.name"
)

_INSERTED_ONLY: Final = (
    "audit_removals",
    "audit_gates",
    "audit_entries",
    "collaboration_metrics",
    "cost_records",
    "lifecycle_events",
    "messages",
    "task_metrics",
)
"""The tables whose rows no repository changes or deletes."""

_TABLES: Final = ("r", "p")
_KINDS: Final = {
    "v": "a view",
    "m": "a materialized view",
    "S": "a sequence",
    "f": "a foreign table",
    "c": "a composite type",
    "type": "a type",
    "i": "an index",
    "I": "an index",
    "r": "a table",
    "p": "a table",
}
"""https://www.postgresql.org/docs/current/catalog-pg-class.html"""


class PostgreSQLInspection(Inspection):
    """From the catalogues, in the schema where statements find the version table.

    Args:
        prefix: What the names of this library's tables begin with.
    """

    def __init__(self, prefix: str = "") -> None:
        self._version = {"version": prefix + VERSION_TABLE}
        self._inserted_only = {prefix + name for name in _INSERTED_ONLY}

    def find_names(self, connection: Connection, owned: OwnedTables) -> Names:
        home = connection.execute(_HOME, self._version).first()
        if home is None:
            return Names(frozenset())
        schema, first = home
        tables, taken, hidden = set(), {}, {}
        relations = connection.execute(
            _RELATIONS, {"schema": schema, "names": [*owned.names, *owned.owners]}
        )
        for name, kind, owner, place in relations:
            if name in owned.names and kind in _TABLES:
                tables.add(name)
                if place != schema:
                    hidden[name] = f"the one in {place}"
            elif owner is None or owned.owners.get(name) != owner:
                taken[name] = _KINDS.get(kind, "something else")
        return Names(frozenset(tables), taken, frozenset(), schema, first, hidden)

    def find_schema(self, connection: Connection) -> str | None:
        """Name the schema of the tables, or in which they would be made; None without any."""
        home = connection.execute(_HOME, self._version).first()
        return None if home is None else str(home[0])

    def table_sizes(self, connection: Connection) -> Mapping[str, int | None]:
        sizes = connection.execute(_SIZES, {"schema": self.find_schema(connection)})
        return {name: int(size) for name, size in sizes}

    def active_triggers(self, connection: Connection, what: Triggered) -> Collection[str]:
        wanted = triggers_of(what)
        triggers = connection.execute(_TRIGGERS, {"schema": self.find_schema(connection)})
        return [
            name
            for name, events, state, body, is_limited, settings, table in triggers
            if name in wanted
            and wanted[name].table == table
            and wanted[name].is_it(events, state, body, settings, is_limited=bool(is_limited))
        ]

    def storage_problems(self, connection: Connection, tables: Collection[str]) -> tuple[str, ...]:
        problems = connection.execute(_PROBLEMS, {"schema": self.find_schema(connection)})
        return tuple(f"{table}: {what}" for table, what in problems if table in tables)

    def missing_rights(self, connection: Connection, tables: Collection[str]) -> tuple[str, ...]:
        asked = connection.execute(_RIGHTS, {"schema": self.find_schema(connection)})
        rights = [row for row in asked if row[0] in tables]
        if not any(is_held for *_, is_held in rights):
            return ()  # a user who only looks
        return tuple(
            f"{table}: this user may not {right}"
            for table, right, is_held in rights
            if not is_held and (right == "INSERT" or table not in self._inserted_only)
        )
