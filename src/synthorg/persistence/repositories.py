"""The repository protocols: the contract of every database behind this library.

What holds for all of them is said here once; a method says only what is its own.

Writing
    When a write returns, it is durable and every later read sees it; a write that raises has
    written nothing, but for an OutcomeUnknownError: the connection was lost before the answer
    came. What can be repeated is repeated before that is raised. A write that is cancelled, as
    by a timeout of asyncio, has written all or nothing. `save` inserts, or replaces
    every field of the record with the same key, unless the repository is append-only or
    versioned. In an append-only repository a stored record never changes. In a versioned one, of
    any number of savers of the same next version exactly one succeeds. `delete` returns whether
    there was something to delete. A record that could not be read again is a QueryError, whoever
    has made it and however.

Reading
    A miss is None, never an error. Filters are combined with AND, and None filters nothing;
    `since` and `until` are inclusive. A list that matches nothing is empty. A stored record that
    does not fit its kind is an UnreadableRecordError, also in a list, which leaves such records
    out where the configuration's `unreadable_records` is "skip".

Order
    Every list has a total order. "Newest first" is by the time named, latest first, and at the
    same time by key, descending; "oldest first" is the exact reverse. Keys compare exactly:
    case, accents and trailing spaces matter. They sort by code point.

Errors
    Only PersistenceError leaves a repository, apart from a ValueError where a method names it.

    - PersistenceConnectionError: the database cannot be reached, or no connection is free.
    - OutcomeUnknownError, which is one: a write was sent, and its answer was lost.
    - UsageError: a mistake of the program, such as a call in another event loop or one that would
      wait for its own unit of work; trying again does not help. NotConnectedError is one.
    - DuplicateRecordError: a unique key is taken; the record that has it is untouched.
    - MigrationError: the schema is not this version's, such as that of a database that was never
      migrated; nothing was read or written.
    - QueryError: an argument of a wrong type, such as None for a key, a filter that no record
      could match, a `limit` below 1, or `until` before `since`; text or a number that the
      database cannot hold, such as a key of more than 255 characters; a record that could not be
      read again; whatever else the database refuses.
    - UnreadableRecordError, which is one: a stored record does not fit its kind.
    - TransactionConflictError, which is one: others held a lock for too long, or again and again.
"""

from typing import Protocol, runtime_checkable

from pydantic import AwareDatetime

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


@runtime_checkable
class TaskRepository(Protocol):
    """Tasks, by id."""

    async def save(self, task: Task) -> None:
        """Insert or replace a task."""
        ...

    async def get(self, task_id: NotBlankStr) -> Task | None:
        """Return the task with this id."""
        ...

    async def list_tasks(
        self,
        *,
        status: TaskStatus | None = None,
        assigned_to: NotBlankStr | None = None,
        project: NotBlankStr | None = None,
    ) -> tuple[Task, ...]:
        """Return the matching tasks, ordered by id.

        Args:
            status: Only tasks in this status.
            assigned_to: Only tasks of this agent.
            project: Only tasks of this project.
        """
        ...

    async def delete(self, task_id: NotBlankStr) -> bool:
        """Delete a task; the cost records and metrics about it stay."""
        ...


@runtime_checkable
class CostRecordRepository(Protocol):
    """Append-only costs of calls to language models.

    A record is evidence of a call that was made: it may name a task that is unknown, and it
    stays when the task is deleted.
    """

    async def save(self, record: CostRecord) -> None:
        """Append a record; equal records are separate calls, and each is kept."""
        ...

    async def query(
        self, *, agent_id: NotBlankStr | None = None, task_id: NotBlankStr | None = None
    ) -> tuple[CostRecord, ...]:
        """Return the matching records in the order in which they were recorded.

        Args:
            agent_id: Only calls of this agent.
            task_id: Only calls for this task.
        """
        ...

    async def aggregate(
        self, *, agent_id: NotBlankStr | None = None, task_id: NotBlankStr | None = None
    ) -> float:
        """Add up the costs of the matching records.

        Args:
            agent_id: Only calls of this agent.
            task_id: Only calls for this task.

        Returns:
            The sum in USD, right to a relative error of 1e-9; 0.0 when nothing matches.
        """
        ...


@runtime_checkable
class MessageRepository(Protocol):
    """Append-only messages, by channel."""

    async def save(self, message: Message) -> None:
        """Append a message.

        Raises:
            DuplicateRecordError: If a message with this id is stored.
        """
        ...

    async def get_history(
        self, channel: NotBlankStr, *, limit: int | None = None
    ) -> tuple[Message, ...]:
        """Return the messages of a channel, newest first by `timestamp`.

        Args:
            channel: The channel's exact name.
            limit: At most this many, the newest; None for all.
        """
        ...


@runtime_checkable
class LifecycleEventRepository(Protocol):
    """Append-only events in the lives of agents."""

    async def save(self, event: AgentLifecycleEvent) -> None:
        """Append an event.

        Raises:
            DuplicateRecordError: If an event with this id is stored.
        """
        ...

    async def list_events(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        event_type: LifecycleEventType | None = None,
        since: AwareDatetime | None = None,
        limit: int | None = None,
    ) -> tuple[AgentLifecycleEvent, ...]:
        """Return the matching events, newest first by `timestamp`.

        Args:
            agent_id: Only events of this agent.
            event_type: Only events of this type.
            since: Only events at or after this time.
            limit: At most this many, the newest; None for all.
        """
        ...


@runtime_checkable
class TaskMetricRepository(Protocol):
    """Append-only metrics of finished tasks."""

    async def save(self, record: TaskMetricRecord) -> None:
        """Append a record.

        Raises:
            DuplicateRecordError: If a record with this id is stored.
        """
        ...

    async def query(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
    ) -> tuple[TaskMetricRecord, ...]:
        """Return the matching records, newest first by `completed_at`.

        Args:
            agent_id: Only records of this agent.
            since: Only tasks completed at or after this time.
            until: Only tasks completed at or before this time.
        """
        ...


@runtime_checkable
class CollaborationMetricRepository(Protocol):
    """Append-only metrics of how agents work together."""

    async def save(self, record: CollaborationMetricRecord) -> None:
        """Append a record.

        Raises:
            DuplicateRecordError: If a record with this id is stored.
        """
        ...

    async def query(
        self, *, agent_id: NotBlankStr | None = None, since: AwareDatetime | None = None
    ) -> tuple[CollaborationMetricRecord, ...]:
        """Return the matching records, newest first by `recorded_at`.

        Args:
            agent_id: Only records of this agent.
            since: Only records made at or after this time.
        """
        ...


@runtime_checkable
class ParkedContextRepository(Protocol):
    """Executions that wait for a human approval, by id."""

    async def save(self, context: ParkedContext) -> None:
        """Insert or replace a parked context."""
        ...

    async def get(self, parked_id: NotBlankStr) -> ParkedContext | None:
        """Return the parked context with this id."""
        ...

    async def get_by_approval(self, approval_id: NotBlankStr) -> ParkedContext | None:
        """Return what waits for this approval: of several, the newest by `parked_at`."""
        ...

    async def get_by_agent(self, agent_id: NotBlankStr) -> tuple[ParkedContext, ...]:
        """Return the parked contexts of an agent, newest first by `parked_at`."""
        ...

    async def delete(self, parked_id: NotBlankStr) -> bool:
        """Delete a parked context."""
        ...


@runtime_checkable
class AuditRepository(Protocol):
    """Append-only records of security decisions; the database itself refuses to change one."""

    async def save(self, entry: AuditEntry) -> None:
        """Append an entry.

        Raises:
            DuplicateRecordError: If an entry with this id is stored.
        """
        ...

    async def query(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        action_type: str | None = None,
        verdict: AuditVerdictStr | None = None,
        risk_level: ApprovalRiskLevel | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        limit: int = 100,
    ) -> tuple[AuditEntry, ...]:
        """Return the matching entries, newest first by `timestamp`.

        Args:
            agent_id: Only entries about this agent.
            action_type: Only entries about this exact type of action.
            verdict: Only entries with this verdict.
            risk_level: Only entries at this level of risk.
            since: Only entries at or after this time.
            until: Only entries at or before this time.
            limit: At most this many, the newest.
        """
        ...


@runtime_checkable
class UserRepository(Protocol):
    """The people who use the organisation, and its system user, by id."""

    async def save(self, user: User) -> None:
        """Insert or replace a user; `created_at` of a stored user never changes.

        Raises:
            DuplicateRecordError: If the username belongs to another user, or if the role is ceo
                and another user has it.
        """
        ...

    async def get(self, user_id: NotBlankStr) -> User | None:
        """Return the user with this id."""
        ...

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

    async def delete(self, user_id: NotBlankStr) -> bool:
        """Delete a user together with the user's API keys.

        Raises:
            QueryError: If the id is that of the system user.
        """
        ...


@runtime_checkable
class ApiKeyRepository(Protocol):
    """API keys, by id."""

    async def save(self, key: ApiKey) -> None:
        """Insert or replace a key; `created_at` of a stored key never changes.

        Raises:
            DuplicateRecordError: If another key has the same hash.
            QueryError: If the user is unknown.
        """
        ...

    async def get(self, key_id: NotBlankStr) -> ApiKey | None:
        """Return the key with this id."""
        ...

    async def get_by_hash(self, key_hash: NotBlankStr) -> ApiKey | None:
        """Return the key with this hash, whether or not it is revoked or has expired."""
        ...

    async def list_by_user(self, user_id: NotBlankStr) -> tuple[ApiKey, ...]:
        """Return the keys of a user, newest first by `created_at`."""
        ...

    async def delete(self, key_id: NotBlankStr) -> bool:
        """Delete a key."""
        ...


@runtime_checkable
class CheckpointRepository(Protocol):
    """Snapshots of executions, by id."""

    async def save(self, checkpoint: Checkpoint) -> None:
        """Insert or replace a checkpoint."""
        ...

    async def get_latest(
        self, *, execution_id: NotBlankStr | None = None, task_id: NotBlankStr | None = None
    ) -> Checkpoint | None:
        """Return the matching checkpoint with the highest `turn_number`.

        Of several in that turn it is the newest by `created_at`.

        Args:
            execution_id: Only checkpoints of this execution.
            task_id: Only checkpoints of this task.

        Raises:
            ValueError: If neither filter is given.
        """
        ...

    async def delete_by_execution(self, execution_id: NotBlankStr) -> int:
        """Delete the checkpoints of an execution, and return how many there were."""
        ...


@runtime_checkable
class HeartbeatRepository(Protocol):
    """The last sign of life of every execution, by execution id."""

    async def save(self, heartbeat: Heartbeat) -> None:
        """Insert or replace the heartbeat of an execution."""
        ...

    async def get(self, execution_id: NotBlankStr) -> Heartbeat | None:
        """Return the heartbeat of this execution."""
        ...

    async def get_stale(self, threshold: AwareDatetime) -> tuple[Heartbeat, ...]:
        """Return the heartbeats strictly before a time, oldest first by `last_heartbeat_at`."""
        ...

    async def delete(self, execution_id: NotBlankStr) -> bool:
        """Delete the heartbeat of an execution."""
        ...


@runtime_checkable
class AgentStateRepository(Protocol):
    """What every agent is doing at present, by agent id."""

    async def save(self, state: AgentRuntimeState) -> None:
        """Insert or replace the state of an agent."""
        ...

    async def get(self, agent_id: NotBlankStr) -> AgentRuntimeState | None:
        """Return the state of this agent."""
        ...

    async def get_active(self) -> tuple[AgentRuntimeState, ...]:
        """Return every state that is not idle, newest first by `last_activity_at`."""
        ...

    async def delete(self, agent_id: NotBlankStr) -> bool:
        """Delete the state of an agent."""
        ...


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
        """Insert or replace a setting, if wanted only over the version that the caller has seen.

        Args:
            namespace: The setting's namespace.
            key: The setting's key in that namespace.
            value: The new value.
            updated_at: The time of the change, which is also the version of this value.
            expected_updated_at: Write only if this is what is stored as `updated_at`; the empty
                text means only if there is no such setting yet, and None in any case. Check and
                write are one step: of several callers that expect the same, one succeeds.

        Returns:
            Whether the setting was written; always True if nothing was expected.
        """
        ...

    async def delete(self, namespace: NotBlankStr, key: NotBlankStr) -> bool:
        """Delete a setting."""
        ...

    async def delete_namespace(self, namespace: NotBlankStr) -> int:
        """Delete the settings of a namespace, and return how many there were."""
        ...


@runtime_checkable
class ArtifactRepository(Protocol):
    """What is known about artifacts, by id; `ArtifactStorageBackend` holds their content."""

    async def save(self, artifact: Artifact) -> None:
        """Insert or replace an artifact."""
        ...

    async def get(self, artifact_id: NotBlankStr) -> Artifact | None:
        """Return the artifact with this id."""
        ...

    async def list_artifacts(
        self,
        *,
        task_id: NotBlankStr | None = None,
        created_by: NotBlankStr | None = None,
        artifact_type: ArtifactType | None = None,
    ) -> tuple[Artifact, ...]:
        """Return the matching artifacts, ordered by id.

        Args:
            task_id: Only artifacts of this task.
            created_by: Only artifacts of this agent.
            artifact_type: Only artifacts of this type.
        """
        ...

    async def delete(self, artifact_id: NotBlankStr) -> bool:
        """Delete an artifact; its stored content is left to the caller."""
        ...


@runtime_checkable
class ProjectRepository(Protocol):
    """Projects, by id."""

    async def save(self, project: Project) -> None:
        """Insert or replace a project."""
        ...

    async def get(self, project_id: NotBlankStr) -> Project | None:
        """Return the project with this id."""
        ...

    async def list_projects(
        self, *, status: ProjectStatus | None = None, lead: NotBlankStr | None = None
    ) -> tuple[Project, ...]:
        """Return the matching projects, ordered by id.

        Args:
            status: Only projects in this status.
            lead: Only projects led by this agent.
        """
        ...

    async def delete(self, project_id: NotBlankStr) -> bool:
        """Delete a project; its tasks and artifacts stay."""
        ...


@runtime_checkable
class PersonalityPresetRepository(Protocol):
    """Personality presets that people have made, by name."""

    async def save(
        self,
        name: NotBlankStr,
        config_json: str,
        description: str,
        created_at: str,
        updated_at: str,
    ) -> None:
        """Insert or replace a preset; `created_at` of a stored preset never changes.

        Args:
            name: The preset's unique name.
            config_json: The personality as JSON text, kept exactly as given.
            description: What the preset is for, in words.
            created_at: The time of its making as ISO 8601 text, kept exactly as given.
            updated_at: The time of this change, likewise.
        """
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


@runtime_checkable
class WorkflowDefinitionRepository(Protocol):
    """Versioned workflow definitions, by id."""

    async def save(self, definition: WorkflowDefinition) -> None:
        """Insert version 1, or replace version N-1 by version N.

        `created_by` and `created_at` of a stored definition never change.

        Raises:
            VersionConflictError: If version 1 is saved over a stored definition, or if the
                stored one is not the version before this one.
        """
        ...

    async def get(self, definition_id: NotBlankStr) -> WorkflowDefinition | None:
        """Return the definition with this id, in its stored version."""
        ...

    async def list_definitions(
        self, *, workflow_type: WorkflowType | None = None
    ) -> tuple[WorkflowDefinition, ...]:
        """Return the matching definitions, newest first by `updated_at`.

        Args:
            workflow_type: Only definitions of this type.
        """
        ...

    async def delete(self, definition_id: NotBlankStr) -> bool:
        """Delete a definition.

        Raises:
            QueryError: If it has executions.
        """
        ...


@runtime_checkable
class WorkflowExecutionRepository(Protocol):
    """Versioned executions of workflow definitions, by id."""

    async def save(self, execution: WorkflowExecution) -> None:
        """Insert version 1, or replace version N-1 by version N.

        Raises:
            DuplicateRecordError: If version 1 is saved over a stored execution.
            VersionConflictError: If the stored execution is not the version before this one, or
                is missing.
            QueryError: If the definition is unknown.
        """
        ...

    async def get(self, execution_id: NotBlankStr) -> WorkflowExecution | None:
        """Return the execution with this id, in its stored version."""
        ...

    async def list_by_definition(self, definition_id: NotBlankStr) -> tuple[WorkflowExecution, ...]:
        """Return the executions of a definition, newest first by `updated_at`."""
        ...

    async def list_by_status(
        self, status: WorkflowExecutionStatus
    ) -> tuple[WorkflowExecution, ...]:
        """Return the executions in a status, newest first by `updated_at`."""
        ...

    async def delete(self, execution_id: NotBlankStr) -> bool:
        """Delete an execution."""
        ...
