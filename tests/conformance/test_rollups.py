"""Roll-ups: whatever is rolled up or pruned, sums are what they were."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from math import fsum, isclose
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from synthorg.entities import CostRecord
from synthorg.entities.base import LARGEST_INTEGER
from synthorg.persistence import PersistenceBackend, QueryError, UsageError
from synthorg.persistence.rollups import roll_up_costs
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.repositories.cost_rollups import roll_up_pruned
from synthorg.persistence.sql.statements.statement import KeysStatement
from synthorg.persistence.testing.awkward import FIRST_TIME_ROUND, SECOND_TIME_ROUND, TIMES
from synthorg.persistence.testing.kinds import COST_RECORDS, MOMENT, TASKS
from synthorg.persistence.totals import CostGroup
from synthorg.persistence.transactions import TransactionalBackend
from tests.conformance.test_totals import (
    COSTS,
    GROUPS,
    MIDNIGHT,
    PRECISION,
    PROJECTS,
    assert_equal,
    examples,
    filters,
    narrowed,
    totals,
)

if TYPE_CHECKING:
    from synthorg.persistence.sql.backend import SQLPersistenceBackend

DAY: Final = timedelta(days=1)
TICK: Final = timedelta(microseconds=1)

DELETION: Final = KeysStatement(
    "delete", tables.cost_records, lambda condition: delete(tables.cost_records).where(condition)
)

DAYS: Final = st.sampled_from(
    (*(MIDNIGHT + DAY * number for number in (-11, -1, 0, 1, 2, 11)), TIMES[0], TIMES[-1])
)


async def empty(backend: TransactionalBackend) -> None:
    """Begin with no costs, which the library itself never does."""
    async with backend.get_db().begin() as connection:
        for table in (tables.cost_records, tables.cost_rollups, tables.cost_rollup_state):
            await connection.execute(delete(table))
    await backend.tasks.save_many(
        TASKS.make(id=id_, project=project) for id_, project in PROJECTS.items()
    )


async def numbers(backend: TransactionalBackend) -> list[int]:
    """Give the numbers of the costs that are there, in the order of recording."""
    async with backend.get_db().connect() as connection:
        number = tables.cost_records.c.sequence_number
        return list((await connection.execute(select(number).order_by(number))).scalars())


async def prune(backend: TransactionalBackend, chosen: Sequence[int]) -> None:
    """Delete costs as pruning does."""

    async def work(executor: Executor) -> None:
        await roll_up_pruned(executor, chosen)
        if chosen:
            await executor.execute(*DELETION.of(chosen))

    database = cast("SQLPersistenceBackend", backend).database_for("a test")
    await database.atomically(work, repeatable=True)


def midnight_of(moment: datetime) -> datetime:
    """Give the beginning of a day in UTC."""
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)


@dataclass
class Expected:
    """What was recorded, and what has become of it."""

    there: dict[int, CostRecord] = field(default_factory=dict)
    everything: list[CostRecord] = field(default_factory=list)
    rolled_up: list[CostRecord] = field(default_factory=list)
    rolled_up_before: datetime = TIMES[0]
    pruned_before: datetime = TIMES[0]

    def add(self, numbers: Sequence[int], records: Sequence[CostRecord]) -> None:
        """Note what was recorded."""
        self.everything += records
        new = [number for number in numbers if number not in self.there]
        self.there |= zip(new, records, strict=True)

    def roll_up(self, before: datetime) -> None:
        """Note what is in the roll-ups, for those of whom some are pruned may be gone."""
        self.rolled_up_before = max(self.rolled_up_before, before)
        there = self.there.values()
        self.rolled_up += [each for each in there if each.timestamp < self.rolled_up_before]

    def prune(self, numbers: Sequence[int]) -> None:
        """Note what is gone."""
        for number in numbers:
            record = self.there.pop(number)
            self.rolled_up.append(record)
            day = midnight_of(record.timestamp)
            self.pruned_before = max(self.pruned_before, day + DAY)

    def refuses(self, given: Mapping[str, Any]) -> bool:
        """Tell whether a limit parts a day of which only sums over the whole day are left."""
        keys = {name: given[name] for name in ("agent_id", "task_id")}
        days = {midnight_of(each.timestamp) for each in narrowed(self.rolled_up, keys)}
        limits = [(given["since"], timedelta(0)), (given["until"], DAY - TICK)]
        return any(
            moment is not None
            and midnight_of(moment) in days
            and midnight_of(moment) < self.pruned_before
            and moment.astimezone(UTC) != midnight_of(moment) + whole
            for moment, whole in limits
        )


@settings(examples, max_examples=25)
@given(
    batches=st.lists(
        st.tuples(st.lists(COSTS, max_size=8), st.none() | DAYS, st.none() | DAYS), max_size=4
    ),
    by=st.lists(st.sampled_from(GROUPS), min_size=1, max_size=4, unique=True),
    given_filters=filters(),
)
async def test_sums_are_what_python_adds_up_whatever_was_rolled_up_and_pruned(
    backend: TransactionalBackend,
    batches: list[tuple[list[CostRecord], datetime | None, datetime | None]],
    by: list[CostGroup],
    given_filters: dict[str, Any],
) -> None:
    await empty(backend)
    expected = Expected()
    for records, rolled_up_before, pruned_before in batches:
        await backend.cost_records.save_many(records)
        expected.add(await numbers(backend), records)
        if rolled_up_before is not None:
            await roll_up_costs(backend, before=rolled_up_before)
            expected.roll_up(midnight_of(rolled_up_before))
        if pruned_before is not None:
            there = expected.there.items()
            chosen = [number for number, each in there if each.timestamp < pruned_before][::2]
            await prune(backend, chosen)
            expected.prune(chosen)
    everything = expected.everything
    assert_equal(await backend.cost_records.totals(by), list(totals(everything, by)))
    if expected.refuses(given_filters):
        for refused in (
            backend.cost_records.totals(by, **given_filters),
            backend.cost_records.aggregate(**given_filters),
        ):
            with pytest.raises(QueryError, match="of which costs were pruned"):
                await refused
        return
    matching = narrowed(everything, given_filters)
    assert_equal(await backend.cost_records.totals(by, **given_filters), list(totals(matching, by)))
    summed = await backend.cost_records.aggregate(**given_filters)
    assert isclose(summed, fsum(each.cost_usd for each in matching), rel_tol=PRECISION, abs_tol=0)


async def test_costs_that_are_recorded_late_are_in_sums_over_days_rolled_up_before(
    backend: TransactionalBackend,
) -> None:
    await empty(backend)
    cost = COST_RECORDS.make(timestamp=MOMENT, cost_usd=1.0)
    await backend.cost_records.save(cost)
    report = await roll_up_costs(backend, before=MOMENT + DAY)
    assert (report.days, report.rolled_up_before) == (1, midnight_of(MOMENT + DAY))
    await backend.cost_records.save(cost)
    assert await backend.cost_records.aggregate() == 2.0
    assert (await roll_up_costs(backend, before=MOMENT)).rolled_up_before > MOMENT
    assert await backend.cost_records.aggregate() == 2.0
    async with backend.get_db().connect() as connection:
        found = await connection.execute(select(tables.cost_rollups.c.records))
        assert found.scalars().all() == [2]
    async with backend.transaction() as work:
        await work.cost_records.save(cost)
        assert await work.cost_records.aggregate() == 3.0
        assert [each.records for each in await work.cost_records.totals(["project"])] == [3]


async def test_a_limit_in_the_hour_that_clocks_show_twice_is_the_moment_that_it_names(
    backend: TransactionalBackend,
) -> None:
    await empty(backend)
    await backend.cost_records.save(COST_RECORDS.make(timestamp=FIRST_TIME_ROUND, cost_usd=1.0))
    await roll_up_costs(backend, before=FIRST_TIME_ROUND + DAY)
    until = SECOND_TIME_ROUND
    assert await backend.cost_records.aggregate(until=until) == 1.0
    assert await backend.cost_records.aggregate(since=until) == 0.0
    assert await backend.cost_records.aggregate(since=FIRST_TIME_ROUND, until=until) == 1.0


async def test_tokens_beyond_64_bits_are_rolled_up_exactly(backend: TransactionalBackend) -> None:
    await empty(backend)
    records = [
        COST_RECORDS.make(input_tokens=count, output_tokens=LARGEST_INTEGER, timestamp=MOMENT)
        for count in (LARGEST_INTEGER, LARGEST_INTEGER, 2**32 - 1, 1)
    ]
    await backend.cost_records.save_many(records)
    await prune(backend, (await numbers(backend))[:1])
    await roll_up_costs(backend)
    await prune(backend, await numbers(backend))
    assert await numbers(backend) == []
    assert_equal(await backend.cost_records.totals(["day"]), list(totals(records, ["day"])))


async def test_costs_of_a_deleted_task_stay_with_its_project_once_they_are_rolled_up(
    backend: TransactionalBackend,
) -> None:
    await empty(backend)
    await backend.cost_records.save(COST_RECORDS.make(task_id="task-1", timestamp=MOMENT))
    await roll_up_costs(backend)
    await backend.tasks.delete("task-1")
    assert [each.project for each in await backend.cost_records.totals(["project"])] == ["website"]


async def test_sums_are_right_while_others_record_roll_up_and_prune(
    backend: TransactionalBackend,
) -> None:
    await empty(backend)
    await backend.cost_records.save(COST_RECORDS.make(timestamp=MOMENT, cost_usd=1.0))
    saved = 1

    async def record() -> None:
        nonlocal saved
        for number in range(149):
            moment = MOMENT + timedelta(hours=number % 60)
            await backend.cost_records.save(COST_RECORDS.make(timestamp=moment, cost_usd=1.0))
            saved += 1

    async def remove() -> None:
        for day in range(1, 4):
            await asyncio.sleep(0.02)
            await roll_up_costs(backend, before=MOMENT + DAY * day)
            await prune(backend, (await numbers(backend))[:20])

    async def look() -> None:
        while saved < 150:
            before = saved
            (total,) = await backend.cost_records.totals(["model"])
            assert before <= total.records <= saved + 1
            assert total.cost_usd == total.records
            assert before <= await backend.cost_records.aggregate() <= saved + 1

    await asyncio.gather(record(), remove(), look())
    assert await backend.cost_records.aggregate() == 150.0


async def test_what_is_no_backend_of_this_library_is_refused(backend: TransactionalBackend) -> None:
    with pytest.raises(UsageError, match="cannot roll up the costs of a str"):
        await roll_up_costs(cast("PersistenceBackend", "sqlite"))
    with pytest.raises(UsageError, match="before must have a time zone"):
        await roll_up_costs(backend, before=datetime(2026, 1, 1))  # noqa: DTZ001
