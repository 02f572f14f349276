"""Roll-ups follow their tasks: to another project, and beyond their end."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from synthorg.persistence import QueryError, UnitOfWork
from synthorg.persistence.rollups import roll_up_costs
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.repositories.cost_rollups import roll_up_pruned
from synthorg.persistence.testing.kinds import COST_RECORDS, MOMENT, TASKS
from synthorg.persistence.transactions import TransactionalBackend
from tests.conformance.test_rollups import DAY, DELETION, empty, numbers, prune
from tests.conformance.test_totals import examples

if TYPE_CHECKING:
    from synthorg.persistence.sql.backend import SQLPersistenceBackend

TASK_IDS: Final = ("task-1", "task-2")
PROJECTS: Final = ("website", "shop")
BLOCKED_SECONDS: Final = 0.3
"""How long a call is watched that should have to wait for another one."""

Save = Callable[[TransactionalBackend], Coroutine[None, None, object]]


async def record(backend: TransactionalBackend, task_id: str = "task-1") -> None:
    """Record a cost of the same day as all others."""
    cost = COST_RECORDS.make(task_id=task_id, timestamp=MOMENT, cost_usd=1.0)
    await backend.cost_records.save(cost)


async def counts(backend: TransactionalBackend) -> Counter[str | None]:
    """Count the costs of each project."""
    totals = await backend.cost_records.totals(["project"])
    return Counter({each.project: each.records for each in totals})


async def without_tasks(backend: TransactionalBackend) -> None:
    """Begin with neither costs nor tasks."""
    await empty(backend)
    async with backend.get_db().begin() as connection:
        await connection.execute(delete(tables.tasks))


@dataclass
class Expected:
    """A cost, and whether a roll-up stands for it, which knows what its task's project was."""

    task_id: str
    is_rolled_up: bool = False
    began_as: str | None = None
    known: str | None = None

    def roll_up(self, project: str | None, others: Iterable["Expected"]) -> None:
        """Become part of the roll-up that began with this project, and knows the last one."""
        same = (
            each.known
            for each in others
            if each.is_rolled_up and (each.task_id, each.began_as) == (self.task_id, project)
        )
        self.known = next(same, project)
        self.is_rolled_up, self.began_as = True, project


@settings(examples, max_examples=20)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(("record", "roll up", "prune", "delete", *PROJECTS)),
            st.sampled_from(TASK_IDS),
        ),
        min_size=4,
        max_size=16,
    )
)
@example(
    [
        ("record", "task-1"),
        ("roll up", "task-1"),
        ("record", "task-1"),
        ("website", "task-1"),
        ("delete", "task-1"),
        ("roll up", "task-1"),
    ]
)
async def test_costs_count_for_the_project_of_their_task_or_for_the_last_one_known(
    backend: TransactionalBackend, steps: list[tuple[str, str]]
) -> None:
    await without_tasks(backend)
    projects: dict[str, str] = {}
    costs: list[Expected] = []
    for step, id_ in steps:
        if step == "record":
            await record(backend, id_)
            costs.append(Expected(id_))
        elif step == "delete":
            await backend.tasks.delete(id_)
            for cost in costs:
                if cost.is_rolled_up and cost.task_id == id_:
                    cost.known = projects.get(id_, cost.known)
            projects.pop(id_, None)
        elif step in PROJECTS:
            await backend.tasks.save(TASKS.make(id=id_, project=step))
            projects[id_] = step
        else:
            if step == "prune":
                await prune(backend, await numbers(backend))
            else:
                await roll_up_costs(backend, before=MOMENT + DAY)
            for cost in costs:
                if not cost.is_rolled_up:
                    cost.roll_up(projects.get(cost.task_id), costs)
        assert await counts(backend) == Counter(
            projects.get(cost.task_id, cost.known) for cost in costs
        )


async def move_by_itself(backend: TransactionalBackend) -> None:
    """Move a task by a call of its own."""
    await backend.tasks.save(TASKS.make(id="task-1", project="shop"))


async def move_in_a_unit(backend: TransactionalBackend) -> None:
    """Move a task in a unit of work, which sees one state of the database."""

    async def work(unit: UnitOfWork) -> None:
        assert await unit.tasks.get("task-2") is not None
        await unit.tasks.save(TASKS.make(id="task-1", project="shop"))

    await backend.run_in_transaction(work)


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("move", [move_by_itself, move_in_a_unit])
async def test_a_task_that_moves_while_its_costs_are_rolled_up_takes_them_along(
    backend: TransactionalBackend, move: Save, *, is_first: bool
) -> None:
    await empty(backend)
    if not is_first:  # there is a row to lock already
        await record(backend, "task-2")
        await prune(backend, await numbers(backend))
    await record(backend)
    rolled_up, may_end = asyncio.Event(), asyncio.Event()
    (number,) = await numbers(backend)

    async def roll_up(executor: Executor) -> None:
        await roll_up_pruned(executor, [number])
        await executor.execute(*DELETION.of([number]))
        rolled_up.set()
        await may_end.wait()

    database = cast("SQLPersistenceBackend", backend).database_for("a test")
    rolling = asyncio.create_task(database.atomically(roll_up, repeatable=True))
    await rolled_up.wait()
    moving = asyncio.create_task(move(backend))
    await asyncio.wait([moving], timeout=BLOCKED_SECONDS)
    assert not moving.done()
    may_end.set()
    await asyncio.gather(rolling, moving)
    assert (await counts(backend))["shop"] == 1 + (not is_first)


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
async def test_costs_are_rolled_up_after_the_end_of_a_unit_that_moves_their_task(
    backend: TransactionalBackend, *, is_first: bool
) -> None:
    await empty(backend)
    if not is_first:
        await record(backend, "task-2")
        await prune(backend, await numbers(backend))
    await record(backend)
    chosen = await numbers(backend)
    async with backend.transaction() as unit:
        await unit.tasks.save(TASKS.make(id="task-1", project="shop"))
        pruning = asyncio.create_task(prune(backend, chosen))
        await asyncio.wait([pruning], timeout=BLOCKED_SECONDS)
    await pruning
    assert (await counts(backend))["shop"] == 1 + (not is_first)


async def test_tasks_may_move_at_the_same_time(backend: TransactionalBackend) -> None:
    await empty(backend)
    await record(backend)
    await roll_up_costs(backend, before=MOMENT + DAY)
    saves = [
        partial(backend.tasks.save, TASKS.make(id=id_, project=project))
        for project in (*PROJECTS, "another")
        for id_ in TASK_IDS
    ]
    await asyncio.gather(*[save() for save in saves])
    task = await backend.tasks.get("task-1")
    assert task is not None
    assert await counts(backend) == {task.project: 1}


async def test_roll_ups_of_an_import_that_was_interrupted_are_not_added_to(
    backend: TransactionalBackend,
) -> None:
    await empty(backend)
    await record(backend)
    await roll_up_costs(backend, before=MOMENT + DAY)
    async with backend.get_db().begin() as connection:
        await connection.execute(delete(tables.cost_rollup_state))
    for rolling_up in (
        roll_up_costs(backend, before=MOMENT + DAY),
        prune(backend, await numbers(backend)),
    ):
        with pytest.raises(QueryError, match="run that import again first"):
            await rolling_up
    assert await backend.cost_records.aggregate() == 1.0


async def test_what_an_earlier_release_rolls_up_counts_for_the_project_of_its_task(
    backend: TransactionalBackend,
) -> None:
    await empty(backend)
    await record(backend)
    await roll_up_costs(backend, before=MOMENT + DAY)
    async with backend.get_db().begin() as connection:
        rollup = (await connection.execute(select(tables.cost_rollups))).mappings().one()
        await connection.execute(delete(tables.cost_rollups))
        without = {**rollup, "task_project": None}
        await connection.execute(insert(tables.cost_rollups), without)
    await backend.tasks.save(TASKS.make(id="task-1", project="shop"))
    assert await counts(backend) == {"shop": 1}
