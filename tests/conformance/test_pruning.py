"""Pruning: what a policy does not keep is gone, all else is as it was, and sums are, too."""

import asyncio
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from synthorg.entities import TaskStatus
from synthorg.persistence import PersistenceBackend, QueryError, UsageError
from synthorg.persistence.retention import RetentionPolicy, prune
from synthorg.persistence.sql.pruning.kinds import PRUNABLE
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import (
    AGENT_STATES,
    CHECKPOINTS,
    COLLABORATION_METRICS,
    COST_RECORDS,
    EXECUTIONS,
    HEARTBEATS,
    LIFECYCLE_EVENTS,
    MESSAGES,
    PARKED_CONTEXTS,
    TASK_METRICS,
    TASKS,
)
from synthorg.persistence.transactions import TransactionalBackend, UnitOfWork
from tests.conformance.test_totals import examples

if TYPE_CHECKING:
    from synthorg.persistence.sql.backend import SQLPersistenceBackend
    from synthorg.persistence.totals import CostGroup

NOW: Final = datetime.now(UTC)
OLD: Final = NOW - timedelta(days=100)
DAY: Final = timedelta(days=1)

BY_TIME: Final[dict[str, tuple[Kind, dict[str, object]]]] = {
    "messages": (MESSAGES, {}),
    "lifecycle_events": (LIFECYCLE_EVENTS, {}),
    "collaboration_metrics": (COLLABORATION_METRICS, {}),
    "task_metrics": (TASK_METRICS, {"started_at": None}),
    "parked_contexts": (PARKED_CONTEXTS, {}),
    "heartbeats": (HEARTBEATS, {}),
    "checkpoints": (CHECKPOINTS, {"execution_id": "ended"}),
    "workflow_executions": (EXECUTIONS, {"status": "completed", "error": None}),
    "cost_records": (COST_RECORDS, {}),
}


def policy(**rules: Any) -> RetentionPolicy:
    """Make a policy in few words."""
    return RetentionPolicy.of(rules)


async def count(backend: TransactionalBackend, name: str) -> int:
    """Count the records of a kind."""
    async with backend.get_db().connect() as connection:
        found = await connection.execute(select(func.count()).select_from(PRUNABLE[name].table))
        return int(found.scalar_one())


async def page_count(backend: TransactionalBackend) -> int:
    """Count the pages of a SQLite file."""
    async with backend.get_db().connect() as connection:
        return int((await connection.exec_driver_sql("PRAGMA page_count")).scalar_one())


async def save_messages(backend: TransactionalBackend, ages: Sequence[int]) -> None:
    """Save a message for each age in days."""
    await backend.messages.save_many(
        MESSAGES.make(
            id=MESSAGES.key_for(f"{number}"), timestamp=NOW - DAY * age, content=f"age {age}"
        )
        for number, age in enumerate(ages)
    )


async def ages_left(backend: TransactionalBackend) -> list[int]:
    """List the ages of the messages that are left, in order."""
    left = await backend.messages.get_history(MESSAGES.example.channel)
    return sorted(int(message.content.removeprefix("age ")) for message in left)


def test_every_kind_that_has_a_time_has_an_example() -> None:
    assert {*BY_TIME, "tasks", "audit_entries"} == {*PRUNABLE}  # these have tests of their own


@pytest.mark.parametrize("name", BY_TIME)
async def test_what_is_older_than_its_kind_is_kept_is_removed(
    backend: TransactionalBackend, name: str
) -> None:
    kind, fields = BY_TIME[name]
    time = PRUNABLE[name].time
    assert time is not None
    for number, moment in enumerate((OLD, OLD + DAY, NOW)):
        keys = {} if name == "cost_records" else {kind.key[-1]: kind.key_for(f"{number}")}
        await kind.store(backend, kind.make(**{**fields, **keys, time.name: moment}))

    expected = [(name, 2, 0)]
    report = await prune(backend, policy(**{name: {"max_age": "90d"}}))

    assert [(each.name, each.removed, each.remaining) for each in report.kinds] == expected
    assert await count(backend, name) == 1


@examples
@given(
    ages=st.lists(st.integers(0, 30), max_size=12),
    kept=st.integers(0, 12),
    max_age=st.none() | st.integers(0, 30),
)
async def test_what_is_left_is_what_the_policy_keeps(
    backend: TransactionalBackend, ages: list[int], kept: int, max_age: int | None
) -> None:
    await prune(backend, policy(messages={"newest": 0}), everything=True)
    await save_messages(backend, ages)
    rules: dict[str, object] = {"newest": kept}
    if max_age is not None:
        rules = {"max_age": max(timedelta(days=max_age, hours=-1), timedelta(0))}

    dry = await prune(backend, policy(messages=rules), dry_run=True)
    assert await ages_left(backend) == sorted(ages)
    report = await prune(backend, policy(messages=rules), everything=True)

    left = sorted(ages)[:kept]
    if max_age is not None:
        left = [age for age in ages if age < max_age]
    assert await ages_left(backend) == sorted(left)
    assert dry.remaining == report.removed == len(ages) - len(left)
    assert report.remaining == 0


async def test_ended_tasks_go_with_what_hangs_on_them_and_others_stay(
    backend: TransactionalBackend,
) -> None:
    statuses = {
        "ended": TaskStatus.COMPLETED,
        "lately": TaskStatus.COMPLETED,
        "running": TaskStatus.IN_PROGRESS,
        "unknown": TaskStatus.COMPLETED,
    }
    for id_, status in statuses.items():
        await backend.tasks.save(TASKS.make(id=id_, status=status, parent_task_id=None))
        await backend.checkpoints.save(CHECKPOINTS.make(id=id_, task_id=id_, execution_id=id_))
        await backend.parked_contexts.save(PARKED_CONTEXTS.make(id=id_, task_id=id_))
        await backend.cost_records.save(COST_RECORDS.make(task_id=id_))
    for id_, moment in (("ended", OLD), ("lately", OLD), ("lately", NOW), ("running", OLD)):
        metric = TASK_METRICS.make(task_id=id_, started_at=None, completed_at=moment)
        await backend.task_metrics.save(TASK_METRICS.fresh(metric))

    await prune(backend, policy(tasks={"max_age": "90d"}))

    left = {"lately", "running", "unknown"}
    assert {task.id for task in await backend.tasks.list_tasks()} == left
    assert await backend.checkpoints.get_latest(task_id="ended") is None
    for name in ("checkpoints", "parked_contexts"):
        assert await count(backend, name) == len(left)
    assert await count(backend, "cost_records") == len(statuses)


async def test_checkpoints_of_executions_that_may_go_on_stay(
    backend: TransactionalBackend,
) -> None:
    for execution in ("beating", "active", "parked", "ended"):
        await backend.checkpoints.save(
            CHECKPOINTS.make(id=execution, execution_id=execution, created_at=OLD)
        )
    await backend.heartbeats.save(HEARTBEATS.make(execution_id="beating"))
    await backend.agent_states.save(AGENT_STATES.make(execution_id="active"))
    await backend.parked_contexts.save(PARKED_CONTEXTS.make(execution_id="parked"))

    report = await prune(backend, policy(checkpoints={"max_age": "90d"}))

    assert report.removed == 1
    assert await backend.checkpoints.get_latest(execution_id="ended") is None


async def test_costs_that_are_pruned_go_on_counting(backend: TransactionalBackend) -> None:
    costs = [
        COST_RECORDS.make(timestamp=OLD + DAY * number, agent_id=f"agent-{number % 3}")
        for number in range(100)
    ]
    await backend.cost_records.save_many(costs)
    groups: tuple[CostGroup, ...] = (
        "agent_id",
        "day",
        "task_id",
        "project",
        "provider",
        "model",
        "call_category",
    )
    before = [await backend.cost_records.totals([group]) for group in groups]

    report = await prune(backend, policy(cost_records={"newest": 10}))

    assert 85 <= report.removed <= 90  # of whole days
    after = [await backend.cost_records.totals([group]) for group in groups]
    for one, other in zip(before, after, strict=True):
        for total, same in zip(one, other, strict=True):
            assert total.cost_usd == pytest.approx(same.cost_usd, rel=1e-9)
            assert total.records == same.records


async def test_all_records_of_a_kind_are_removed_only_by_who_says_so(
    backend: TransactionalBackend,
) -> None:
    await save_messages(backend, [50, 60])
    with pytest.raises(UsageError, match="would remove all 2 records of messages"):
        await prune(backend, policy(messages={"max_age": "1d"}))
    assert await count(backend, "messages") == 2
    assert (await prune(backend, policy(messages={"max_age": "1d"}), everything=True)).removed == 2


async def test_what_is_out_of_time_says_what_remains_and_is_gone_on_with(
    backend: TransactionalBackend,
) -> None:
    await save_messages(backend, [100] * 350 + [0])
    rules = policy(messages={"max_age": "90d"})

    report = await prune(backend, rules, budget=timedelta(0))
    assert (report.removed, report.remaining) == (0, 350)
    told: list[tuple[str, int, int]] = []
    first = await prune(
        backend, rules, budget=timedelta(seconds=1e-6), progress=lambda *each: told.append(each)
    )
    second = await prune(backend, rules)

    assert first.removed + first.remaining == 350
    assert second.removed == first.remaining
    assert await ages_left(backend) == [0]


async def test_the_space_of_what_was_removed_is_given_back(
    backend: TransactionalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    await backend.messages.save_many(
        MESSAGES.make(id=MESSAGES.key_for(f"{n}"), timestamp=OLD, content="x" * 5_000)
        for n in range(300)
    )
    rules = policy(messages={"max_age": "90d"})
    dialect = cast("SQLPersistenceBackend", backend).database_for("a test").dialect
    if dialect.place is None:
        with pytest.raises(UsageError, match="cannot compact"):
            await prune(backend, rules, everything=True, compact=True)
        return
    pages = 0 if dialect.file is None else await page_count(backend)

    await prune(backend, rules, everything=True, compact=True)

    assert await count(backend, "messages") == 0
    if dialect.file is None:
        return
    assert await page_count(backend) < pages / 2
    usage = shutil.disk_usage(dialect.file.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=4096))
    with pytest.raises(QueryError, match="nothing was changed"):
        await prune(backend, rules, compact=True)


async def test_a_call_that_is_cancelled_has_removed_whole_batches(
    backend: TransactionalBackend,
) -> None:
    await save_messages(backend, [100] * 900 + [0])
    rules = policy(messages={"max_age": "90d"})
    under_way = asyncio.Event()

    def tell(_name: str, removed: int, _total: int) -> None:
        if removed:
            under_way.set()

    task = asyncio.create_task(prune(backend, rules, progress=tell))
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    left = await count(backend, "messages")
    assert 0 < left < 901
    assert (await prune(backend, rules)).removed == left - 1


async def test_several_may_prune_at_once_beside_who_saves(backend: TransactionalBackend) -> None:
    costs = [COST_RECORDS.make(timestamp=OLD, cost_usd=1.0) for _ in range(600)]
    await backend.cost_records.save_many(costs)
    rules = policy(cost_records={"max_age": "90d"})

    async def save() -> None:
        for _ in range(50):

            async def work(unit: UnitOfWork) -> None:
                await unit.cost_records.save(COST_RECORDS.make(timestamp=NOW, cost_usd=1.0))

            await backend.run_in_transaction(work)

    await backend.cost_records.save(COST_RECORDS.make(timestamp=NOW, cost_usd=1.0))
    one, other, _ = await asyncio.gather(prune(backend, rules), prune(backend, rules), save())

    assert one.removed + other.removed == 600
    assert await count(backend, "cost_records") == 51
    assert await backend.cost_records.aggregate() == pytest.approx(651.0)


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ({"users": {"max_age": "1d"}}, "cannot prune users; what can be pruned is messages, "),
        ({"messages": {"max_age": "1d", "newest": 3}}, "give either max_age or newest"),
        ({"messages": {}}, "wrong about messages: .*give either max_age or newest"),
        ({"messages": {"max_age": "soon"}}, "wrong about messages: max_age"),
        ({"messages": {"age": "1d"}}, "wrong about messages: age"),
        ({"messages": {"newest": -1}}, "wrong about messages: newest"),
        ({"messages": {"max_age": "1d", "time": "at"}}, "cannot prune messages by at"),
        ({"tasks": {"newest": 3}}, "cannot keep the newest tasks: they have no time"),
    ],
)
async def test_a_policy_that_makes_no_sense_is_refused(
    backend: TransactionalBackend, rules: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        await prune(backend, policy(**rules))


async def test_what_is_no_backend_of_this_library_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot prune a str"):
        await prune(cast("PersistenceBackend", "sqlite"), policy())


def test_a_policy_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('[messages]\nmax_age = "2w"\n\n[lifecycle_events]\nnewest = 5\n')
    found = RetentionPolicy.from_toml(file)
    assert found.rules["messages"].max_age == timedelta(weeks=2)
    assert found.rules["lifecycle_events"].newest == 5
    file.write_text("[messages\n")
    with pytest.raises(UsageError, match="cannot read the policy"):
        RetentionPolicy.from_toml(file)
    with pytest.raises(UsageError, match="cannot read the policy"):
        RetentionPolicy.from_toml(tmp_path / "missing.toml")
