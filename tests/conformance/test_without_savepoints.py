"""Units of work without savepoints: whatever fails in one ends it, on every database."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Final

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from synthorg.entities import HumanRole, Task
from synthorg.persistence import PersistenceError, QueryError, UnitOfWork, UsageError
from synthorg.persistence.testing.backend.units_of_work import (
    ALL_KINDS,
    REFERRED_TO,
    REFUSED,
    stored_kinds,
)
from synthorg.persistence.testing.kinds import DEFINITIONS, KINDS, TASKS, USERS
from synthorg.persistence.testing.units import Mishap, repositories
from synthorg.persistence.transactions import TransactionalBackend

REFUSED_BEFORE: Final = {
    "a version that does not follow",
    "a text that cannot be stored",
    "a time without a zone",
    "a count below zero",
    "a limit of zero",
    "a cursor of nowhere",
    "the system user",
}
"""What is refused though no statement has failed, and nothing was done of it."""

HALFWAY: Final = "halfway"

MARK: Final = TASKS.make(id="mark")

Run = Callable[[TransactionalBackend, Callable[[UnitOfWork], Awaitable[None]]], Awaitable[None]]


async def in_a_block(
    backend: TransactionalBackend, work: Callable[[UnitOfWork], Awaitable[None]]
) -> None:
    """Do something in the block of a unit."""
    async with backend.transaction(savepoints=False) as unit:
        await work(unit)


async def run_again(
    backend: TransactionalBackend, work: Callable[[UnitOfWork], Awaitable[None]]
) -> None:
    """Do something in a unit that is run again after a conflict."""
    await backend.run_in_transaction(work, savepoints=False)


@pytest.mark.parametrize("run", [in_a_block, run_again])
async def test_all_is_committed_together(backend: TransactionalBackend, run: Run) -> None:
    async def work(unit: UnitOfWork) -> None:
        for kind in KINDS:
            await kind.store(repositories(unit), kind.example)
        await unit.tasks.save_many(TASKS.make(id=f"{number}") for number in range(3))
        connection = await unit.connection()
        await connection.execute(text("UPDATE tasks SET title = 'by SQL' WHERE id = '1'"))

    await run(backend, work)
    assert await stored_kinds(backend) == ALL_KINDS
    task = await backend.tasks.get("1")
    assert task is not None
    assert task.title == "by SQL"


@pytest.mark.parametrize("run", [in_a_block, run_again])
@pytest.mark.parametrize("refused", REFUSED)
async def test_what_fails_ends_the_unit_and_nothing_of_it_is_stored(
    backend: TransactionalBackend, run: Run, refused: str
) -> None:
    act, error = REFUSED[refused]
    ends_it = refused not in REFUSED_BEFORE
    for kind in REFERRED_TO:
        await kind.store(backend, kind.example)
    await backend.users.save(USERS.make(role=HumanRole.CEO))
    await backend.workflow_definitions.save(DEFINITIONS.keyed("b"))
    raised: list[PersistenceError] = []

    async def work(unit: UnitOfWork) -> None:
        await unit.tasks.save(MARK)
        with pytest.raises(error) as refusal:
            await act(unit)
        raised.append(refusal.value)
        if ends_it:
            with pytest.raises(QueryError, match="failed and can only be left"):
                await unit.tasks.get(MARK.id)

    if not ends_it:
        await run(backend, work)
        assert await backend.tasks.get(MARK.id) == MARK
        return
    with pytest.raises(PersistenceError) as leaving:
        await run(backend, work)
    # What is known of versions, the repository knows alone.
    assert raised == [leaving.value] or refused == "a first version again"
    assert await backend.tasks.get(MARK.id) is None


async def test_sql_of_its_own_that_fails_ends_it_too(backend: TransactionalBackend) -> None:
    async def work(unit: UnitOfWork) -> None:
        await unit.tasks.save(MARK)
        connection = await unit.connection()
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT nothing FROM nowhere"))
        await unit.tasks.get(MARK.id)

    with pytest.raises(QueryError, match="SQL of the application's own failed"):
        await in_a_block(backend, work)
    assert await backend.tasks.get(MARK.id) is None


async def test_what_was_done_in_part_ends_it(backend: TransactionalBackend) -> None:
    def some() -> Iterator[Task]:
        yield from (TASKS.make(id=f"{number}") for number in range(2_000))
        raise OSError(HALFWAY)

    async def work(unit: UnitOfWork) -> None:
        with pytest.raises(OSError, match=HALFWAY):
            await unit.tasks.save_many(some())

    with pytest.raises(QueryError, match="a call in it was interrupted"):
        await in_a_block(backend, work)
    assert await backend.tasks.list_tasks() == ()


async def test_no_part_of_it_can_fail_alone(backend: TransactionalBackend) -> None:
    async with backend.transaction(savepoints=False) as unit:
        await unit.tasks.save(MARK)
        with pytest.raises(UsageError, match="savepoints=False"):
            async with unit.transaction():
                pass
    assert await backend.tasks.get(MARK.id) == MARK


async def test_what_fails_ends_a_unit_that_only_reads_too(backend: TransactionalBackend) -> None:
    async def work() -> None:
        async with backend.transaction(read_only=True, savepoints=False) as unit:
            with pytest.raises(UsageError, match="savepoints=False"):
                async with unit.transaction():
                    pass
            assert await unit.tasks.list_tasks() == ()
            connection = await unit.connection()
            with pytest.raises(DBAPIError):
                await connection.execute(text("SELECT nothing FROM nowhere"))
            await unit.tasks.list_tasks()

    with pytest.raises(QueryError, match="SQL of the application's own failed"):
        await work()


@pytest.mark.parametrize("savepoints", [None, 0, "no"])
async def test_whether_it_has_savepoints_is_said_by_a_truth_value(
    backend: TransactionalBackend, savepoints: object
) -> None:
    async def work(_: UnitOfWork) -> None:
        raise AssertionError

    with pytest.raises(UsageError, match="savepoints must be True or False"):
        await backend.run_in_transaction(work, savepoints=savepoints)  # type: ignore[arg-type]


@pytest.mark.parametrize("fails", [False, True])
async def test_sql_of_an_applications_own_that_comes_first_is_part_of_the_unit(
    backend: TransactionalBackend, *, fails: bool
) -> None:
    await backend.tasks.save(MARK)
    with suppress(Mishap):
        async with backend.transaction(savepoints=False) as unit:
            own = await unit.connection()
            await own.execute(text("UPDATE tasks SET title = 'changed by SQL'"))
            assert await unit.tasks.get(MARK.id) != MARK
            if fails:
                raise Mishap
    assert (await backend.tasks.get(MARK.id) == MARK) is fails
