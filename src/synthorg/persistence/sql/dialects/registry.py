"""Which dialect serves which section of the configuration."""

from synthorg.persistence.config import (
    MariaDBConfig,
    MySQLConfig,
    PersistenceConfig,
    PostgreSQLConfig,
    SQLiteConfig,
)
from synthorg.persistence.errors import PersistenceConnectionError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.mysql import MariaDBDialect, MySQLDialect
from synthorg.persistence.sql.dialects.postgresql import PostgreSQLDialect
from synthorg.persistence.sql.dialects.sqlite import SQLiteDialect


def create_dialect(config: PersistenceConfig) -> Dialect:
    """Make the dialect for the configured database.

    Args:
        config: The configuration.

    Raises:
        PersistenceConnectionError: If no dialect serves that backend.
    """
    match config.section:
        case SQLiteConfig() as section:
            return SQLiteDialect(section)
        case PostgreSQLConfig() as section:
            return PostgreSQLDialect(section)
        case MariaDBConfig() as section:
            return MariaDBDialect(section)
        case MySQLConfig() as section:
            return MySQLDialect(section)
    raise PersistenceConnectionError(f"no dialect serves the backend {config.backend!r}")
