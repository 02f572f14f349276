"""Whether a MySQL or MariaDB server, and the user on it, are fit for a migration."""

from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, text

from synthorg.persistence.sql.dialects.mysql_privileges import missing_privileges

SMALLEST_PAGE: Final = 16384  # bytes; smaller ones have indexes of fewer than 3072

MIGRATORS_PRIVILEGES: Final = ("SELECT", "INSERT", "UPDATE", "CREATE", "ALTER", "INDEX", "TRIGGER")

UNTRUSTED: Final = (
    "the server has a binary log, under which this user may create no trigger, so have "
    "log_bin_trust_function_creators set to 1 there, or SUPER granted"
)

BY_STATEMENT: Final = (
    "the server's binary log cannot take what is written at READ COMMITTED, so have binlog_format "
    "set to MIXED or ROW there"
)

# By name, since a server without one of them would refuse to select it.
_SETTINGS: Final = text(
    "SHOW VARIABLES WHERE variable_name IN "
    "('log_bin', 'log_bin_trust_function_creators', 'binlog_format', 'innodb_page_size')"
)
_ON: Final = "ON"


def find_lacks(
    connection: Connection, grants: Sequence[str], needed: Sequence[str]
) -> Iterator[str]:
    """Say what is missing, in a sentence for each, with what to do about it.

    Args:
        connection: The connection of the migration.
        grants: The lines of SHOW GRANTS for its user.
        needed: The privileges that the user needs.
    """
    database = connection.scalar(text("SELECT DATABASE()")) or ""
    missing = missing_privileges(grants, needed, database)
    if missing:
        yield f"its user lacks {', '.join(missing)}, so have them granted on {database}.*"
    settings: dict[str, str] = {name: value for name, value in connection.execute(_SETTINGS)}  # noqa: C416 (rows are no pairs to mypy)
    if settings.get("log_bin") == _ON:
        is_trusting = settings.get("log_bin_trust_function_creators") == _ON
        if not is_trusting and missing_privileges(grants, ["SUPER"]):
            yield UNTRUSTED
        if settings.get("binlog_format") == "STATEMENT":
            yield BY_STATEMENT
    page_size = int(settings.get("innodb_page_size", SMALLEST_PAGE))
    if page_size < SMALLEST_PAGE:
        yield (
            f"the server's pages of {page_size} bytes are too small for the indexes, which need "
            f"an innodb_page_size of {SMALLEST_PAGE}"
        )
