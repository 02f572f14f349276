"""The nineteen repositories, one module for each domain, named as in `synthorg.entities`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar, overload

from sqlalchemy import Table

from synthorg.persistence.errors import UsageError
from synthorg.persistence.sql.drivers.observation import Observing
from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.owned_tables import LIBRARY, OwnedTables
from synthorg.persistence.sql.repositories.artifacts import SQLArtifactRepository
from synthorg.persistence.sql.repositories.audit import SQLAuditRepository
from synthorg.persistence.sql.repositories.auth import SQLApiKeyRepository, SQLUserRepository
from synthorg.persistence.sql.repositories.base import Repository
from synthorg.persistence.sql.repositories.costs import SQLCostRecordRepository
from synthorg.persistence.sql.repositories.execution import (
    SQLAgentStateRepository,
    SQLCheckpointRepository,
    SQLHeartbeatRepository,
)
from synthorg.persistence.sql.repositories.hr import (
    SQLCollaborationMetricRepository,
    SQLLifecycleEventRepository,
    SQLTaskMetricRepository,
)
from synthorg.persistence.sql.repositories.messages import SQLMessageRepository
from synthorg.persistence.sql.repositories.observed import provide
from synthorg.persistence.sql.repositories.parked_contexts import SQLParkedContextRepository
from synthorg.persistence.sql.repositories.presets import SQLPersonalityPresetRepository
from synthorg.persistence.sql.repositories.projects import SQLProjectRepository
from synthorg.persistence.sql.repositories.settings import SQLSettingsRepository
from synthorg.persistence.sql.repositories.tasks import SQLTaskRepository
from synthorg.persistence.sql.repositories.workflows import (
    SQLWorkflowDefinitionRepository,
    SQLWorkflowExecutionRepository,
)

Kind = TypeVar("Kind")
AnyRepository = TypeVar("AnyRepository", bound=Repository[Any])


class _Provided(Generic[AnyRepository]):
    """A repository as an attribute: made when first asked for, on what its owner executes."""

    def __init__(self, kind: type[AnyRepository]) -> None:
        self._kind = kind

    def __set_name__(self, owner: "type[Repositories]", name: str) -> None:
        self._name = name

    @overload
    def __get__(self, owner: None, kind: "type[Repositories]") -> "_Provided[AnyRepository]": ...
    @overload
    def __get__(self, owner: "Repositories", kind: "type[Repositories]") -> AnyRepository: ...
    def __get__(
        self, owner: "Repositories | None", kind: "type[Repositories]"
    ) -> "AnyRepository | _Provided[AnyRepository]":
        if owner is None:
            return self
        executor = owner.executor_for(self._name)
        observing = owner.observing
        if observing is None:
            return self._kind(executor)
        kept = owner.kept
        repository: AnyRepository | None = kept.get(self._name)
        if repository is None:
            repository = kept[self._name] = provide(self._kind, executor, self._name, observing)
        return repository


def repository_of(
    kind: type[Kind],
    executor: Executor,
    extensions: Sequence[OwnedTables],
    observing: Observing | None,
) -> Kind:
    """Make a repository of an extension.

    Args:
        kind: Its class.
        executor: What it runs its statements on.
        extensions: The tables that are there beside those of this library.
        observing: Who is told of its calls; None for nobody.

    Raises:
        UsageError: If it is no repository, or its table is none of these.
    """
    given: object = kind
    if not (isinstance(given, type) and issubclass(given, Repository) and hasattr(given, "table")):
        raise UsageError(
            "repository() takes a class with a table, derived from one of the repositories in "
            f"synthorg.persistence.extension, not {given!r}"
        )
    if all(given.table.metadata is not owned.metadata for owned in (LIBRARY, *extensions)):
        raise UsageError(
            f"this backend has no table {given.table.name}; give create_backend() the extension of "
            f"{given.__name__}"
        )
    repository: Kind = provide(given, executor, given.__name__, observing)
    return repository


def repository_over(table: Table) -> type[Repository[Any]] | None:
    """Find the repository of a table, which says what its rows are.

    Args:
        table: The table.

    Returns:
        The first that was declared; None if the program has declared none.
    """
    waiting: list[type[Repository[Any]]] = [Repository]
    while waiting:
        found = waiting.pop(0)
        if vars(found).get("table") is table:
            return found
        waiting += found.__subclasses__()
    return None


class Repositories(ABC):
    """The nineteen repositories as attributes of whatever executes their statements."""

    observing: Observing | None = None
    """Who is told of their calls; None for nobody."""

    @cached_property
    def kept(self) -> dict[str, Any]:
        """Those whose calls are observed, which takes longer to make; by name."""
        return {}

    @abstractmethod
    def executor_for(self, repository: str) -> Executor:
        """Give what the repository of this name runs its statements on."""

    tasks = _Provided(SQLTaskRepository)
    cost_records = _Provided(SQLCostRecordRepository)
    messages = _Provided(SQLMessageRepository)
    lifecycle_events = _Provided(SQLLifecycleEventRepository)
    task_metrics = _Provided(SQLTaskMetricRepository)
    collaboration_metrics = _Provided(SQLCollaborationMetricRepository)
    parked_contexts = _Provided(SQLParkedContextRepository)
    audit_entries = _Provided(SQLAuditRepository)
    users = _Provided(SQLUserRepository)
    api_keys = _Provided(SQLApiKeyRepository)
    checkpoints = _Provided(SQLCheckpointRepository)
    heartbeats = _Provided(SQLHeartbeatRepository)
    agent_states = _Provided(SQLAgentStateRepository)
    settings = _Provided(SQLSettingsRepository)
    artifacts = _Provided(SQLArtifactRepository)
    projects = _Provided(SQLProjectRepository)
    custom_presets = _Provided(SQLPersonalityPresetRepository)
    workflow_definitions = _Provided(SQLWorkflowDefinitionRepository)
    workflow_executions = _Provided(SQLWorkflowExecutionRepository)
