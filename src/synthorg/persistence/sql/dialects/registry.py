"""Which dialect serves which section of the configuration."""

from synthorg.persistence.config import PersistenceConfig, SQLiteConfig
from synthorg.persistence.errors import PersistenceConnectionError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.sqlite import SQLiteDialect


def create_dialect(config: PersistenceConfig) -> Dialect:
    """Make the dialect for the configured database.

    Args:
        config: The configuration.

    Raises:
        PersistenceConnectionError: If no dialect serves that backend.
    """
    section = config.section
    if isinstance(section, SQLiteConfig):
        return SQLiteDialect(section)
    raise PersistenceConnectionError(f"no dialect serves the backend {config.backend!r}")
