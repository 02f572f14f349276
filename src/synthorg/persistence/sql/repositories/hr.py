"""People: lifecycle events, task metrics and collaboration metrics."""

from typing_extensions import Unpack

from synthorg.entities import AgentLifecycleEvent, CollaborationMetricRecord, TaskMetricRecord
from synthorg.persistence.repositories import EventFilters, MetricFilters
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import NumberedRepository
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.sql.tables import NUMBER
from synthorg.persistence.stores import (
    CollaborationMetricStore,
    LifecycleEventStore,
    TaskMetricStore,
)


class SQLLifecycleEventRepository(NumberedRepository[AgentLifecycleEvent], LifecycleEventStore):
    """`LifecycleEventRepository` on SQL."""

    table = tables.lifecycle_events
    record = AgentLifecycleEvent

    listing = ListQuery(
        table,
        record,
        order_by=("timestamp", NUMBER),
        descending=True,
        filters=EventFilters,
        time="timestamp",
    )

    async def save(self, event: AgentLifecycleEvent) -> None:
        await self._save(event)

    async def list_events(
        self, *, limit: int | None = None, **filters: Unpack[EventFilters]
    ) -> tuple[AgentLifecycleEvent, ...]:
        return await self._list(self.listing, filters, limit=limit)


class SQLTaskMetricRepository(NumberedRepository[TaskMetricRecord], TaskMetricStore):
    """`TaskMetricRepository` on SQL."""

    table = tables.task_metrics
    record = TaskMetricRecord

    listing = ListQuery(
        table,
        record,
        order_by=("completed_at", NUMBER),
        descending=True,
        filters=MetricFilters,
        time="completed_at",
    )

    async def save(self, record: TaskMetricRecord) -> None:
        await self._save(record)

    async def query(self, **filters: Unpack[MetricFilters]) -> tuple[TaskMetricRecord, ...]:
        return await self._list(self.listing, filters)


class SQLCollaborationMetricRepository(
    NumberedRepository[CollaborationMetricRecord], CollaborationMetricStore
):
    """`CollaborationMetricRepository` on SQL."""

    table = tables.collaboration_metrics
    record = CollaborationMetricRecord

    listing = ListQuery(
        table,
        record,
        order_by=("recorded_at", NUMBER),
        descending=True,
        filters=MetricFilters,
        time="recorded_at",
    )

    async def save(self, record: CollaborationMetricRecord) -> None:
        await self._save(record)

    async def query(
        self, **filters: Unpack[MetricFilters]
    ) -> tuple[CollaborationMetricRecord, ...]:
        return await self._list(self.listing, filters)
