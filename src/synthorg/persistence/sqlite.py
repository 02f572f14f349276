"""The embedded backend, ready made: one SQLite file, no server."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthorg.persistence.config import SQLiteConfig
from synthorg.persistence.errors import UsageError
from synthorg.persistence.observing import Observer
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.sql.dialects.sqlite import SQLiteDialect

if TYPE_CHECKING:
    from synthorg.persistence.extension import Extension


class SQLitePersistenceBackend(SQLPersistenceBackend):
    """`PersistenceBackend` on SQLite.

    Args:
        config: Where the database file is, and how it is used.
        extensions: The application's own tables, which are migrated in this order.
        migrate: Whether `async with` also migrates.
        observers: Who is told of everything that is done on it.

    Raises:
        UsageError: If an extension clashes with another, or cannot be migrated.
    """

    def __init__(
        self,
        config: SQLiteConfig,
        extensions: Sequence["Extension"] = (),
        *,
        migrate: bool = False,
        observers: Sequence[Observer] = (),
    ) -> None:
        given: object = config
        if not isinstance(given, SQLiteConfig):
            raise UsageError(
                f"a SQLite backend is made of a SQLiteConfig, not of a {type(given).__name__}"
            )
        super().__init__(
            SQLiteDialect(config),
            [each.owned for each in extensions],
            migrate=migrate,
            observers=observers,
        )
