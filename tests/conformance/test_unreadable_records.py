"""A stored record that cannot be read is named by lists, or left out where so configured."""

import logging
import pickle
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, cast

import pytest
import pytest_asyncio
from sqlalchemy import update

from synthorg.entities import LLMCallCategory, TaskStatus
from synthorg.persistence import QueryError, UnreadableRecordError
from synthorg.persistence.sql import tables
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import (
    AGENT_STATES,
    ARTIFACTS,
    AUDIT_ENTRIES,
    CHECKPOINTS,
    COST_RECORDS,
    DEFINITIONS,
    EXECUTIONS,
    LATER,
    LIFECYCLE_EVENTS,
    MESSAGES,
    MOMENT,
    PARKED_CONTEXTS,
    PROJECTS,
    TASK_METRICS,
    TASKS,
    USERS,
)
from synthorg.persistence.transactions import TransactionalBackend
from tests.conformance.damage import NONSENSE, check_discretion, store_damaged
from tests.conformance.lending import Lender, SkippingLoan
from tests.servers.base import Server


@pytest_asyncio.fixture(loop_scope="session")
async def skipping(server: Server, lender: Lender) -> AsyncIterator[TransactionalBackend]:
    """A backend whose lists leave out what cannot be read."""
    async with lender.lend(server, SkippingLoan) as backend:
        yield cast("TransactionalBackend", backend)


NEWER: Final = {
    TASKS: "priority",
    COST_RECORDS: "call_category",
    MESSAGES: "priority",
    LIFECYCLE_EVENTS: "event_type",
    TASK_METRICS: "complexity",
    PARKED_CONTEXTS: "context_json",
    AUDIT_ENTRIES: "verdict",
    USERS: "role",
    AGENT_STATES: "status",
    ARTIFACTS: "type",
    PROJECTS: "status",
    DEFINITIONS: "nodes",
    EXECUTIONS: "node_executions",
}
"""By kind: a field in which a newer release may have written what this one does not know."""

every_kind = pytest.mark.parametrize("kind", NEWER, ids=str)


def required(kind: Kind) -> list[Any]:
    """Give what the list of a kind cannot do without."""
    return {
        MESSAGES: [MESSAGES.example.channel],
        PARKED_CONTEXTS: [PARKED_CONTEXTS.example.agent_id],
    }.get(kind, [])


async def fill(backend: TransactionalBackend, kind: Kind, layout: str) -> list[Any]:
    """Store records in the order of their keys, some of which cannot be read, and give the others.

    Args:
        backend: Where.
        kind: Of which kind.
        layout: A character for each: "x" for one that cannot be read.
    """
    pattern = kind.altered(kind.keyed("pattern"), **READABLE.get(kind, {}))
    await kind.store(backend, pattern)
    good = []
    for place, character in enumerate(layout):
        record = kind.altered(kind.keyed(f"{place:03}"), **READABLE.get(kind, {}))
        if character == "x":
            await store_damaged(backend, kind, record, **{NEWER[kind]: NONSENSE})
        else:
            await kind.store(backend, record)
            good.append(record)
    return [*good, pattern]


READABLE: Final[dict[Kind, dict[str, object]]] = {
    EXECUTIONS: {"status": "running", "completed_at": None, "error": None},
}
"""What a record must have to be copied, where a rule of the database stands in the way."""


def in_any_order(records: Iterable[Any]) -> list[str]:
    """Write records out, so that a list of them compares whatever its order."""
    return sorted(record.model_dump_json() for record in records)


@every_kind
async def test_a_list_names_the_record_that_cannot_be_read(
    backend: TransactionalBackend, kind: Kind
) -> None:
    await fill(backend, kind, "ox")
    repository = getattr(backend, kind.repository)

    async def stream() -> None:
        async for _ in repository.stream(*required(kind)):
            pass

    for walk in (lambda: repository.page(*required(kind)), stream):
        with pytest.raises(UnreadableRecordError) as report:
            await walk()
        error = pickle.loads(pickle.dumps(report.value))
        assert error.table == kind.repository
        assert NEWER[kind] in error.reason
        assert error.reason in str(error)
        if kind is not COST_RECORDS:  # which has no key of its own
            assert error.key == {kind.key[0]: str(kind.identity(kind.keyed("001"))[0])}
        assert all(str(value) in str(error) for value in error.key.values())
        check_discretion(report.value)


@every_kind
async def test_a_list_leaves_out_what_cannot_be_read_where_so_configured(
    skipping: TransactionalBackend, kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    good = await fill(skipping, kind, "xoxxoox")
    repository: Any = getattr(skipping, kind.repository)
    with caplog.at_level(logging.WARNING, "synthorg.persistence"):
        streamed = [record async for record in repository.stream(*required(kind))]
    left_out = [record.getMessage() for record in caplog.records]
    assert len(left_out) == 4
    assert all(f"read {kind.repository} (" in message for message in left_out)
    assert not any(NONSENSE in message for message in left_out)
    assert {record.__dict__["table"] for record in caplog.records} == {kind.repository}
    assert in_any_order(streamed) == in_any_order(good)
    assert (await repository.page(*required(kind))).items == tuple(streamed)
    async with skipping.transaction() as unit:
        inside = getattr(unit, kind.repository)
        assert [record async for record in inside.stream(*required(kind))] == streamed


@every_kind
@pytest.mark.parametrize("layout", ["xxxxo", "oxxxxo", "xoxoxo", "oooo", "ooxxxx", "xxxx"])
async def test_pages_are_full_and_go_on_past_what_cannot_be_read(
    skipping: TransactionalBackend, kind: Kind, layout: str
) -> None:
    good = await fill(skipping, kind, layout)
    repository: Any = getattr(skipping, kind.repository)
    for limit in (1, 2, 3):
        found: list[Any] = []
        page = await repository.page(*required(kind), limit=limit)
        while page.next_cursor is not None:
            assert len(page.items) == limit
            found += page.items
            page = await repository.page(*required(kind), limit=limit, after=page.next_cursor)
        found += page.items
        assert in_any_order(found) == in_any_order(good)


async def test_a_list_with_a_limit_has_as_many_as_there_are(
    skipping: TransactionalBackend,
) -> None:
    good = {entry.id for entry in await fill(skipping, AUDIT_ENTRIES, "xxoxxoxx")}
    for limit in range(1, 5):
        listed = await skipping.audit_entries.query(limit=limit)
        assert len(listed) == min(limit, len(good))
        assert {entry.id for entry in listed} <= good


async def test_many_records_are_read_without_those_that_cannot_be(
    skipping: TransactionalBackend,
) -> None:
    good = await fill(skipping, TASKS, "xo")
    assert await skipping.tasks.get_many(["000", "001"]) == {"001": good[0]}


async def test_one_record_that_is_asked_for_is_never_left_out(
    skipping: TransactionalBackend,
) -> None:
    """Since nothing at all would be found in its place."""
    await fill(skipping, TASKS, "x")
    with pytest.raises(UnreadableRecordError, match=r"tasks \(id='000'\): .*\bpriority must "):
        await skipping.tasks.get("000")
    await fill(skipping, PARKED_CONTEXTS, "x")
    with pytest.raises(UnreadableRecordError, match=r"parked_contexts \(id='000'\)"):
        await skipping.parked_contexts.get_by_approval("000")
    earlier = CHECKPOINTS.make(execution_id="e", turn_number=1)
    latest = CHECKPOINTS.make(id="latest", execution_id="e", turn_number=2)
    await CHECKPOINTS.store(skipping, earlier, latest)
    async with skipping.get_db().begin() as connection:
        nonsense = update(tables.checkpoints).values(context_json=NONSENSE)
        await connection.execute(nonsense.where(tables.checkpoints.c.id == "latest"))
    with pytest.raises(UnreadableRecordError, match=r"checkpoints \(id='latest'\)"):
        await skipping.checkpoints.get_latest(execution_id="e")


async def store_newer(backend: TransactionalBackend) -> None:
    """Store tasks and costs with a member each that this version does not know."""
    await TASKS.store(backend, TASKS.make(id="1"), TASKS.make(id="2"), TASKS.make(id="3"))
    await COST_RECORDS.store(
        backend,
        COST_RECORDS.make(agent_id="1", timestamp=MOMENT),
        COST_RECORDS.make(agent_id="2", timestamp=LATER),
    )
    tasks, costs = tables.tasks, tables.cost_records
    async with backend.get_db().begin() as connection:
        await connection.execute(update(tasks).where(tasks.c.id == "2").values(status=NONSENSE))
        await connection.execute(
            update(costs).where(costs.c.agent_id == "2").values(call_category=NONSENSE)
        )


async def test_a_count_or_a_sum_names_the_field_that_cannot_be_read(
    backend: TransactionalBackend,
) -> None:
    await store_newer(backend)
    for call, name in (
        (backend.tasks.count_by_status, r"read tasks: .*\bstatus must "),
        (
            lambda: backend.cost_records.totals(["day", "call_category"]),
            r"read cost_records: .*\bcall_category must ",
        ),
    ):
        with pytest.raises(QueryError, match=name) as report:
            await call()
        check_discretion(report.value)
        assert isinstance(report.value, UnreadableRecordError)
        assert report.value.key == {}


async def test_a_count_or_a_sum_leaves_out_what_cannot_be_read_where_so_configured(
    skipping: TransactionalBackend,
) -> None:
    await store_newer(skipping)
    assert await skipping.tasks.count_by_status() == {TaskStatus.BLOCKED: 2}
    (total,) = await skipping.cost_records.totals(["call_category"])
    assert (total.call_category, total.records) == (LLMCallCategory.COORDINATION, 1)
