"""Which dialect serves which section of the configuration.

A dialect, and with it what its drivers need, is imported when its database is asked for.
"""

from synthorg.persistence.config import (
    MariaDBConfig,
    MySQLConfig,
    PersistenceConfig,
    PostgreSQLConfig,
    SQLiteConfig,
)
from synthorg.persistence.errors import PersistenceConnectionError
from synthorg.persistence.sql.dialects.base import Dialect


def create_dialect(config: PersistenceConfig) -> Dialect:
    """Make the dialect for the configured database.

    Args:
        config: The configuration.

    Raises:
        PersistenceConnectionError: If no dialect serves that backend.
    """
    match config.section:
        case SQLiteConfig() as section:
            from synthorg.persistence.sql.dialects.sqlite import SQLiteDialect  # noqa: PLC0415

            return SQLiteDialect(section)
        case PostgreSQLConfig() as section:
            from synthorg.persistence.sql.dialects.postgresql import PostgreSQLDialect  # noqa: PLC0415

            return PostgreSQLDialect(section)
        case MariaDBConfig() as section:
            from synthorg.persistence.sql.dialects.mysql import MariaDBDialect  # noqa: PLC0415

            return MariaDBDialect(section)
        case MySQLConfig() as section:
            from synthorg.persistence.sql.dialects.mysql import MySQLDialect  # noqa: PLC0415

            return MySQLDialect(section)
    raise PersistenceConnectionError(f"no dialect serves the backend {config.backend!r}")
