"""The embedded backend, ready made: one SQLite file, no server."""

from synthorg.persistence.config import SQLiteConfig
from synthorg.persistence.errors import UsageError
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.sql.dialects.sqlite import SQLiteDialect


class SQLitePersistenceBackend(SQLPersistenceBackend):
    """`PersistenceBackend` on SQLite.

    Args:
        config: Where the database file is, and how it is used.
    """

    def __init__(self, config: SQLiteConfig) -> None:
        given: object = config
        if not isinstance(given, SQLiteConfig):
            raise UsageError(
                f"a SQLite backend is made of a SQLiteConfig, not of a {type(given).__name__}"
            )
        super().__init__(SQLiteDialect(config))
