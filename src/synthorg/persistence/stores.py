"""What the repositories add to the plain protocols: bulk writes, paging, streaming and totals.

A store is a repository with these; a repository written against the plain protocols stays one.
What holds for all stores is said on the first four protocols. The filters of `page` and `stream`
are those of the repository's list, whose order both keep; a filter that is None is left out.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import NamedTuple, TypeVar

from pydantic import AwareDatetime
from typing_extensions import Protocol, runtime_checkable

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
    LifecycleEventType,
    Message,
    NotBlankStr,
    ParkedContext,
    PresetListRow,
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
from synthorg.persistence.paging import Page
from synthorg.persistence.repositories import (
    AgentStateRepository,
    ApiKeyRepository,
    ArtifactRepository,
    AuditRepository,
    CheckpointRepository,
    CollaborationMetricRepository,
    CostRecordRepository,
    HeartbeatRepository,
    LifecycleEventRepository,
    MessageRepository,
    ParkedContextRepository,
    PersonalityPresetRepository,
    ProjectRepository,
    SettingsRepository,
    TaskMetricRepository,
    TaskRepository,
    UserRepository,
    WorkflowDefinitionRepository,
    WorkflowExecutionRepository,
)
from synthorg.persistence.totals import CostGroups, CostTotal

Record = TypeVar("Record")
Record_contra = TypeVar("Record_contra", contravariant=True)


class SettingRow(NamedTuple):
    """A setting as it is stored."""

    namespace: str
    key: str
    value: str
    updated_at: str


class BulkSaving(Protocol[Record_contra]):
    """Saving any number of records at once."""

    async def save_many(
        self, records: Iterable[Record_contra] | AsyncIterable[Record_contra], /
    ) -> None:
        """Save all records or none, each by the rules of `save`, in their order.

        Args:
            records: The records, of which at most some hundred, and few large ones, are held in
                memory at a time.

        Raises:
            PersistenceError: If one could not be saved, as `save` would raise it; the text names
                the first record at fault, and nothing is written.
            OutcomeUnknownError: If the answer was lost, and saving cannot be repeated: all are
                written, or none.
        """
        ...


class BulkAccess(Protocol[Record]):
    """Reading and deleting any number of records by their keys."""

    async def get_many(self, keys: Iterable[NotBlankStr], /) -> dict[NotBlankStr, Record]:
        """Read the records with these keys.

        Args:
            keys: Any number of keys; a single text is refused.

        Returns:
            The records found, by their keys as they were given, in the order given.

        Raises:
            PersistenceError: If the operation fails.
        """
        ...

    async def delete_many(self, keys: Iterable[NotBlankStr], /) -> int:
        """Delete the records with these keys, all of them or none.

        Args:
            keys: Any number of keys; a single text is refused.

        Returns:
            How many records there were.

        Raises:
            PersistenceError: If one cannot be deleted, as `delete` would raise it; then nothing is.
            OutcomeUnknownError: If the answer was lost: all are deleted, or none.
        """
        ...


class Paging(Protocol):
    """Walking through a list of any length, page by page.

    `page(..., limit=100, after=None)` returns at most `limit` records and the cursor that leads
    on. It begins where `after` says, which is the `next_cursor` of the page before. A cursor
    belongs to its list and its filters. Every page costs the same, and rows that are added or
    removed meanwhile move no others: each that stays is seen once. A limit below 1, and an `after`
    that is no cursor of this list with these filters, is a QueryError. Records that cannot be read
    are an UnreadableRecordError, or left out for others where the configuration says so.
    """


class Streaming(Protocol):
    """Walking through a list of any length, record by record.

    `stream(...)` yields every record in the list's order, holding at most some hundred, and few
    large ones, at a time. It holds no connection while its caller works, and can be left at any
    point. Outside a unit of work it sees rows that are added beyond where it is, and reads values
    of 8 KiB and more on their own, as they are by then.
    """


@runtime_checkable
class TaskStore(TaskRepository, BulkSaving[Task], BulkAccess[Task], Paging, Streaming, Protocol):
    """`TaskRepository` with bulk access, walking as `list_tasks` lists."""

    async def page(
        self,
        *,
        status: TaskStatus | None = None,
        assigned_to: NotBlankStr | None = None,
        project: NotBlankStr | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[Task]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(
        self,
        *,
        status: TaskStatus | None = None,
        assigned_to: NotBlankStr | None = None,
        project: NotBlankStr | None = None,
    ) -> AsyncIterator[Task]:
        """Yield the whole list, as `Streaming` says."""
        ...

    async def count_by_status(
        self, *, assigned_to: NotBlankStr | None = None, project: NotBlankStr | None = None
    ) -> dict[TaskStatus, int]:
        """Count tasks by their status.

        Args:
            assigned_to: Count those of this agent.
            project: Count those of this project.

        Returns:
            The number of tasks in each status that occurs.

        Raises:
            UnreadableRecordError: If some are in a status that this version does not know.
            PersistenceError: If the operation fails.
        """
        ...


@runtime_checkable
class CostRecordStore(CostRecordRepository, BulkSaving[CostRecord], Paging, Streaming, Protocol):
    """`CostRecordRepository` with bulk access, walking as `query` lists."""

    async def page(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        task_id: NotBlankStr | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[CostRecord]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        task_id: NotBlankStr | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
    ) -> AsyncIterator[CostRecord]:
        """Yield the whole list, as `Streaming` says."""
        ...

    async def query(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        task_id: NotBlankStr | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
    ) -> tuple[CostRecord, ...]:
        """List costs as `CostRecordRepository` says, also by time (inclusive)."""
        ...

    async def aggregate(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        task_id: NotBlankStr | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
    ) -> float:
        """Sum costs as `CostRecordRepository` says, also by time (inclusive)."""
        ...

    async def totals(
        self,
        by: CostGroups,
        *,
        agent_id: NotBlankStr | None = None,
        task_id: NotBlankStr | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
    ) -> tuple[CostTotal, ...]:
        """Sum costs and tokens by groups, in the database.

        Args:
            by: What to group by, one or more of `CostGroup`.
            agent_id: Sum those of this agent.
            task_id: Sum those of this task.
            since: Sum those at or after this time.
            until: Sum those at or before this time.

        Returns:
            A total for each group that occurs, ordered by the groups in the order of `by`, with
            None last.

        Raises:
            QueryError: If `by` is empty or unknown, `until` is before `since`, or a sum of costs
                is beyond the largest floating-point number; sums of tokens have no limit.
            PersistenceError: If the operation fails.
        """
        ...


@runtime_checkable
class MessageStore(MessageRepository, BulkSaving[Message], Paging, Streaming, Protocol):
    """`MessageRepository` with bulk access, walking as `get_history` lists."""

    async def page(
        self, channel: NotBlankStr, /, *, limit: int = 100, after: str | None = None
    ) -> Page[Message]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(self, channel: NotBlankStr, /) -> AsyncIterator[Message]:
        """Yield the whole list, as `Streaming` says."""
        ...


@runtime_checkable
class LifecycleEventStore(
    LifecycleEventRepository, BulkSaving[AgentLifecycleEvent], Paging, Streaming, Protocol
):
    """`LifecycleEventRepository` with bulk access, walking as `list_events` lists."""

    async def page(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        event_type: LifecycleEventType | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[AgentLifecycleEvent]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        event_type: LifecycleEventType | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
    ) -> AsyncIterator[AgentLifecycleEvent]:
        """Yield the whole list, as `Streaming` says."""
        ...


@runtime_checkable
class TaskMetricStore(
    TaskMetricRepository, BulkSaving[TaskMetricRecord], Paging, Streaming, Protocol
):
    """`TaskMetricRepository` with bulk access, walking as `query` lists."""

    async def page(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[TaskMetricRecord]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
    ) -> AsyncIterator[TaskMetricRecord]:
        """Yield the whole list, as `Streaming` says."""
        ...


@runtime_checkable
class CollaborationMetricStore(
    CollaborationMetricRepository,
    BulkSaving[CollaborationMetricRecord],
    Paging,
    Streaming,
    Protocol,
):
    """`CollaborationMetricRepository` with bulk access, walking as `query` lists."""

    async def page(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[CollaborationMetricRecord]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
    ) -> AsyncIterator[CollaborationMetricRecord]:
        """Yield the whole list, as `Streaming` says."""
        ...


@runtime_checkable
class ParkedContextStore(
    ParkedContextRepository,
    BulkSaving[ParkedContext],
    BulkAccess[ParkedContext],
    Paging,
    Streaming,
    Protocol,
):
    """`ParkedContextRepository` with bulk access, walking as `get_by_agent` lists."""

    async def page(
        self, agent_id: NotBlankStr, /, *, limit: int = 100, after: str | None = None
    ) -> Page[ParkedContext]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(self, agent_id: NotBlankStr, /) -> AsyncIterator[ParkedContext]:
        """Yield the whole list, as `Streaming` says."""
        ...


@runtime_checkable
class AuditStore(AuditRepository, BulkSaving[AuditEntry], Paging, Streaming, Protocol):
    """`AuditRepository` with bulk access, walking as `query` lists."""

    async def page(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        action_type: str | None = None,
        verdict: AuditVerdictStr | None = None,
        risk_level: ApprovalRiskLevel | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[AuditEntry]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        action_type: str | None = None,
        verdict: AuditVerdictStr | None = None,
        risk_level: ApprovalRiskLevel | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
    ) -> AsyncIterator[AuditEntry]:
        """Yield the whole list, as `Streaming` says."""
        ...


@runtime_checkable
class UserStore(UserRepository, BulkSaving[User], BulkAccess[User], Paging, Streaming, Protocol):
    """`UserRepository` with bulk access, walking as `list_users` lists."""

    async def page(self, *, limit: int = 100, after: str | None = None) -> Page[User]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(self) -> AsyncIterator[User]:
        """Yield the whole list, as `Streaming` says."""
        ...


@runtime_checkable
class ApiKeyStore(
    ApiKeyRepository, BulkSaving[ApiKey], BulkAccess[ApiKey], Paging, Streaming, Protocol
):
    """`ApiKeyRepository` with bulk access, walking as `list_by_user` lists."""

    async def page(
        self, user_id: NotBlankStr, /, *, limit: int = 100, after: str | None = None
    ) -> Page[ApiKey]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(self, user_id: NotBlankStr, /) -> AsyncIterator[ApiKey]:
        """Yield the whole list, as `Streaming` says."""
        ...


@runtime_checkable
class CheckpointStore(CheckpointRepository, BulkSaving[Checkpoint], Protocol):
    """`CheckpointRepository` with bulk access."""


@runtime_checkable
class HeartbeatStore(
    HeartbeatRepository, BulkSaving[Heartbeat], BulkAccess[Heartbeat], Paging, Streaming, Protocol
):
    """`HeartbeatRepository` with bulk access, walking as `get_stale` lists."""

    async def page(
        self, threshold: AwareDatetime, /, *, limit: int = 100, after: str | None = None
    ) -> Page[Heartbeat]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(self, threshold: AwareDatetime, /) -> AsyncIterator[Heartbeat]:
        """Yield the whole list, as `Streaming` says."""
        ...


@runtime_checkable
class AgentStateStore(
    AgentStateRepository,
    BulkSaving[AgentRuntimeState],
    BulkAccess[AgentRuntimeState],
    Paging,
    Streaming,
    Protocol,
):
    """`AgentStateRepository` with bulk access, walking as `get_active` lists."""

    async def page(self, *, limit: int = 100, after: str | None = None) -> Page[AgentRuntimeState]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(self) -> AsyncIterator[AgentRuntimeState]:
        """Yield the whole list, as `Streaming` says."""
        ...


@runtime_checkable
class SettingsStore(SettingsRepository, BulkSaving[SettingRow], Paging, Streaming, Protocol):
    """`SettingsRepository` with bulk access, walking as `get_all` lists."""

    async def page(
        self, *, namespace: NotBlankStr | None = None, limit: int = 100, after: str | None = None
    ) -> Page[SettingRow]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(self, *, namespace: NotBlankStr | None = None) -> AsyncIterator[SettingRow]:
        """Yield the whole list, as `Streaming` says."""
        ...


@runtime_checkable
class ArtifactStore(
    ArtifactRepository, BulkSaving[Artifact], BulkAccess[Artifact], Paging, Streaming, Protocol
):
    """`ArtifactRepository` with bulk access, walking as `list_artifacts` lists."""

    async def page(
        self,
        *,
        task_id: NotBlankStr | None = None,
        created_by: NotBlankStr | None = None,
        artifact_type: ArtifactType | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[Artifact]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(
        self,
        *,
        task_id: NotBlankStr | None = None,
        created_by: NotBlankStr | None = None,
        artifact_type: ArtifactType | None = None,
    ) -> AsyncIterator[Artifact]:
        """Yield the whole list, as `Streaming` says."""
        ...


@runtime_checkable
class ProjectStore(
    ProjectRepository, BulkSaving[Project], BulkAccess[Project], Paging, Streaming, Protocol
):
    """`ProjectRepository` with bulk access, walking as `list_projects` lists."""

    async def page(
        self,
        *,
        status: ProjectStatus | None = None,
        lead: NotBlankStr | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[Project]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(
        self, *, status: ProjectStatus | None = None, lead: NotBlankStr | None = None
    ) -> AsyncIterator[Project]:
        """Yield the whole list, as `Streaming` says."""
        ...


@runtime_checkable
class PersonalityPresetStore(
    PersonalityPresetRepository,
    BulkSaving[PresetListRow],
    BulkAccess[PresetListRow],
    Paging,
    Streaming,
    Protocol,
):
    """`PersonalityPresetRepository` with bulk access, walking as `list_all` lists."""

    async def page(self, *, limit: int = 100, after: str | None = None) -> Page[PresetListRow]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(self) -> AsyncIterator[PresetListRow]:
        """Yield the whole list, as `Streaming` says."""
        ...


@runtime_checkable
class WorkflowDefinitionStore(
    WorkflowDefinitionRepository,
    BulkSaving[WorkflowDefinition],
    BulkAccess[WorkflowDefinition],
    Paging,
    Streaming,
    Protocol,
):
    """`WorkflowDefinitionRepository` with bulk access, walking as `list_definitions` lists."""

    async def page(
        self,
        *,
        workflow_type: WorkflowType | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[WorkflowDefinition]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(
        self, *, workflow_type: WorkflowType | None = None
    ) -> AsyncIterator[WorkflowDefinition]:
        """Yield the whole list, as `Streaming` says."""
        ...


@runtime_checkable
class WorkflowExecutionStore(
    WorkflowExecutionRepository,
    BulkSaving[WorkflowExecution],
    BulkAccess[WorkflowExecution],
    Paging,
    Streaming,
    Protocol,
):
    """`WorkflowExecutionRepository` with bulk access, walking as `list_by_definition` lists."""

    async def page(
        self,
        *,
        definition_id: NotBlankStr | None = None,
        status: WorkflowExecutionStatus | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[WorkflowExecution]:
        """Give one page of the list, as `Paging` says."""
        ...

    def stream(
        self,
        *,
        definition_id: NotBlankStr | None = None,
        status: WorkflowExecutionStatus | None = None,
    ) -> AsyncIterator[WorkflowExecution]:
        """Yield the whole list, as `Streaming` says."""
        ...
