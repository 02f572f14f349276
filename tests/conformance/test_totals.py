"""Totals: what the database adds up is what Python adds up."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta, timezone
from itertools import combinations, permutations
from math import fsum, isclose
from typing import Any, Final, get_args

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from synthorg.entities import CostRecord, LLMCallCategory, TaskStatus
from synthorg.entities.base import LARGEST_INTEGER
from synthorg.persistence import QueryError
from synthorg.persistence.sql import tables
from synthorg.persistence.testing.awkward import FIRST_TIME_ROUND, SECOND_TIME_ROUND, TIMES
from synthorg.persistence.testing.kinds import COST_RECORDS, LATER, MOMENT, TASKS
from synthorg.persistence.totals import CostGroup, CostTotal
from synthorg.persistence.transactions import TransactionalBackend

GROUPS: Final[tuple[CostGroup, ...]] = get_args(CostGroup)

PRECISION: Final = 1e-9

NAMES: Final = ("bob", "Bob", "bob ", "b\u00f6b")

PROJECTS: Final = {"task-1": "website", "task-2": "shop", "task-3": "Website"}

TASK_IDS: Final = (*PROJECTS, "TASK-1", "task-1 ", "unknown")

MIDNIGHT: Final = datetime(2024, 3, 1, tzinfo=UTC)

MOMENTS: Final = st.one_of(
    st.sampled_from(TIMES),
    st.builds(
        lambda seconds, minutes: (MIDNIGHT + timedelta(microseconds=seconds)).astimezone(
            timezone(timedelta(minutes=minutes))
        ),
        st.integers(-3, 3) | st.integers(-(10**12), 10**12),
        st.sampled_from((0, 330, -720, 840, -1439, 1439)),
    ),
)

COUNTS: Final = st.integers(1, 10**12)

COSTS: Final = st.builds(
    CostRecord,
    agent_id=st.sampled_from(NAMES),
    task_id=st.sampled_from(TASK_IDS),
    provider=st.sampled_from(NAMES),
    model=st.sampled_from(NAMES),
    input_tokens=COUNTS,
    output_tokens=COUNTS,
    cost_usd=st.floats(0, 1e-300) | st.floats(0, 1e6),
    timestamp=MOMENTS,
    call_category=st.none() | st.sampled_from(LLMCallCategory),
)


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    """Choose any of the filters."""
    since, until = draw(st.none() | MOMENTS), draw(st.none() | MOMENTS)
    if since is not None and until is not None:
        since, until = sorted((since, until), key=lambda time: time.astimezone(UTC))
    return {
        "agent_id": draw(st.none() | st.sampled_from(NAMES)),
        "task_id": draw(st.none() | st.sampled_from(TASK_IDS)),
        "since": since,
        "until": until,
    }


examples = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


async def refill(backend: TransactionalBackend, records: Sequence[CostRecord]) -> None:
    """Replace all costs, which the library itself never does."""
    async with backend.get_db().begin() as connection:
        await connection.execute(delete(tables.cost_records))
    await backend.cost_records.save_many(records)
    await backend.tasks.save_many(
        TASKS.make(id=id_, project=project) for id_, project in PROJECTS.items()
    )


def narrowed(records: Sequence[CostRecord], given: Mapping[str, Any]) -> list[CostRecord]:
    """Apply the filters."""
    return [
        record
        for record in records
        if given.get("agent_id") in (None, record.agent_id)
        and given.get("task_id") in (None, record.task_id)
        and (given.get("since") is None or record.timestamp >= given["since"].astimezone(UTC))
        and (given.get("until") is None or record.timestamp <= given["until"].astimezone(UTC))
    ]


def group_of(record: CostRecord, group: str) -> str | None:
    """Tell what a cost belongs to."""
    if group == "project":
        return PROJECTS.get(record.task_id)
    if group == "day":
        return record.timestamp.astimezone(UTC).date().isoformat()
    value: str | None = getattr(record, group)
    return value


def totals(records: Sequence[CostRecord], by: Sequence[str]) -> Iterator[CostTotal]:
    """Add up."""
    members: dict[tuple[str | None, ...], list[CostRecord]] = {}
    for record in records:
        members.setdefault(tuple(group_of(record, group) for group in by), []).append(record)
    for key in sorted(members, key=lambda key: [(value is None, value) for value in key]):
        group = members[key]
        yield CostTotal(
            **dict(zip(by, key, strict=True)),  # type: ignore[arg-type]
            cost_usd=fsum(record.cost_usd for record in group),
            input_tokens=sum(record.input_tokens for record in group),
            output_tokens=sum(record.output_tokens for record in group),
            records=len(group),
        )


def assert_equal(actual: Sequence[CostTotal], expected: Sequence[CostTotal]) -> None:
    """Compare totals, the costs as far as sums of floats can be equal."""
    for total, other in zip(actual, expected, strict=True):
        assert {**asdict(total), "cost_usd": 0} == {**asdict(other), "cost_usd": 0}
        assert isclose(total.cost_usd, other.cost_usd, rel_tol=PRECISION, abs_tol=0)
        assert isinstance(total.call_category, LLMCallCategory | None)
        assert [type(value) for value in (total.cost_usd, total.input_tokens)] == [float, int]


@examples
@given(
    records=st.lists(COSTS, max_size=30),
    by=st.lists(st.sampled_from(GROUPS), min_size=1, max_size=4, unique=True),
    given_filters=filters(),
)
async def test_totals_by_any_groups_and_filters_are_what_python_adds_up(
    backend: TransactionalBackend,
    records: list[CostRecord],
    by: list[CostGroup],
    given_filters: dict[str, Any],
) -> None:
    await refill(backend, records)
    chosen = narrowed(records, given_filters)
    assert_equal(await backend.cost_records.totals(by, **given_filters), list(totals(chosen, by)))
    assert isclose(
        await backend.cost_records.aggregate(**given_filters),
        fsum(record.cost_usd for record in chosen),
        rel_tol=PRECISION,
        abs_tol=0,
    )
    assert list(await backend.cost_records.query(**given_filters)) == chosen


async def test_totals_by_each_group_and_each_pair_of_groups_are_right(
    backend: TransactionalBackend,
) -> None:
    records = [
        COST_RECORDS.make(
            agent_id=NAMES[number % 3],
            task_id=TASK_IDS[number % 6],
            provider=NAMES[number % 2],
            model=NAMES[number % 4],
            timestamp=TIMES[number % 9],
            call_category=(None, *LLMCallCategory)[number % 4],
            input_tokens=number,
            cost_usd=number / 7,
        )
        for number in range(100)
    ]
    await refill(backend, records)
    choices = [[group] for group in GROUPS] + [list(pair) for pair in permutations(GROUPS, 2)]
    for by in [*choices, list(GROUPS), *map(list, combinations(GROUPS, 6))]:
        assert_equal(await backend.cost_records.totals(by), list(totals(records, by)))
    async with backend.transaction() as unit:
        assert_equal(await unit.cost_records.totals(["day"]), list(totals(records, ["day"])))
    assert await backend.cost_records.totals(["day", "day"]) == (
        await backend.cost_records.totals(("day",))
    )


async def test_a_day_begins_and_ends_at_midnight_in_utc_wherever_the_cost_was_recorded(
    backend: TransactionalBackend,
) -> None:
    tokyo, hawaii = timezone(timedelta(hours=9)), timezone(timedelta(hours=-10))
    moments = [
        MIDNIGHT - timedelta(microseconds=1),
        (MIDNIGHT - timedelta(microseconds=1)).astimezone(tokyo),  # there it is March already
        MIDNIGHT,
        MIDNIGHT.astimezone(hawaii),  # there it is still February
        MIDNIGHT + timedelta(days=1) - timedelta(microseconds=1),
    ]
    await refill(backend, [COST_RECORDS.make(timestamp=moment) for moment in moments])
    days = await backend.cost_records.totals(["day"])
    assert [(total.day, total.records) for total in days] == [("2024-02-29", 2), ("2024-03-01", 3)]


async def test_ranges_include_both_ends_and_go_by_time_and_not_by_the_clock(
    backend: TransactionalBackend,
) -> None:
    times = [FIRST_TIME_ROUND, SECOND_TIME_ROUND]
    await refill(backend, [COST_RECORDS.make(timestamp=time, cost_usd=1.0) for time in times])
    store = backend.cost_records
    whole: dict[str, Any] = {"since": FIRST_TIME_ROUND, "until": SECOND_TIME_ROUND}
    assert await store.aggregate(**whole) == 2.0
    assert await store.aggregate(since=times[0], until=times[0]) == 1.0
    assert [total.records for total in await store.totals(["model"], **whole)] == [2]
    tiny = timedelta(microseconds=1)
    assert await store.aggregate(since=times[0].astimezone(UTC) + tiny) == 1.0
    assert await store.aggregate(until=times[1].astimezone(UTC) - tiny) == 1.0
    for refused in (
        store.aggregate(since=times[1], until=times[0]),
        store.query(since=times[1], until=times[0]),
        store.totals(["day"], since=LATER, until=MOMENT),
    ):
        with pytest.raises(QueryError, match=r"until must not be before since"):
            await refused


async def test_the_sum_of_many_small_amounts_is_right(backend: TransactionalBackend) -> None:
    amounts = [1e6, *[1e-6] * 3000, 1e6]
    await refill(
        backend,
        [
            COST_RECORDS.make(cost_usd=amount, agent_id=f"{i % 2}")
            for i, amount in enumerate(amounts)
        ],
    )
    assert isclose(await backend.cost_records.aggregate(), fsum(amounts), rel_tol=PRECISION)
    by_agent = await backend.cost_records.totals(["agent_id"])
    assert isclose(sum(total.cost_usd for total in by_agent), fsum(amounts), rel_tol=PRECISION)


async def test_sums_of_tokens_are_exact_beyond_64_bits(backend: TransactionalBackend) -> None:
    counts = [LARGEST_INTEGER, 0, LARGEST_INTEGER, 2**32 - 1, 2**32, 1, LARGEST_INTEGER]
    records = [
        COST_RECORDS.make(input_tokens=count, output_tokens=counts[-1 - place] // 3 + 1)
        for place, count in enumerate(counts)
    ]
    await refill(backend, records)
    assert_equal(await backend.cost_records.totals(["day"]), list(totals(records, ["day"])))


async def test_a_sum_of_costs_that_no_number_holds_is_refused_and_never_a_wrong_number(
    backend: TransactionalBackend,
) -> None:
    largest = 1.7976931348623157e308
    records = [
        COST_RECORDS.make(agent_id=agent_id, cost_usd=cost)
        for agent_id, cost in (("a", largest), ("b", largest), ("c", 5e-324), ("a", 0.0))
    ]
    await refill(backend, records)
    assert await backend.cost_records.aggregate(agent_id="a") == largest
    assert await backend.cost_records.aggregate(agent_id="c") == 5e-324
    assert_equal(
        await backend.cost_records.totals(["agent_id"]), list(totals(records, ["agent_id"]))
    )
    await backend.cost_records.save(records[0])
    for refused in (
        backend.cost_records.aggregate(agent_id="a"),
        backend.cost_records.aggregate(),
        *(backend.cost_records.totals([group]) for group in GROUPS),
    ):
        with pytest.raises(QueryError, match=r"cannot sum cost_records: .*sum is out of range"):
            await refused


@examples
@given(
    statuses=st.lists(
        st.tuples(
            st.sampled_from(TaskStatus), st.sampled_from(NAMES), st.sampled_from((*NAMES, None))
        ),
        max_size=30,
    ),
    project=st.none() | st.sampled_from(NAMES),
    assigned_to=st.none() | st.sampled_from(NAMES),
)
@example(statuses=[], project=None, assigned_to=None)
async def test_tasks_are_counted_by_their_status(
    backend: TransactionalBackend,
    statuses: list[tuple[TaskStatus, str, str | None]],
    project: str | None,
    assigned_to: str | None,
) -> None:
    unassigned = {TaskStatus.CREATED}
    may_be_unassigned = {TaskStatus.BLOCKED, TaskStatus.FAILED, TaskStatus.CANCELLED}
    tasks = [
        TASKS.make(
            id=str(number),
            status=status,
            project=task_project,
            assigned_to=None
            if status in unassigned
            else (assignee if status in may_be_unassigned else assignee or "bob"),
        )
        for number, (status, task_project, assignee) in enumerate(statuses)
    ]
    await backend.tasks.delete_many(task.id for task in await backend.tasks.list_tasks())
    await backend.tasks.save_many(tasks)
    counted = [
        task.status
        for task in tasks
        if project in (None, task.project) and assigned_to in (None, task.assigned_to)
    ]
    counts = await backend.tasks.count_by_status(project=project, assigned_to=assigned_to)
    assert counts == {status: counted.count(status) for status in counted}
    assert all(isinstance(status, TaskStatus) for status in counts)
