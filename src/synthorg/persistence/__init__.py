"""The public face of the persistence layer: import from here."""

from synthorg.persistence.config import (
    MariaDBConfig,
    MySQLConfig,
    PersistenceConfig,
    PostgreSQLConfig,
    SQLiteConfig,
    TLSConfig,
)
from synthorg.persistence.errors import (
    ArtifactStorageFullError,
    ArtifactTooLargeError,
    DuplicateRecordError,
    MigrationError,
    PersistenceConnectionError,
    PersistenceError,
    QueryError,
    RecordNotFoundError,
    VersionConflictError,
)
from synthorg.persistence.factory import create_backend
from synthorg.persistence.protocol import PersistenceBackend

__all__ = [
    "ArtifactStorageFullError",
    "ArtifactTooLargeError",
    "DuplicateRecordError",
    "MariaDBConfig",
    "MigrationError",
    "MySQLConfig",
    "PersistenceBackend",
    "PersistenceConfig",
    "PersistenceConnectionError",
    "PersistenceError",
    "PostgreSQLConfig",
    "QueryError",
    "RecordNotFoundError",
    "SQLiteConfig",
    "TLSConfig",
    "VersionConflictError",
    "create_backend",
]
