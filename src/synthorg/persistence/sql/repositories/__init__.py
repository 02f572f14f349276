"""The nineteen repositories, one module for each domain, named as in `synthorg.entities`."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar, overload

from synthorg.persistence.sql.execution.executor import Executor
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
from synthorg.persistence.sql.repositories.parked_contexts import SQLParkedContextRepository
from synthorg.persistence.sql.repositories.presets import SQLPersonalityPresetRepository
from synthorg.persistence.sql.repositories.projects import SQLProjectRepository
from synthorg.persistence.sql.repositories.settings import SQLSettingsRepository
from synthorg.persistence.sql.repositories.tasks import SQLTaskRepository
from synthorg.persistence.sql.repositories.workflows import (
    SQLWorkflowDefinitionRepository,
    SQLWorkflowExecutionRepository,
)

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
        return self if owner is None else self._kind(owner.executor_for(self._name))


class Repositories(ABC):
    """The nineteen repositories as attributes of whatever executes their statements."""

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
