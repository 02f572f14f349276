"""People: lifecycle events, task metrics and collaboration metrics."""

from pydantic import AwareDatetime

from synthorg.entities import (
    AgentLifecycleEvent,
    CollaborationMetricRecord,
    LifecycleEventType,
    NotBlankStr,
    TaskMetricRecord,
)
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import AppendOnlyRepository
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.stores import (
    CollaborationMetricStore,
    LifecycleEventStore,
    TaskMetricStore,
)


class SQLLifecycleEventRepository(AppendOnlyRepository[AgentLifecycleEvent], LifecycleEventStore):
    """`LifecycleEventRepository` on SQL."""

    table = tables.lifecycle_events
    record = AgentLifecycleEvent

    listing = ListQuery(
        table,
        record,
        order_by=("timestamp", "id"),
        descending=True,
        filters=("agent_id", "event_type"),
        time="timestamp",
    )

    async def save(self, event: AgentLifecycleEvent) -> None:
        await self._save(event)

    async def list_events(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        event_type: LifecycleEventType | None = None,
        since: AwareDatetime | None = None,
        limit: int | None = None,
    ) -> tuple[AgentLifecycleEvent, ...]:
        return await self._list(
            self.listing, agent_id=agent_id, event_type=event_type, since=since, limit=limit
        )


class SQLTaskMetricRepository(AppendOnlyRepository[TaskMetricRecord], TaskMetricStore):
    """`TaskMetricRepository` on SQL."""

    table = tables.task_metrics
    record = TaskMetricRecord

    listing = ListQuery(
        table,
        record,
        order_by=("completed_at", "id"),
        descending=True,
        filters=("agent_id",),
        time="completed_at",
    )

    async def save(self, record: TaskMetricRecord) -> None:
        await self._save(record)

    async def query(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
    ) -> tuple[TaskMetricRecord, ...]:
        return await self._list(self.listing, agent_id=agent_id, since=since, until=until)


class SQLCollaborationMetricRepository(
    AppendOnlyRepository[CollaborationMetricRecord], CollaborationMetricStore
):
    """`CollaborationMetricRepository` on SQL."""

    table = tables.collaboration_metrics
    record = CollaborationMetricRecord

    listing = ListQuery(
        table,
        record,
        order_by=("recorded_at", "id"),
        descending=True,
        filters=("agent_id",),
        time="recorded_at",
    )

    async def save(self, record: CollaborationMetricRecord) -> None:
        await self._save(record)

    async def query(
        self, *, agent_id: NotBlankStr | None = None, since: AwareDatetime | None = None
    ) -> tuple[CollaborationMetricRecord, ...]:
        return await self._list(self.listing, agent_id=agent_id, since=since)
