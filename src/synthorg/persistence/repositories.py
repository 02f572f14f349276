"""The repository protocols: the contract of every database behind this library.

What holds for all of them is said here once; a method says only what is its own.

Writing:
    When a write returns, it is durable and every later read sees it; a write that raises has
    written nothing, but for an OutcomeUnknownError: the connection was lost before the answer
    came. What can be repeated is repeated before that is raised. A write that is cancelled, as
    by a timeout of asyncio, has written all or nothing. A record that could not be read again is
    an InvalidArgumentError, whoever has made it and however.

Reading:
    A miss is None, never an error. Filters are keywords, which a repository of one's own may spell
    out: they are combined with AND, None filters nothing, `since` and `until` are inclusive, and
    `limit` keeps the first. A list that matches nothing is empty. A stored record that does not
    fit its kind is an UnreadableRecordError, also in a list, which leaves it out where the
    configuration's `unreadable_records` is "skip".

Order:
    Every list has a total order. "Newest first" is by the time named, latest first, and at the
    same time by key, descending, or for messages, audit entries, events and metrics by the order of
    saving, last first; "oldest first" is the exact reverse. Keys compare exactly:
    case, accents and trailing spaces matter. They sort by code point.

Errors:
    Only PersistenceError leaves a repository, apart from a ValueError where a method names it:
    QueryError and its kinds InvalidArgumentError, UnreadableRecordError, TransactionConflictError
    and VersionConflictError; DuplicateRecordError; MigrationError, where the schema is not this
    version's; PersistenceConnectionError and its kinds OutcomeUnknownError and
    TooManyConnectionsError; and UsageError with its kind NotConnectedError, for mistakes of the
    program. Their descriptions say when it is which.
"""

from typing import Protocol, TypeVar, runtime_checkable

from pydantic import AwareDatetime
from typing_extensions import TypedDict, Unpack

from synthorg.entities import (
    AgentLifecycleEvent,
    AgentRuntimeState,
    ApiKey,
    ApprovalRiskLevel,
    Artifact,
    ArtifactType,
    AuditEntry,
    AuditVerdictStr,
    Checkpoint,
    CollaborationMetricRecord,
    CostRecord,
    Heartbeat,
    HumanRole,
    LifecycleEventType,
    Message,
    NotBlankStr,
    ParkedContext,
    PresetListRow,
    PresetRow,
    Project,
    ProjectStatus,
    Task,
    TaskMetricRecord,
    TaskStatus,
    User,
    WorkflowDefinition,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowType,
)

Record = TypeVar("Record")
Record_contra = TypeVar("Record_contra", contravariant=True)


class Keyed(Protocol[Record]):
    """Records by key, of which the latest is stored."""

    async def save(self, record: Record, /) -> None:
        """Insert the record, or replace every field of the one with its key."""
        ...

    async def get(self, key: NotBlankStr, /) -> Record | None:
        """Return the record with this key."""
        ...

    async def delete(self, key: NotBlankStr, /) -> bool:
        """Delete the record with this key, and return whether there was one."""
        ...


class Versioned(Keyed[Record], Protocol):
    """Records by key, of which the latest version is stored."""

    async def save(self, record: Record, /) -> None:
        """Insert version 1, or replace version N-1 by version N.

        Without that version it is a VersionConflictError: of any number of savers of the same next
        version exactly one succeeds.
        """
        ...


class AppendOnly(Protocol[Record_contra]):
    """Records that are added, and never change."""

    async def save(self, record: Record_contra, /) -> None:
        """Append the record; one whose id is stored is a DuplicateRecordError."""
        ...


class _Agent(TypedDict, total=False):
    agent_id: NotBlankStr | None


class _Since(TypedDict, total=False):
    since: AwareDatetime | None


class _Period(_Since, total=False):
    until: AwareDatetime | None


class TaskFilters(TypedDict, total=False, closed=True):
    """Only tasks in this `status`, `assigned_to` this agent, and of this `project`."""

    status: TaskStatus | None
    assigned_to: NotBlankStr | None
    project: NotBlankStr | None


@runtime_checkable
class TaskRepository(Keyed[Task], Protocol):
    """Tasks, by id; the cost records and metrics about one that is deleted stay."""

    async def save(self, task: Task) -> None: ...
    async def get(self, task_id: NotBlankStr) -> Task | None: ...
    async def delete(self, task_id: NotBlankStr) -> bool: ...
    async def list_tasks(self, **filters: Unpack[TaskFilters]) -> tuple[Task, ...]:
        """Return the matching tasks, ordered by id."""
        ...


class _Calls(_Agent, total=False):
    task_id: NotBlankStr | None


class PlainCostFilters(_Calls, total=False, closed=True):
    """Only calls of the agent `agent_id`, and for the task `task_id`."""


class CostFilters(_Calls, _Period, total=False, closed=True):
    """Only calls of the agent `agent_id`, for the task `task_id`, from `since` to `until`."""


@runtime_checkable
class CostRecordRepository(AppendOnly[CostRecord], Protocol):
    """Append-only costs of calls to language models.

    A record is evidence of a call that was made: it may name a task that is unknown, and it
    stays when the task is deleted.
    """

    async def save(self, record: CostRecord) -> None:
        """Append the record; equal ones are separate calls, and each is kept."""
        ...

    async def query(self, **filters: Unpack[PlainCostFilters]) -> tuple[CostRecord, ...]:
        """Return the matching records in the order in which they were recorded."""
        ...

    async def aggregate(self, **filters: Unpack[PlainCostFilters]) -> float:
        """Sum the matching costs in USD, to a relative error of 1e-9; 0.0 if there are none."""
        ...


class MessageFilters(TypedDict, total=False, closed=True):
    """Only messages of this `channel`."""

    channel: NotBlankStr | None


@runtime_checkable
class MessageRepository(AppendOnly[Message], Protocol):
    """Append-only messages, by channel."""

    async def save(self, message: Message) -> None: ...
    async def get_history(
        self, channel: NotBlankStr, *, limit: int | None = None
    ) -> tuple[Message, ...]:
        """Return the messages of exactly this channel, newest first by `timestamp`."""
        ...


class _Events(_Agent, total=False):
    event_type: LifecycleEventType | None


class PlainEventFilters(_Events, _Since, total=False, closed=True):
    """Only events of the agent `agent_id`, of this `event_type`, at or after `since`."""


class EventFilters(_Events, _Period, total=False, closed=True):
    """Only events of the agent `agent_id`, of this `event_type`, from `since` to `until`."""


@runtime_checkable
class LifecycleEventRepository(AppendOnly[AgentLifecycleEvent], Protocol):
    """Append-only events in the lives of agents."""

    async def save(self, event: AgentLifecycleEvent) -> None: ...
    async def list_events(
        self, *, limit: int | None = None, **filters: Unpack[PlainEventFilters]
    ) -> tuple[AgentLifecycleEvent, ...]:
        """Return the matching events, newest first by `timestamp`."""
        ...


class PlainMetricFilters(_Agent, _Since, total=False, closed=True):
    """Only records of the agent `agent_id`, at or after `since`."""


class MetricFilters(_Agent, _Period, total=False, closed=True):
    """Only records of the agent `agent_id`, from `since` to `until`."""


@runtime_checkable
class TaskMetricRepository(AppendOnly[TaskMetricRecord], Protocol):
    """Append-only metrics of finished tasks, by the time of completion."""

    async def save(self, record: TaskMetricRecord) -> None: ...
    async def query(self, **filters: Unpack[MetricFilters]) -> tuple[TaskMetricRecord, ...]:
        """Return the matching records, newest first by `completed_at`."""
        ...


@runtime_checkable
class CollaborationMetricRepository(AppendOnly[CollaborationMetricRecord], Protocol):
    """Append-only metrics of how agents work together."""

    async def save(self, record: CollaborationMetricRecord) -> None: ...
    async def query(
        self, **filters: Unpack[PlainMetricFilters]
    ) -> tuple[CollaborationMetricRecord, ...]:
        """Return the matching records, newest first by `recorded_at`."""
        ...


@runtime_checkable
class ParkedContextRepository(Keyed[ParkedContext], Protocol):
    """Executions that wait for a human approval, by id."""

    async def save(self, context: ParkedContext) -> None: ...
    async def get(self, parked_id: NotBlankStr) -> ParkedContext | None: ...
    async def delete(self, parked_id: NotBlankStr) -> bool: ...
    async def get_by_approval(self, approval_id: NotBlankStr) -> ParkedContext | None:
        """Return what waits for this approval: of several, the newest by `parked_at`."""
        ...

    async def get_by_agent(self, agent_id: NotBlankStr) -> tuple[ParkedContext, ...]:
        """Return the parked contexts of an agent, newest first by `parked_at`."""
        ...


class AuditFilters(TypedDict, total=False, closed=True):
    """Only entries with exactly these fields, from `since` to `until`."""

    agent_id: NotBlankStr | None
    action_type: str | None
    verdict: AuditVerdictStr | None
    risk_level: ApprovalRiskLevel | None
    since: AwareDatetime | None
    until: AwareDatetime | None


@runtime_checkable
class AuditRepository(AppendOnly[AuditEntry], Protocol):
    """Append-only records of security decisions; the database itself refuses to change one."""

    async def save(self, entry: AuditEntry) -> None: ...
    async def query(
        self, *, limit: int = 100, **filters: Unpack[AuditFilters]
    ) -> tuple[AuditEntry, ...]:
        """Return the matching entries, newest first by `timestamp`."""
        ...


@runtime_checkable
class UserRepository(Keyed[User], Protocol):
    """The people who use the organisation, and its system user, by id.

    `created_at` of a stored user never changes. A username or the role ceo that another user has is
    a DuplicateRecordError. API keys are deleted with their user; deleting the system user is a
    QueryError.
    """

    async def save(self, user: User) -> None: ...
    async def get(self, user_id: NotBlankStr) -> User | None: ...
    async def delete(self, user_id: NotBlankStr) -> bool: ...
    async def get_by_username(self, username: NotBlankStr) -> User | None:
        """Return the user with this exact username."""
        ...

    async def list_users(self) -> tuple[User, ...]:
        """Return every user but those of role system, oldest first by `created_at`."""
        ...

    async def count(self) -> int:
        """Count every user but those of role system."""
        ...

    async def count_by_role(self, role: HumanRole) -> int:
        """Count the users of one role, which may be system."""
        ...


@runtime_checkable
class ApiKeyRepository(Keyed[ApiKey], Protocol):
    """API keys, by id; `created_at` of a stored key never changes.

    A hash that another key has is a DuplicateRecordError, and an unknown user a QueryError.
    """

    async def save(self, key: ApiKey) -> None: ...
    async def get(self, key_id: NotBlankStr) -> ApiKey | None: ...
    async def delete(self, key_id: NotBlankStr) -> bool: ...
    async def get_by_hash(self, key_hash: NotBlankStr) -> ApiKey | None:
        """Return the key with this hash, whether or not it is revoked or has expired."""
        ...

    async def list_by_user(self, user_id: NotBlankStr) -> tuple[ApiKey, ...]:
        """Return the keys of a user, newest first by `created_at`."""
        ...


class CheckpointFilters(TypedDict, total=False, closed=True):
    """Only checkpoints of the execution `execution_id`, and of the task `task_id`."""

    execution_id: NotBlankStr | None
    task_id: NotBlankStr | None


@runtime_checkable
class CheckpointRepository(Protocol):
    """Snapshots of executions, by id."""

    async def save(self, checkpoint: Checkpoint) -> None:
        """Insert or replace a checkpoint."""
        ...

    async def get_latest(self, **filters: Unpack[CheckpointFilters]) -> Checkpoint | None:
        """Return the matching checkpoint with the highest `turn_number`.

        Of several in that turn it is the newest by `created_at`. No filter is a ValueError.
        """
        ...

    async def delete_by_execution(self, execution_id: NotBlankStr) -> int:
        """Delete the checkpoints of an execution, and return how many there were."""
        ...


@runtime_checkable
class HeartbeatRepository(Keyed[Heartbeat], Protocol):
    """The last sign of life of every execution, by execution id."""

    async def save(self, heartbeat: Heartbeat) -> None: ...
    async def get(self, execution_id: NotBlankStr) -> Heartbeat | None: ...
    async def delete(self, execution_id: NotBlankStr) -> bool: ...
    async def get_stale(self, threshold: AwareDatetime) -> tuple[Heartbeat, ...]:
        """Return the heartbeats strictly before a time, oldest first by `last_heartbeat_at`."""
        ...


@runtime_checkable
class AgentStateRepository(Keyed[AgentRuntimeState], Protocol):
    """What every agent is doing at present, by agent id."""

    async def save(self, state: AgentRuntimeState) -> None: ...
    async def get(self, agent_id: NotBlankStr) -> AgentRuntimeState | None: ...
    async def delete(self, agent_id: NotBlankStr) -> bool: ...
    async def get_active(self) -> tuple[AgentRuntimeState, ...]:
        """Return every state that is not idle, newest first by `last_activity_at`."""
        ...


class SettingFilters(TypedDict, total=False, closed=True):
    """Only settings of this `namespace`."""

    namespace: NotBlankStr | None


@runtime_checkable
class SettingsRepository(Protocol):
    """Text settings, by namespace and key.

    `updated_at` is the caller's own text, usually an ISO 8601 time. Like the value it comes back
    exactly as it was given.
    """

    async def get(self, namespace: NotBlankStr, key: NotBlankStr) -> tuple[str, str] | None:
        """Return a setting as `(value, updated_at)`."""
        ...

    async def get_namespace(self, namespace: NotBlankStr) -> tuple[tuple[str, str, str], ...]:
        """Return a namespace as `(key, value, updated_at)`, ordered by key."""
        ...

    async def get_all(self) -> tuple[tuple[str, str, str, str], ...]:
        """Return all as `(namespace, key, value, updated_at)`, by namespace, then by key."""
        ...

    async def set(
        self,
        namespace: NotBlankStr,
        key: NotBlankStr,
        value: str,
        updated_at: str,
        *,
        expected_updated_at: str | None = None,
    ) -> bool:
        """Insert or replace a setting, and return whether it was written.

        `updated_at` is the time of the change, which is also the version of this value. It is
        written in any case, or only over the version `expected_updated_at`, where the empty text
        means only if there is no such setting yet. Check and write are one step: of several
        callers that expect the same, one succeeds.
        """
        ...

    async def delete(self, namespace: NotBlankStr, key: NotBlankStr) -> bool:
        """Delete a setting."""
        ...

    async def delete_namespace(self, namespace: NotBlankStr) -> int:
        """Delete the settings of a namespace, and return how many there were."""
        ...


class ArtifactFilters(TypedDict, total=False, closed=True):
    """Only artifacts of the task `task_id`, `created_by` this agent, of this `artifact_type`."""

    task_id: NotBlankStr | None
    created_by: NotBlankStr | None
    artifact_type: ArtifactType | None


@runtime_checkable
class ArtifactRepository(Keyed[Artifact], Protocol):
    """Facts about artifacts, by id; their content in `ArtifactStorageBackend` is the caller's."""

    async def save(self, artifact: Artifact) -> None: ...
    async def get(self, artifact_id: NotBlankStr) -> Artifact | None: ...
    async def delete(self, artifact_id: NotBlankStr) -> bool: ...
    async def list_artifacts(self, **filters: Unpack[ArtifactFilters]) -> tuple[Artifact, ...]:
        """Return the matching artifacts, ordered by id."""
        ...


class ProjectFilters(TypedDict, total=False, closed=True):
    """Only projects in this `status`, and with this agent as `lead`."""

    status: ProjectStatus | None
    lead: NotBlankStr | None


@runtime_checkable
class ProjectRepository(Keyed[Project], Protocol):
    """Projects, by id; the tasks and artifacts of one that is deleted stay."""

    async def save(self, project: Project) -> None: ...
    async def get(self, project_id: NotBlankStr) -> Project | None: ...
    async def delete(self, project_id: NotBlankStr) -> bool: ...
    async def list_projects(self, **filters: Unpack[ProjectFilters]) -> tuple[Project, ...]:
        """Return the matching projects, ordered by id."""
        ...


@runtime_checkable
class PersonalityPresetRepository(Protocol):
    """Personality presets that people have made, by name; JSON and times are kept as given."""

    async def save(
        self,
        name: NotBlankStr,
        config_json: str,
        description: str,
        created_at: str,
        updated_at: str,
    ) -> None:
        """Insert or replace a preset; `created_at` of a stored preset never changes."""
        ...

    async def get(self, name: NotBlankStr) -> PresetRow | None:
        """Return the preset with this exact name."""
        ...

    async def list_all(self) -> tuple[PresetListRow, ...]:
        """Return every preset, ordered by name."""
        ...

    async def delete(self, name: NotBlankStr) -> bool:
        """Delete a preset."""
        ...

    async def count(self) -> int:
        """Count the presets."""
        ...


class DefinitionFilters(TypedDict, total=False, closed=True):
    """Only definitions of this `workflow_type`."""

    workflow_type: WorkflowType | None


@runtime_checkable
class WorkflowDefinitionRepository(Versioned[WorkflowDefinition], Protocol):
    """Versioned workflow definitions, by id.

    `created_by` and `created_at` of a stored definition never change. Version 1 over a stored one
    is a VersionConflictError, and deleting one that has executions a QueryError.
    """

    async def save(self, definition: WorkflowDefinition) -> None: ...
    async def get(self, definition_id: NotBlankStr) -> WorkflowDefinition | None: ...
    async def delete(self, definition_id: NotBlankStr) -> bool: ...
    async def list_definitions(
        self, **filters: Unpack[DefinitionFilters]
    ) -> tuple[WorkflowDefinition, ...]:
        """Return the matching definitions, newest first by `updated_at`."""
        ...


class ExecutionFilters(TypedDict, total=False, closed=True):
    """Only executions of the definition `definition_id`, and in this `status`."""

    definition_id: NotBlankStr | None
    status: WorkflowExecutionStatus | None


@runtime_checkable
class WorkflowExecutionRepository(Versioned[WorkflowExecution], Protocol):
    """Versioned executions of workflow definitions, by id.

    Version 1 over a stored one is a DuplicateRecordError, and an unknown definition a QueryError.
    """

    async def save(self, execution: WorkflowExecution) -> None: ...
    async def get(self, execution_id: NotBlankStr) -> WorkflowExecution | None: ...
    async def delete(self, execution_id: NotBlankStr) -> bool: ...
    async def list_by_definition(self, definition_id: NotBlankStr) -> tuple[WorkflowExecution, ...]:
        """Return the executions of a definition, newest first by `updated_at`."""
        ...

    async def list_by_status(
        self, status: WorkflowExecutionStatus
    ) -> tuple[WorkflowExecution, ...]:
        """Return the executions in a status, newest first by `updated_at`."""
        ...
