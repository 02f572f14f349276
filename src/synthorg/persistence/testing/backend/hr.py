"""What is particular to lifecycle events, task metrics and collaboration metrics."""

from datetime import timedelta

import pytest

from synthorg.entities import LifecycleEventType
from synthorg.persistence import PersistenceBackend
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import (
    COLLABORATION_METRICS,
    LIFECYCLE_EVENTS,
    MOMENT,
    TASK_METRICS,
)

MICROSECOND = timedelta(microseconds=1)


class People:
    """What is particular to lifecycle events, task metrics and collaboration metrics."""

    @pytest.mark.parametrize("event_type", LifecycleEventType)
    async def test_events_of_every_type_are_listed_by_it(
        self, backend: PersistenceBackend, event_type: LifecycleEventType
    ) -> None:
        event = LIFECYCLE_EVENTS.make(event_type=event_type)
        await backend.lifecycle_events.save(event)
        for other in LifecycleEventType:
            listed = await backend.lifecycle_events.list_events(event_type=other)
            assert listed == ((event,) if other is event_type else ())

    @pytest.mark.parametrize(
        ("kind", "method", "field"),
        [
            (LIFECYCLE_EVENTS, "list_events", "timestamp"),
            (TASK_METRICS, "query", "completed_at"),
            (COLLABORATION_METRICS, "query", "recorded_at"),
        ],
    )
    async def test_since_includes_its_own_microsecond(
        self, backend: PersistenceBackend, kind: Kind, method: str, field: str
    ) -> None:
        await kind.store(backend, kind.example)
        listed = getattr(getattr(backend, kind.repository), method)
        assert getattr(kind.example, field) == MOMENT
        assert await listed(since=MOMENT) == (kind.example,)
        assert await listed(since=MOMENT - MICROSECOND) == (kind.example,)
        assert await listed(since=MOMENT + MICROSECOND) == ()

    async def test_until_includes_its_own_microsecond(self, backend: PersistenceBackend) -> None:
        await TASK_METRICS.store(backend, TASK_METRICS.example)
        query = backend.task_metrics.query
        assert await query(until=MOMENT) == (TASK_METRICS.example,)
        assert await query(since=MOMENT, until=MOMENT) == (TASK_METRICS.example,)
        assert await query(until=MOMENT - MICROSECOND) == ()

    async def test_what_was_not_observed_stays_unknown(self, backend: PersistenceBackend) -> None:
        unknown = COLLABORATION_METRICS.make(
            delegation_success=None, conflict_constructiveness=None, interaction_summary=None
        )
        failed = COLLABORATION_METRICS.altered(
            COLLABORATION_METRICS.keyed("failed"),
            delegation_success=False,
            conflict_constructiveness=0.0,
            interaction_summary="None",
        )
        await COLLABORATION_METRICS.store(backend, unknown, failed)
        assert set(await backend.collaboration_metrics.query()) == {unknown, failed}
