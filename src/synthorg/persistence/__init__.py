"""The public face of the persistence layer: import from here.

Each name comes from its module when it is first asked for, so that a program which only names types
or catches errors waits for neither SQLAlchemy nor a driver.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from synthorg.persistence.artifact_storage import (
        ArtifactStorageBackend,
    )
    from synthorg.persistence.config import (
        Host,
        MariaDBConfig,
        MySQLConfig,
        PersistenceConfig,
        PostgreSQLConfig,
        Reads,
        SQLiteConfig,
        TLSConfig,
    )
    from synthorg.persistence.errors import (
        ArtifactStorageFullError,
        ArtifactTooLargeError,
        DuplicateRecordError,
        InvalidArgumentError,
        MigrationError,
        NotConnectedError,
        OutcomeUnknownError,
        PersistenceConnectionError,
        PersistenceError,
        QueryError,
        RecordNotFoundError,
        TooManyConnectionsError,
        TransactionConflictError,
        UnreadableRecordError,
        UsageError,
        VersionConflictError,
    )
    from synthorg.persistence.factory import (
        create_backend,
    )
    from synthorg.persistence.filesystem_artifact_storage import (
        FileSystemArtifactStorage,
    )
    from synthorg.persistence.health import (
        Degradation,
        Health,
        HealthReason,
        SchemaCondition,
    )
    from synthorg.persistence.observing import (
        DatabaseLoad,
        LoadObserver,
        ObservedCall,
        ObservedDatabase,
        Observer,
        PausingObserver,
    )
    from synthorg.persistence.paging import (
        Arrival,
        Arrivals,
        Page,
    )
    from synthorg.persistence.protocol import (
        PersistenceBackend,
        ReportingBackend,
    )
    from synthorg.persistence.repositories import (
        AgentStateRepository,
        ApiKeyRepository,
        AppendOnly,
        ArtifactFilters,
        ArtifactRepository,
        AuditFilters,
        AuditRepository,
        CheckpointFilters,
        CheckpointRepository,
        CollaborationMetricRepository,
        CostFilters,
        CostRecordRepository,
        DefinitionFilters,
        EventFilters,
        ExecutionFilters,
        HeartbeatRepository,
        Keyed,
        LifecycleEventRepository,
        MessageFilters,
        MessageRepository,
        MetricFilters,
        ParkedContextRepository,
        PersonalityPresetRepository,
        PlainCostFilters,
        PlainEventFilters,
        PlainMetricFilters,
        ProjectFilters,
        ProjectRepository,
        SettingFilters,
        SettingsRepository,
        TaskFilters,
        TaskMetricRepository,
        TaskRepository,
        UserRepository,
        Versioned,
        WorkflowDefinitionRepository,
        WorkflowExecutionRepository,
    )
    from synthorg.persistence.stores import (
        AgentStateStore,
        ApiKeyStore,
        ArtifactStore,
        AuditStore,
        BulkAccess,
        BulkSaving,
        CheckpointStore,
        CollaborationMetricStore,
        CostRecordStore,
        Followable,
        HeartbeatStore,
        KeyedStore,
        LifecycleEventStore,
        MessageStore,
        Pageable,
        PageableBy,
        ParkedContextStore,
        PersonalityPresetStore,
        ProjectStore,
        SettingRow,
        SettingsStore,
        TaskMetricStore,
        TaskStore,
        UserStore,
        WorkflowDefinitionStore,
        WorkflowExecutionStore,
    )
    from synthorg.persistence.totals import (
        CostGroup,
        CostGroups,
        CostTotal,
    )
    from synthorg.persistence.transactions import (
        ManagedBackend,
        RoutedStores,
        Stores,
        TransactionalBackend,
        UnitOfWork,
    )

__all__ = [
    "AgentStateRepository",
    "AgentStateStore",
    "ApiKeyRepository",
    "ApiKeyStore",
    "AppendOnly",
    "Arrival",
    "Arrivals",
    "ArtifactFilters",
    "ArtifactRepository",
    "ArtifactStorageBackend",
    "ArtifactStorageFullError",
    "ArtifactStore",
    "ArtifactTooLargeError",
    "AuditFilters",
    "AuditRepository",
    "AuditStore",
    "BulkAccess",
    "BulkSaving",
    "CheckpointFilters",
    "CheckpointRepository",
    "CheckpointStore",
    "CollaborationMetricRepository",
    "CollaborationMetricStore",
    "CostFilters",
    "CostGroup",
    "CostGroups",
    "CostRecordRepository",
    "CostRecordStore",
    "CostTotal",
    "DatabaseLoad",
    "DefinitionFilters",
    "Degradation",
    "DuplicateRecordError",
    "EventFilters",
    "ExecutionFilters",
    "FileSystemArtifactStorage",
    "Followable",
    "Health",
    "HealthReason",
    "HeartbeatRepository",
    "HeartbeatStore",
    "Host",
    "InvalidArgumentError",
    "Keyed",
    "KeyedStore",
    "LifecycleEventRepository",
    "LifecycleEventStore",
    "LoadObserver",
    "ManagedBackend",
    "MariaDBConfig",
    "MessageFilters",
    "MessageRepository",
    "MessageStore",
    "MetricFilters",
    "MigrationError",
    "MySQLConfig",
    "NotConnectedError",
    "ObservedCall",
    "ObservedDatabase",
    "Observer",
    "OutcomeUnknownError",
    "Page",
    "Pageable",
    "PageableBy",
    "ParkedContextRepository",
    "ParkedContextStore",
    "PausingObserver",
    "PersistenceBackend",
    "PersistenceConfig",
    "PersistenceConnectionError",
    "PersistenceError",
    "PersonalityPresetRepository",
    "PersonalityPresetStore",
    "PlainCostFilters",
    "PlainEventFilters",
    "PlainMetricFilters",
    "PostgreSQLConfig",
    "ProjectFilters",
    "ProjectRepository",
    "ProjectStore",
    "QueryError",
    "Reads",
    "RecordNotFoundError",
    "ReportingBackend",
    "RoutedStores",
    "SQLiteConfig",
    "SchemaCondition",
    "SettingFilters",
    "SettingRow",
    "SettingsRepository",
    "SettingsStore",
    "Stores",
    "TLSConfig",
    "TaskFilters",
    "TaskMetricRepository",
    "TaskMetricStore",
    "TaskRepository",
    "TaskStore",
    "TooManyConnectionsError",
    "TransactionConflictError",
    "TransactionalBackend",
    "UnitOfWork",
    "UnreadableRecordError",
    "UsageError",
    "UserRepository",
    "UserStore",
    "VersionConflictError",
    "Versioned",
    "WorkflowDefinitionRepository",
    "WorkflowDefinitionStore",
    "WorkflowExecutionRepository",
    "WorkflowExecutionStore",
    "create_backend",
]

MODULES: Final = (
    "errors",
    "config",
    "observing",
    "paging",
    "totals",
    "artifact_storage",
    "health",
    "filesystem_artifact_storage",
    "repositories",
    "stores",
    "protocol",
    "transactions",
    "factory",
)
"""Where the names are from, in an order in which none takes long to import before it is needed."""

if not TYPE_CHECKING:  # to a type checker, it would give every name that is misspelt

    def __getattr__(name: str) -> object:
        if name in __all__:
            for module in MODULES:
                value = vars(import_module(f"{__name__}.{module}")).get(name)
                if value is not None:
                    globals()[name] = value
                    return value
        module = f"{__name__}.{name}"
        try:
            return import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
