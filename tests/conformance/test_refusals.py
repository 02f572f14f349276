"""What no database could hold exactly is refused by name, before anything is sent.

That nothing is sent shows on a database without tables, which would refuse it otherwise.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import pytest
from sqlalchemy import BigInteger, Boolean, Double

from synthorg.persistence import PersistenceBackend, QueryError
from synthorg.persistence.sql.types import JsonDocument, LongText, ShortText, UtcDateTime
from synthorg.persistence.testing.awkward import (
    NAIVE_TIME,
    UNSTORABLE_INTEGERS,
    UNSTORABLE_NUMBERS,
    UNSTORABLE_TEXTS,
)
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import MOMENT, kinds
from tests.tables import table_of

MARK: Final = "the-value-itself"
"""A part of the values that must not show up in a message."""

TEXTS: Final = tuple(MARK + text for text in UNSTORABLE_TEXTS)

UNSTORABLE: Final[dict[type[Any], tuple[object, ...]]] = {
    LongText: (*TEXTS, 1),
    JsonDocument: tuple([value] for value in (*TEXTS, *UNSTORABLE_NUMBERS, object())),
    BigInteger: (*UNSTORABLE_INTEGERS, 1.5, MARK),
    Double: (*UNSTORABLE_NUMBERS, MARK),
    UtcDateTime: (NAIVE_TIME, MOMENT.isoformat()),
    Boolean: (1, MARK),
}
"""What no column of a type can hold."""


def unstorable_values(kind: Kind) -> Iterator[tuple[str, object]]:
    """Find values for each field that its column cannot hold."""
    for column in table_of(kind).columns:
        if column.name in kind.fields:
            for value in unstorable_in(column.type):
                yield column.name, value


def unstorable_in(type_: Any) -> tuple[object, ...]:
    """Find values that a column of this type cannot hold."""
    if isinstance(type_, ShortText):
        return (*TEXTS, MARK.ljust(type_.length + 1, "x"), 1)
    return next(values for kind, values in UNSTORABLE.items() if isinstance(type_, kind))


@kinds()
async def test_a_record_that_nobody_validated_is_refused_field_by_field(
    unmigrated: PersistenceBackend, kind: Kind
) -> None:
    for name, value in unstorable_values(kind):
        forged = kind.forged(kind.example, **{name: value})
        refused = rf"save {kind.repository}.*\b{name}[.0-9]* must "
        with pytest.raises(QueryError, match=refused) as refusal:
            await kind.save(unmigrated, forged)
        assert MARK not in str(refusal.value), name


Call = Callable[[PersistenceBackend, Any], Awaitable[object]]

KEY_CALLS: Final[dict[str, Call]] = {
    "tasks.id": lambda backend, key: backend.tasks.get(key),
    "tasks.assigned_to": lambda backend, key: backend.tasks.list_tasks(assigned_to=key),
    "tasks.project": lambda backend, key: backend.tasks.list_tasks(project=key),
    "tasks.status": lambda backend, key: backend.tasks.list_tasks(status=key),
    "cost_records.agent_id": lambda backend, key: backend.cost_records.query(agent_id=key),
    "cost_records.task_id": lambda backend, key: backend.cost_records.aggregate(task_id=key),
    "messages.channel": lambda backend, key: backend.messages.get_history(key),
    "lifecycle_events.agent_id": lambda backend, key: backend.lifecycle_events.list_events(
        agent_id=key
    ),
    "task_metrics.agent_id": lambda backend, key: backend.task_metrics.query(agent_id=key),
    "collaboration_metrics.agent_id": lambda backend, key: backend.collaboration_metrics.query(
        agent_id=key
    ),
    "parked_contexts.id": lambda backend, key: backend.parked_contexts.delete(key),
    "parked_contexts.approval_id": lambda backend, key: backend.parked_contexts.get_by_approval(
        key
    ),
    "parked_contexts.agent_id": lambda backend, key: backend.parked_contexts.get_by_agent(key),
    "audit_entries.agent_id": lambda backend, key: backend.audit_entries.query(agent_id=key),
    "audit_entries.action_type": lambda backend, key: backend.audit_entries.query(action_type=key),
    "users.id": lambda backend, key: backend.users.delete(key),
    "users.username": lambda backend, key: backend.users.get_by_username(key),
    "users.role": lambda backend, key: backend.users.count_by_role(key),
    "api_keys.id": lambda backend, key: backend.api_keys.get(key),
    "api_keys.key_hash": lambda backend, key: backend.api_keys.get_by_hash(key),
    "api_keys.user_id": lambda backend, key: backend.api_keys.list_by_user(key),
    "checkpoints.execution_id": lambda backend, key: backend.checkpoints.delete_by_execution(key),
    "checkpoints.task_id": lambda backend, key: backend.checkpoints.get_latest(task_id=key),
    "heartbeats.execution_id": lambda backend, key: backend.heartbeats.delete(key),
    "agent_states.agent_id": lambda backend, key: backend.agent_states.get(key),
    "settings.namespace": lambda backend, key: backend.settings.delete_namespace(key),
    "settings.key": lambda backend, key: backend.settings.set("budget", key, "1", "now"),
    "settings.updated_at": lambda backend, key: backend.settings.set(
        "budget", "limit", "1", "now", expected_updated_at=key
    ),
    "artifacts.task_id": lambda backend, key: backend.artifacts.list_artifacts(task_id=key),
    "artifacts.created_by": lambda backend, key: backend.artifacts.list_artifacts(created_by=key),
    "projects.lead": lambda backend, key: backend.projects.list_projects(lead=key),
    "custom_presets.name": lambda backend, key: backend.custom_presets.get(key),
    "workflow_definitions.id": lambda backend, key: backend.workflow_definitions.get(key),
    "workflow_executions.definition_id": (
        lambda backend, key: backend.workflow_executions.list_by_definition(key)
    ),
}
"""Calls that take a key or a filter, by the table and the column that it is compared with."""

TIME_CALLS: Final[dict[str, Call]] = {
    "lifecycle_events.since": lambda backend, time: backend.lifecycle_events.list_events(
        since=time
    ),
    "task_metrics.since": lambda backend, time: backend.task_metrics.query(since=time),
    "task_metrics.until": lambda backend, time: backend.task_metrics.query(
        since=MOMENT, until=time
    ),
    "collaboration_metrics.since": lambda backend, time: backend.collaboration_metrics.query(
        since=time
    ),
    "audit_entries.since": lambda backend, time: backend.audit_entries.query(
        since=time, until=MOMENT
    ),
    "audit_entries.until": lambda backend, time: backend.audit_entries.query(until=time),
    "heartbeats.threshold": lambda backend, time: backend.heartbeats.get_stale(time),
}
"""Calls that take a time, by the table and the name of the argument."""


@pytest.mark.parametrize("place", KEY_CALLS)
async def test_a_key_that_no_row_could_have_is_refused(
    unmigrated: PersistenceBackend, place: str
) -> None:
    table, column = place.split(".")
    for key in (*TEXTS, MARK * 255, 1, b"bytes"):
        with pytest.raises(QueryError, match=rf"{table}.*\b{column} must ") as refusal:
            await KEY_CALLS[place](unmigrated, key)
        assert MARK not in str(refusal.value)


@pytest.mark.parametrize("place", TIME_CALLS)
async def test_a_time_without_a_zone_is_refused(unmigrated: PersistenceBackend, place: str) -> None:
    table, argument = place.split(".")
    for time in (NAIVE_TIME, MOMENT.isoformat(), 1709296215):
        with pytest.raises(QueryError, match=rf"{table}.*\b{argument} must "):
            await TIME_CALLS[place](unmigrated, time)


@pytest.mark.parametrize("limit", [2**63, 1.5, "1"])
async def test_a_limit_that_is_no_whole_number_of_64_bits_is_refused(
    unmigrated: PersistenceBackend, limit: Any
) -> None:
    with pytest.raises(QueryError, match=r"messages: limit must "):
        await unmigrated.messages.get_history("general", limit=limit)
    with pytest.raises(QueryError, match=r"audit_entries: limit must "):
        await unmigrated.audit_entries.query(limit=limit)
