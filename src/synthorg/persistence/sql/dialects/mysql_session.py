"""What a session on MySQL or MariaDB is set to, whatever its server's operator has chosen."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

NO_LIMIT: Final = 18_446_744_073_709_551_615  # https://mariadb.com/kb/en/server-system-variables/#sql_select_limit

SETTINGS: Final[Mapping[str, str | int]] = MappingProxyType(
    {
        # COMMIT ends the transaction, where CHAIN would begin another one, in which all that
        # follows is lost with the connection, and RELEASE would end the connection.
        "completion_type": "'NO_CHAIN'",
        # Exactly this, and nothing of the operator's: other modes change what quotes, || and
        # backslashes mean, cut what is too long, make '' NULL, or assign all columns of an upsert
        # at the same time, whose guard relies on their order.
        "sql_mode": "'TRADITIONAL'",
        # Moments are stored in UTC, so that NOW() in an application's own SQL compares with them.
        "time_zone": "'+00:00'",
        # Without these, constraints of the schema are not looked at.
        "foreign_key_checks": 1,
        "unique_checks": 1,
        # These refuse statements without a key or with a large join, and cut results silently.
        "sql_safe_updates": 0,
        "sql_big_selects": 1,
        "sql_select_limit": NO_LIMIT,
        # IS NULL asks for NULL, not for the row that was inserted last.
        "sql_auto_is_null": 0,
        # SQLAlchemy reads a schema out of SHOW CREATE TABLE, where it looks for quotes.
        "sql_quote_show_create": 1,
    }
)
"""The settings that matter here, by name; anybody may change them for a session of their own.

The character set and the isolation level are not among them, since SQLAlchemy sees to them.
"""


def assignments(settings: Mapping[str, str | int]) -> str:
    """Write settings as the end of a SET SESSION.

    Args:
        settings: The settings, by name.
    """
    return ", ".join(f"{name} = {value}" for name, value in settings.items())
