"""From a configuration to a backend."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthorg.persistence.config import PersistenceConfig, SQLiteConfig
from synthorg.persistence.errors import UsageError
from synthorg.persistence.observing import Observer
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.transactions import ManagedBackend

if TYPE_CHECKING:
    from synthorg.persistence.extension import Extension


def create_backend(
    config: PersistenceConfig,
    *,
    extensions: Sequence["Extension"] = (),
    migrate: bool = False,
    observers: Sequence[Observer] = (),
) -> ManagedBackend:
    """Make the backend that a configuration asks for.

    One database per company: each call makes a backend that shares nothing with another.

    Args:
        config: The configuration.
        extensions: The application's own tables, which `migrate()` makes after this library's, in
            this order.
        migrate: Whether `async with` on the backend also migrates, after it has connected.
        observers: Who is told of every call, unit of work, migration and command on it.

    Returns:
        A new, disconnected backend; enter it by `async with`, or call its `connect()`, then
        `migrate()`. On SQLite it is a `SQLitePersistenceBackend`.

    Raises:
        PersistenceConnectionError: If the backend's name is unknown, or its section is missing.
        UsageError: If it is no configuration, or an extension clashes with another or with this
            library, or its revisions do not lead to one head.
    """
    given: object = config
    if not isinstance(given, PersistenceConfig):
        raise UsageError(
            f"a backend is made of a PersistenceConfig, not of a {type(given).__name__}; "
            "PersistenceConfig.from_url() makes one of a URL"
        )
    section = config.section
    if isinstance(section, SQLiteConfig):
        from synthorg.persistence.sqlite import (  # noqa: PLC0415 (with the driver)
            SQLitePersistenceBackend,
        )

        return SQLitePersistenceBackend(section, extensions, migrate=migrate, observers=observers)
    owned = [each.owned for each in extensions]
    return SQLPersistenceBackend(
        create_dialect(config), owned, migrate=migrate, observers=observers
    )
