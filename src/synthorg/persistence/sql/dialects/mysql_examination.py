"""What an operator should know of a MySQL or MariaDB server."""

from collections.abc import Collection, Iterator
from datetime import UTC
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from synthorg.persistence.sql.dialects.findings import Finding, note, warning
from synthorg.persistence.sql.dialects.mysql_privileges import missing_privileges
from synthorg.persistence.sql.dialects.server_examination import (
    LONG_SECONDS,
    clock_skew,
    crowd,
    long_transaction,
)

_DURABILITY: Final = {
    "innodb_flush_log_at_trx_commit": (
        ("1",),
        "the last transactions that were acknowledged are lost in a crash",
    ),
    "innodb_doublewrite": (("ON", "DETECT_AND_RECOVER"), "pages may be damaged at a loss of power"),
}
SHADOWING: Final = "CREATE TEMPORARY TABLES"
SMALLEST_PACKET: Final = 16 * 2**20


def examine(connection: Connection, tables: Collection[str]) -> Iterator[Finding]:  # noqa: ARG001 (as for the others)
    """Look at the server.

    Args:
        connection: A connection to the database.
        tables: The tables.
    """
    now = connection.execute(text("SELECT UTC_TIMESTAMP(6)")).scalar_one()
    yield from clock_skew(now.replace(tzinfo=UTC))
    shown = connection.execute(text("SHOW GLOBAL VARIABLES"))
    settings = {str(row[0]): str(row[1]) for row in shown}
    yield from _settings(settings)
    yield from _rights(connection)
    used = connection.execute(text("SHOW GLOBAL STATUS LIKE 'Threads_connected'")).one()[1]
    yield from crowd(int(used), int(settings["max_connections"]))
    yield from _transactions(connection)


def _settings(settings: dict[str, str]) -> Iterator[Finding]:
    for name, (right, loss) in _DURABILITY.items():
        value = settings.get(name, right[0])
        if value not in right:
            yield warning("durability", f"{name} is {value}: {loss}", f"set {name} to {right[0]}")
    if settings.get("log_bin") == "ON" and settings.get("sync_binlog") == "0":
        yield note(
            "durability",
            "sync_binlog is 0: replicas may miss the last transactions after a crash",
            "set sync_binlog to 1",
        )
    packet = int(settings["max_allowed_packet"])
    if packet < SMALLEST_PACKET:
        yield note(
            "limits",
            f"max_allowed_packet is {packet:,} bytes, and a larger record is refused",
            f"set max_allowed_packet to {SMALLEST_PACKET} or more",
        )


def _rights(connection: Connection) -> Iterator[Finding]:
    """Look for what lets a user who may not change triggers pass the one of the audit trail by."""
    grants = connection.scalars(text("SHOW GRANTS")).all()
    database = connection.engine.url.database
    if not missing_privileges(grants, [SHADOWING], database) and missing_privileges(
        grants, ["TRIGGER"], database
    ):
        yield warning(
            "audit",
            "this user may create temporary tables: one of the name of audit_gates takes its place "
            "in triggers, so that entries of the audit trail can be deleted without a record",
            f"revoke {SHADOWING} on the database, which this library does not need",
        )


def _transactions(connection: Connection) -> Iterator[Finding]:
    try:
        rows = connection.execute(
            text(
                "SELECT trx_mysql_thread_id, TIMESTAMPDIFF(SECOND, trx_started, NOW()), "
                "trx_query IS NULL FROM information_schema.innodb_trx "
                "WHERE trx_started < NOW() - INTERVAL :seconds SECOND "
                "AND trx_mysql_thread_id <> CONNECTION_ID()"
            ),
            {"seconds": LONG_SECONDS},
        ).all()
    except DBAPIError:  # who lacks the privilege PROCESS may not look
        connection.rollback()
        return
    for session, seconds, is_idle in rows:
        yield long_transaction(session, float(seconds), is_idle=bool(is_idle))
