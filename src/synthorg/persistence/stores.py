"""What the repositories add to the plain protocols: bulk writes, paging, streaming and totals.

A store is a repository with these; a repository written against the plain protocols stays one.
`page` and `stream` take the filters of the store's list, and keep its order.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import NamedTuple, TypeVar

from pydantic import AwareDatetime
from typing_extensions import Protocol, Unpack, runtime_checkable

from synthorg.entities import (
    AgentLifecycleEvent,
    AgentRuntimeState,
    ApiKey,
    Artifact,
    AuditEntry,
    Checkpoint,
    CollaborationMetricRecord,
    CostRecord,
    Heartbeat,
    Message,
    NotBlankStr,
    ParkedContext,
    PresetListRow,
    Project,
    Task,
    TaskMetricRecord,
    TaskStatus,
    User,
    WorkflowDefinition,
    WorkflowExecution,
)
from synthorg.persistence import repositories as plain
from synthorg.persistence.paging import Arrival, Arrivals, Page
from synthorg.persistence.repositories import (
    ArtifactFilters,
    AuditFilters,
    CostFilters,
    DefinitionFilters,
    EventFilters,
    ExecutionFilters,
    MessageFilters,
    MetricFilters,
    ProjectFilters,
    SettingFilters,
    TaskFilters,
)
from synthorg.persistence.signatures import spell_out_filters
from synthorg.persistence.totals import CostGroups, CostTotal

Record = TypeVar("Record")
Record_co = TypeVar("Record_co", covariant=True)
Record_contra = TypeVar("Record_contra", contravariant=True)
Value_contra = TypeVar("Value_contra", contravariant=True)


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

        At most some hundred of them, and few large ones, are held in memory at a time. An error is
        that of `save`, and names the first record at fault; or an OutcomeUnknownError, if the
        answer was lost and saving cannot be repeated.
        """
        ...


class BulkAccess(Protocol[Record]):
    """Reading and deleting any number of records by their keys; a single text is refused."""

    async def get_many(self, keys: Iterable[NotBlankStr], /) -> dict[NotBlankStr, Record]:
        """Return the records found, by their keys as they were given, in the order given."""
        ...

    async def delete_many(self, keys: Iterable[NotBlankStr], /) -> int:
        """Delete the records with these keys, all or none, and return how many there were.

        An error is that of `delete`, or an OutcomeUnknownError if the answer was lost.
        """
        ...


class Pageable(BulkSaving[Record], Protocol):
    """Also walking through a list of any length, in its order."""

    async def page(self, *, limit: int = 100, after: str | None = None) -> Page[Record]:
        """Return at most `limit` records, and the cursor that leads on.

        They begin where `after` says, which is the `next_cursor` of the page before. A cursor
        belongs to its list and its filters: another one is an InvalidArgumentError. Every page
        costs the same, and rows that are added or removed meanwhile move no others: each that
        stays is seen once. Records that are left out as unreadable make room for others.
        """
        ...

    def stream(self) -> AsyncIterator[Record]:
        """Yield every record, holding at most some hundred, and few large ones, at a time.

        It holds no connection while its caller works, and can be left at any point. Outside a unit
        of work it sees rows that are added beyond where it is, and reads values of 8 KiB and more
        on their own, as they are by then.
        """
        ...


class PageableBy(BulkSaving[Record], Protocol[Value_contra, Record]):
    """As `Pageable`, through a list that is narrowed by a value."""

    async def page(
        self, value: Value_contra, /, *, limit: int = 100, after: str | None = None
    ) -> Page[Record]:
        """Return one page, as `Pageable` says."""
        ...

    def stream(self, value: Value_contra, /) -> AsyncIterator[Record]:
        """Yield every record, as `Pageable` says."""
        ...


class Followable(Protocol[Record_co]):
    """Also going on from what was seen: records in the order in which they were saved.

    Nothing is missed and nothing is given twice, also of what is committed later than what was
    saved after it: that comes when it is committed. A cursor belongs to its list and its filters:
    another one is an InvalidArgumentError. In a unit of work, which sees one state of the database,
    all of this is a UsageError.
    """

    async def newer_than(
        self, cursor: str | None = None, /, *, limit: int = 100
    ) -> Arrivals[Record_co]:
        """Return at most `limit` records that were not there before the cursor was made.

        Without a cursor they begin with the oldest. It returns at once, also where nothing is new.
        """
        ...

    async def latest_cursor(self) -> str:
        """Return a cursor for what is saved from now on."""
        ...

    def follow(
        self, cursor: str | None = None, /, *, poll_seconds: float = 0.5
    ) -> AsyncIterator[Arrival[Record_co]]:
        """Yield every record that is newer, and wait for others, without an end.

        It asks again after `poll_seconds` in which nothing was new, holds no connection in between,
        and can be left at any point.
        """
        ...


class KeyedStore(BulkAccess[Record], Pageable[Record], Protocol):
    """What a store of keyed records adds, where its list needs no value."""


@runtime_checkable
class TaskStore(plain.TaskRepository, KeyedStore[Task], Protocol):
    """`TaskRepository` with bulk access, walking as `list_tasks` lists."""

    async def page(
        self, *, limit: int = 100, after: str | None = None, **filters: Unpack[TaskFilters]
    ) -> Page[Task]: ...
    def stream(self, **filters: Unpack[TaskFilters]) -> AsyncIterator[Task]: ...
    async def count_by_status(self, **filters: Unpack[TaskFilters]) -> dict[TaskStatus, int]:
        """Return the number of the matching tasks in each status that occurs."""
        ...


@runtime_checkable
class CostRecordStore(plain.CostRecordRepository, Pageable[CostRecord], Protocol):
    """`CostRecordRepository` with bulk access, walking as `query` lists."""

    async def page(
        self, *, limit: int = 100, after: str | None = None, **filters: Unpack[CostFilters]
    ) -> Page[CostRecord]: ...
    def stream(self, **filters: Unpack[CostFilters]) -> AsyncIterator[CostRecord]: ...
    async def query(self, **filters: Unpack[CostFilters]) -> tuple[CostRecord, ...]: ...
    async def aggregate(self, **filters: Unpack[CostFilters]) -> float: ...
    async def totals(self, by: CostGroups, **filters: Unpack[CostFilters]) -> tuple[CostTotal, ...]:
        """Sum costs and tokens in the database, by one or more of `CostGroup`.

        There is a total for each group that occurs, ordered by the groups in the order of `by`,
        with None last. Other groups, and none, are an InvalidArgumentError, and a sum of costs
        beyond the largest floating-point number is a QueryError; sums of tokens have no limit.
        Costs that were pruned count by the sums of their days, so that a limit within such a day is
        an InvalidArgumentError.
        """
        ...


@runtime_checkable
class MessageStore(
    plain.MessageRepository, PageableBy[NotBlankStr, Message], Followable[Message], Protocol
):
    """`MessageRepository` with bulk access, walking as `get_history` lists."""

    async def page(
        self, channel: NotBlankStr, /, *, limit: int = 100, after: str | None = None
    ) -> Page[Message]: ...
    def stream(self, channel: NotBlankStr, /) -> AsyncIterator[Message]: ...
    async def channels(self) -> tuple[NotBlankStr, ...]:
        """Return the channels that have messages, ordered by name."""
        ...

    async def newer_than(
        self,
        cursor: str | None = None,
        /,
        *,
        limit: int = 100,
        **filters: Unpack[MessageFilters],
    ) -> Arrivals[Message]: ...
    async def latest_cursor(self, **filters: Unpack[MessageFilters]) -> str: ...
    def follow(
        self,
        cursor: str | None = None,
        /,
        *,
        poll_seconds: float = 0.5,
        **filters: Unpack[MessageFilters],
    ) -> AsyncIterator[Arrival[Message]]: ...


@runtime_checkable
class LifecycleEventStore(
    plain.LifecycleEventRepository,
    Pageable[AgentLifecycleEvent],
    Followable[AgentLifecycleEvent],
    Protocol,
):
    """`LifecycleEventRepository` with bulk access, walking as `list_events` lists."""

    async def list_events(
        self, *, limit: int | None = None, **filters: Unpack[EventFilters]
    ) -> tuple[AgentLifecycleEvent, ...]: ...
    async def page(
        self, *, limit: int = 100, after: str | None = None, **filters: Unpack[EventFilters]
    ) -> Page[AgentLifecycleEvent]: ...
    def stream(self, **filters: Unpack[EventFilters]) -> AsyncIterator[AgentLifecycleEvent]: ...
    async def newer_than(
        self,
        cursor: str | None = None,
        /,
        *,
        limit: int = 100,
        **filters: Unpack[EventFilters],
    ) -> Arrivals[AgentLifecycleEvent]: ...
    async def latest_cursor(self, **filters: Unpack[EventFilters]) -> str: ...
    def follow(
        self,
        cursor: str | None = None,
        /,
        *,
        poll_seconds: float = 0.5,
        **filters: Unpack[EventFilters],
    ) -> AsyncIterator[Arrival[AgentLifecycleEvent]]: ...


@runtime_checkable
class TaskMetricStore(
    plain.TaskMetricRepository, Pageable[TaskMetricRecord], Followable[TaskMetricRecord], Protocol
):
    """`TaskMetricRepository` with bulk access, walking as `query` lists."""

    async def page(
        self, *, limit: int = 100, after: str | None = None, **filters: Unpack[MetricFilters]
    ) -> Page[TaskMetricRecord]: ...
    def stream(self, **filters: Unpack[MetricFilters]) -> AsyncIterator[TaskMetricRecord]: ...
    async def newer_than(
        self,
        cursor: str | None = None,
        /,
        *,
        limit: int = 100,
        **filters: Unpack[MetricFilters],
    ) -> Arrivals[TaskMetricRecord]: ...
    async def latest_cursor(self, **filters: Unpack[MetricFilters]) -> str: ...
    def follow(
        self,
        cursor: str | None = None,
        /,
        *,
        poll_seconds: float = 0.5,
        **filters: Unpack[MetricFilters],
    ) -> AsyncIterator[Arrival[TaskMetricRecord]]: ...


@runtime_checkable
class CollaborationMetricStore(
    plain.CollaborationMetricRepository,
    Pageable[CollaborationMetricRecord],
    Followable[CollaborationMetricRecord],
    Protocol,
):
    """`CollaborationMetricRepository` with bulk access, walking as `query` lists."""

    async def query(
        self, **filters: Unpack[MetricFilters]
    ) -> tuple[CollaborationMetricRecord, ...]: ...
    async def page(
        self, *, limit: int = 100, after: str | None = None, **filters: Unpack[MetricFilters]
    ) -> Page[CollaborationMetricRecord]: ...
    def stream(
        self, **filters: Unpack[MetricFilters]
    ) -> AsyncIterator[CollaborationMetricRecord]: ...
    async def newer_than(
        self,
        cursor: str | None = None,
        /,
        *,
        limit: int = 100,
        **filters: Unpack[MetricFilters],
    ) -> Arrivals[CollaborationMetricRecord]: ...
    async def latest_cursor(self, **filters: Unpack[MetricFilters]) -> str: ...
    def follow(
        self,
        cursor: str | None = None,
        /,
        *,
        poll_seconds: float = 0.5,
        **filters: Unpack[MetricFilters],
    ) -> AsyncIterator[Arrival[CollaborationMetricRecord]]: ...


@runtime_checkable
class ParkedContextStore(
    plain.ParkedContextRepository,
    BulkAccess[ParkedContext],
    PageableBy[NotBlankStr, ParkedContext],
    Protocol,
):
    """`ParkedContextRepository` with bulk access, walking as `get_by_agent`, or through all."""

    async def page(
        self,
        agent_id: NotBlankStr = ...,
        /,
        *,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[ParkedContext]: ...
    def stream(self, agent_id: NotBlankStr = ..., /) -> AsyncIterator[ParkedContext]: ...
    async def list_contexts(self) -> tuple[ParkedContext, ...]:
        """Return the parked contexts of all agents, newest first by `parked_at`."""
        ...


@runtime_checkable
class AuditStore(plain.AuditRepository, Pageable[AuditEntry], Followable[AuditEntry], Protocol):
    """`AuditRepository` with bulk access, walking as `query` lists."""

    async def page(
        self, *, limit: int = 100, after: str | None = None, **filters: Unpack[AuditFilters]
    ) -> Page[AuditEntry]: ...
    def stream(self, **filters: Unpack[AuditFilters]) -> AsyncIterator[AuditEntry]: ...
    async def newer_than(
        self,
        cursor: str | None = None,
        /,
        *,
        limit: int = 100,
        **filters: Unpack[AuditFilters],
    ) -> Arrivals[AuditEntry]: ...
    async def latest_cursor(self, **filters: Unpack[AuditFilters]) -> str: ...
    def follow(
        self,
        cursor: str | None = None,
        /,
        *,
        poll_seconds: float = 0.5,
        **filters: Unpack[AuditFilters],
    ) -> AsyncIterator[Arrival[AuditEntry]]: ...


@runtime_checkable
class UserStore(plain.UserRepository, KeyedStore[User], Protocol):
    """`UserRepository` with bulk access, walking as `list_users` lists."""


@runtime_checkable
class ApiKeyStore(
    plain.ApiKeyRepository, BulkAccess[ApiKey], PageableBy[NotBlankStr, ApiKey], Protocol
):
    """`ApiKeyRepository` with bulk access, walking as `list_by_user`, or through all."""

    async def page(
        self,
        user_id: NotBlankStr = ...,
        /,
        *,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[ApiKey]: ...
    def stream(self, user_id: NotBlankStr = ..., /) -> AsyncIterator[ApiKey]: ...
    async def list_keys(self) -> tuple[ApiKey, ...]:
        """Return the keys of all users, newest first by `created_at`."""
        ...


@runtime_checkable
class CheckpointStore(plain.CheckpointRepository, Pageable[Checkpoint], Protocol):
    """`CheckpointRepository` with bulk access, walking as `list_checkpoints` lists."""

    async def list_checkpoints(self) -> tuple[Checkpoint, ...]:
        """Return the checkpoints of all executions, ordered by id."""
        ...


@runtime_checkable
class HeartbeatStore(
    plain.HeartbeatRepository, BulkAccess[Heartbeat], PageableBy[AwareDatetime, Heartbeat], Protocol
):
    """`HeartbeatRepository` with bulk access, walking as `get_stale`, or through all."""

    async def page(
        self,
        threshold: AwareDatetime = ...,
        /,
        *,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[Heartbeat]: ...
    def stream(self, threshold: AwareDatetime = ..., /) -> AsyncIterator[Heartbeat]: ...
    async def list_heartbeats(self) -> tuple[Heartbeat, ...]:
        """Return the heartbeats of all executions, oldest first by `last_heartbeat_at`."""
        ...


@runtime_checkable
class AgentStateStore(plain.AgentStateRepository, KeyedStore[AgentRuntimeState], Protocol):
    """`AgentStateRepository` with bulk access, walking as `get_active` lists."""


@runtime_checkable
class SettingsStore(plain.SettingsRepository, Pageable[SettingRow], Protocol):
    """`SettingsRepository` with bulk access, walking as `get_all` lists."""

    async def page(
        self, *, limit: int = 100, after: str | None = None, **filters: Unpack[SettingFilters]
    ) -> Page[SettingRow]: ...
    def stream(self, **filters: Unpack[SettingFilters]) -> AsyncIterator[SettingRow]: ...


@runtime_checkable
class ArtifactStore(plain.ArtifactRepository, KeyedStore[Artifact], Protocol):
    """`ArtifactRepository` with bulk access, walking as `list_artifacts` lists."""

    async def page(
        self, *, limit: int = 100, after: str | None = None, **filters: Unpack[ArtifactFilters]
    ) -> Page[Artifact]: ...
    def stream(self, **filters: Unpack[ArtifactFilters]) -> AsyncIterator[Artifact]: ...


@runtime_checkable
class ProjectStore(plain.ProjectRepository, KeyedStore[Project], Protocol):
    """`ProjectRepository` with bulk access, walking as `list_projects` lists."""

    async def page(
        self, *, limit: int = 100, after: str | None = None, **filters: Unpack[ProjectFilters]
    ) -> Page[Project]: ...
    def stream(self, **filters: Unpack[ProjectFilters]) -> AsyncIterator[Project]: ...


@runtime_checkable
class PersonalityPresetStore(
    plain.PersonalityPresetRepository, KeyedStore[PresetListRow], Protocol
):
    """`PersonalityPresetRepository` with bulk access, walking as `list_all` lists."""


@runtime_checkable
class WorkflowDefinitionStore(
    plain.WorkflowDefinitionRepository, KeyedStore[WorkflowDefinition], Protocol
):
    """`WorkflowDefinitionRepository` with bulk access, walking as `list_definitions` lists."""

    async def page(
        self, *, limit: int = 100, after: str | None = None, **filters: Unpack[DefinitionFilters]
    ) -> Page[WorkflowDefinition]: ...
    def stream(self, **filters: Unpack[DefinitionFilters]) -> AsyncIterator[WorkflowDefinition]: ...


@runtime_checkable
class WorkflowExecutionStore(
    plain.WorkflowExecutionRepository, KeyedStore[WorkflowExecution], Protocol
):
    """`WorkflowExecutionRepository` with bulk access, walking as `list_by_definition` lists."""

    async def page(
        self, *, limit: int = 100, after: str | None = None, **filters: Unpack[ExecutionFilters]
    ) -> Page[WorkflowExecution]: ...
    def stream(self, **filters: Unpack[ExecutionFilters]) -> AsyncIterator[WorkflowExecution]: ...


spell_out_filters([*vars(plain).values(), *globals().values()])
