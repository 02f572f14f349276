"""The public face of the persistence layer: import from here."""

from synthorg.persistence.artifact_storage import ArtifactStorageBackend
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
    NotConnectedError,
    OutcomeUnknownError,
    PersistenceConnectionError,
    PersistenceError,
    QueryError,
    RecordNotFoundError,
    TransactionConflictError,
    UnreadableRecordError,
    UsageError,
    VersionConflictError,
)
from synthorg.persistence.factory import create_backend
from synthorg.persistence.filesystem_artifact_storage import FileSystemArtifactStorage
from synthorg.persistence.paging import Page
from synthorg.persistence.protocol import PersistenceBackend
from synthorg.persistence.totals import CostTotal
from synthorg.persistence.transactions import (
    ManagedBackend,
    TransactionalBackend,
    UnitOfWork,
)

__all__ = [
    "ArtifactStorageBackend",
    "ArtifactStorageFullError",
    "ArtifactTooLargeError",
    "CostTotal",
    "DuplicateRecordError",
    "FileSystemArtifactStorage",
    "ManagedBackend",
    "MariaDBConfig",
    "MigrationError",
    "MySQLConfig",
    "NotConnectedError",
    "OutcomeUnknownError",
    "Page",
    "PersistenceBackend",
    "PersistenceConfig",
    "PersistenceConnectionError",
    "PersistenceError",
    "PostgreSQLConfig",
    "QueryError",
    "RecordNotFoundError",
    "SQLiteConfig",
    "TLSConfig",
    "TransactionConflictError",
    "TransactionalBackend",
    "UnitOfWork",
    "UnreadableRecordError",
    "UsageError",
    "VersionConflictError",
    "create_backend",
]
