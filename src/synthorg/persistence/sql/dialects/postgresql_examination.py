"""What an operator should know of a PostgreSQL server and a database on it."""

from collections.abc import Collection, Iterator
from typing import Final

from sqlalchemy import Connection, bindparam, text

from synthorg.persistence.sql.dialects.findings import Finding, error, note, warning
from synthorg.persistence.sql.dialects.server_examination import (
    LONG_SECONDS,
    clock_skew,
    crowd,
    long_transaction,
)

_DURABILITY: Final = {
    "fsync": "what was acknowledged is lost, and the data damaged, at a loss of power",
    "full_page_writes": "pages may be damaged at a loss of power",
    "synchronous_commit": "the last transactions that were acknowledged are lost in a crash",
}
_MANY_ROWS: Final = 1_000
_MANY_DEAD: Final = 10_000


def examine(connection: Connection, tables: Collection[str]) -> Iterator[Finding]:
    """Look at the server and the tables.

    Args:
        connection: A connection to the database.
        tables: The tables.
    """
    yield from clock_skew(connection.execute(text("SELECT clock_timestamp()")).scalar_one())
    yield from _settings(connection)
    used, most = connection.execute(
        text(
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
            " current_setting('max_connections')::int"
        )
    ).one()
    yield from crowd(used, most)
    yield from _transactions(connection)
    if tables:
        yield from _statistics(connection, tables)
        yield from _counters(connection, tables)


def _settings(connection: Connection) -> Iterator[Finding]:
    for name, loss in _DURABILITY.items():
        # That of the server, for this library's own sessions ask for what they need.
        value = connection.execute(
            text("SELECT reset_val FROM pg_settings WHERE name = :name"), {"name": name}
        ).scalar()
        if value == "off":
            yield warning("durability", f"{name} is off: {loss}", f"set {name} to on")
    if connection.execute(text("SHOW autovacuum")).scalar_one() == "off":
        yield warning(
            "statistics",
            "autovacuum is off: tables bloat, and plans rest on no statistics",
            "set autovacuum to on",
        )


def _transactions(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(
        text(
            "SELECT pid, EXTRACT(EPOCH FROM clock_timestamp() - xact_start), state LIKE 'idle%' "
            "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND xact_start < clock_timestamp() - make_interval(secs => :seconds)"
        ),
        {"seconds": LONG_SECONDS},
    )
    for session, seconds, is_idle in rows:
        yield long_transaction(session, float(seconds), is_idle=bool(is_idle))


def _statistics(connection: Connection, tables: Collection[str]) -> Iterator[Finding]:
    rows = connection.execute(
        text(
            "SELECT s.relname, s.n_live_tup, s.n_dead_tup, c.reltuples, "
            "s.last_analyze IS NULL AND s.last_autoanalyze IS NULL "
            "FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid "
            "WHERE s.schemaname = current_schema() AND s.relname IN :tables"
        ).bindparams(bindparam("tables", expanding=True)),
        {"tables": [*tables]},
    )
    for name, live, dead, known, never in rows:
        if never and live >= _MANY_ROWS and known < 0:
            yield note(
                "statistics",
                f"{name} has some {live:,} rows, and was never analyzed",
                f"run ANALYZE {name}",
            )
        if dead >= _MANY_DEAD and dead > live:
            yield note(
                "space",
                f"{name} has more dead rows ({dead:,}) than live ones ({live:,})",
                f"run VACUUM (ANALYZE) {name}, and look why autovacuum lags behind",
            )


def _counters(connection: Connection, tables: Collection[str]) -> Iterator[Finding]:
    rows = connection.execute(
        text(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = current_schema() AND is_identity = 'YES' "
            "AND table_name IN :tables"
        ).bindparams(bindparam("tables", expanding=True)),
        {"tables": [*tables]},
    ).all()
    quote = connection.dialect.identifier_preparer.quote
    for table, column in rows:
        found = connection.execute(
            text(
                f"SELECT (SELECT max({quote(column)}) FROM {quote(table)}) > "  # noqa: S608 (names of our own)
                "COALESCE(pg_sequence_last_value("
                "CAST(pg_get_serial_sequence(:table, :column) AS regclass)), 0)"
            ),
            {"table": quote(table), "column": column},
        ).scalar()
        if found:
            yield error(
                "counters",
                f"{table} counts {column} on from below its largest number, so that saving fails",
                "set its sequence to that number by setval(), as after a restore of rows alone",
            )
