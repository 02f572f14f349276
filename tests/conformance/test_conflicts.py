"""Units that meet: run again until each has had its effect, once, and no update is lost."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import pytest
import pytest_asyncio

from synthorg.persistence import PersistenceConnectionError, QueryError
from synthorg.persistence.errors import TransactionConflictError
from synthorg.persistence.sql.execution import retrying
from synthorg.persistence.testing.kinds import ARTIFACTS, TASKS, USERS
from synthorg.persistence.testing.units import Mishap
from synthorg.persistence.transactions import TransactionalBackend, UnitOfWork
from tests.conformance.units import neighbour_of
from tests.servers.base import Server

ROUNDS: Final = int(os.environ.get("TEST_CONFLICT_ROUNDS", "15"))
"""How often units meet; a conflict takes a server up to a second to notice."""

SECONDS: Final = 30 + ROUNDS * 2

Work = Callable[[UnitOfWork], Awaitable[None]]


@pytest_asyncio.fixture(loop_scope="session")
async def neighbour(
    server: Server, migrated_url: str, backend: TransactionalBackend
) -> AsyncIterator[TransactionalBackend]:
    """Another backend on the same database, or the same one where there can be one only."""
    async with neighbour_of(backend, server, migrated_url) as neighbour:
        yield neighbour


async def number(unit: UnitOfWork, name: str) -> int:
    """Read a number."""
    setting = await unit.settings.get("numbers", name)
    assert setting is not None
    return int(setting[0])


async def write(unit: UnitOfWork, name: str, value: int) -> None:
    """Write a number."""
    assert await unit.settings.set("numbers", name, str(value), "now")


async def start(backend: TransactionalBackend, **numbers: int) -> None:
    """Write the first numbers."""
    async with backend.transaction() as unit:
        for name, value in numbers.items():
            await write(unit, name, value)


async def all_of(backend: TransactionalBackend) -> dict[str, int]:
    """Read all numbers."""
    rows = await backend.settings.get_namespace("numbers")
    return {key: int(value) for key, value, _ in rows}


def move(source: str, target: str) -> Work:
    """Make the work that moves one from one number to another, in that order."""

    async def work(unit: UnitOfWork) -> None:
        await write(unit, source, await number(unit, source) - 1)
        await asyncio.sleep(0)
        await write(unit, target, await number(unit, target) + 1)

    return work


async def test_units_that_touch_the_same_rows_in_opposite_order_lose_no_update(
    backend: TransactionalBackend, neighbour: TransactionalBackend
) -> None:
    await start(backend, a=0, b=0, count=0)

    def counted(work: Work) -> Work:
        async def both(unit: UnitOfWork) -> None:
            await work(unit)
            await write(unit, "count", await number(unit, "count") + 1)

        return both

    async with asyncio.timeout(SECONDS):
        for _ in range(ROUNDS):
            await asyncio.gather(
                backend.run_in_transaction(counted(move("a", "b"))),
                neighbour.run_in_transaction(counted(move("b", "a"))),
                neighbour.run_in_transaction(counted(move("a", "b"))),
            )
    assert await all_of(backend) == {"a": -ROUNDS, "b": ROUNDS, "count": 3 * ROUNDS}


async def test_units_that_read_all_before_they_write_lose_no_update(
    backend: TransactionalBackend, neighbour: TransactionalBackend
) -> None:
    await start(backend, a=0, b=0)

    async def count(unit: UnitOfWork) -> None:
        values = [await number(unit, name) for name in "ab"]
        await asyncio.sleep(0)
        for name, value in zip("ab", values, strict=True):
            await write(unit, name, value + 1)

    async with asyncio.timeout(SECONDS):
        for _ in range(ROUNDS):
            backends = (backend, neighbour, backend)
            await asyncio.gather(*(each.run_in_transaction(count) for each in backends))
    assert await all_of(backend) == {"a": 3 * ROUNDS, "b": 3 * ROUNDS}


async def test_what_a_unit_has_read_nobody_has_changed_when_it_commits(
    backend: TransactionalBackend, neighbour: TransactionalBackend
) -> None:
    def leave(name: str) -> Work:
        async def work(unit: UnitOfWork) -> None:
            on_call = [await number(unit, each) for each in ("ada", "bob")]
            await asyncio.sleep(0)
            if sum(on_call) > 1:
                await write(unit, name, 0)

        return work

    async with asyncio.timeout(SECONDS):
        for _ in range(ROUNDS):
            await start(backend, ada=1, bob=1)
            await asyncio.gather(
                backend.run_in_transaction(leave("ada")), neighbour.run_in_transaction(leave("bob"))
            )
            assert sum((await all_of(backend)).values()) == 1


async def test_rows_that_a_unit_did_not_find_nobody_has_added_when_it_commits(
    backend: TransactionalBackend, neighbour: TransactionalBackend
) -> None:
    def claim(project: str, name: str) -> Work:
        async def work(unit: UnitOfWork) -> None:
            if not await unit.tasks.list_tasks(project=project):
                await asyncio.sleep(0)
                await unit.tasks.save(TASKS.make(id=f"{project} {name}", project=project))

        return work

    async with asyncio.timeout(SECONDS):
        for turn in range(ROUNDS):
            project = f"project {turn:04}"
            await asyncio.gather(
                backend.run_in_transaction(claim(project, "of ada")),
                neighbour.run_in_transaction(claim(project, "of bob")),
            )
    projects = [task.project for task in await backend.tasks.list_tasks()]
    assert projects == [f"project {turn:04}" for turn in range(ROUNDS)]


@pytest.mark.parametrize("parts", [False, True], ids=["whole", "parts"])
async def test_bulk_writes_in_opposite_order_are_all_or_nothing_and_all_in_the_end(
    backend: TransactionalBackend, neighbour: TransactionalBackend, *, parts: bool
) -> None:
    ids = [f"{number:02}" for number in range(12)]

    def save(name: str, order: list[str]) -> Work:
        async def save_all(unit: UnitOfWork) -> None:
            for half in (order[:6], order[6:]):
                await unit.users.save_many(USERS.make(id=id_, username=id_) for id_ in half)
                await unit.tasks.save_many(TASKS.make(id=id_, title=name) for id_ in half)

        async def work(unit: UnitOfWork) -> None:
            await unit.artifacts.save(ARTIFACTS.make(id=name))
            if parts:
                async with unit.transaction() as part:
                    await save_all(part)
            else:
                await save_all(unit)

        return work

    async with asyncio.timeout(SECONDS):
        for turn in range(ROUNDS):
            names = [f"{turn} {direction}" for direction in ("up", "down")]
            await asyncio.gather(
                backend.run_in_transaction(save(names[0], ids)),
                neighbour.run_in_transaction(save(names[1], ids[::-1])),
            )
            tasks = await backend.tasks.list_tasks()
            assert [task.id for task in tasks] == ids
            assert len({task.title for task in tasks}) == 1
            artifacts = [artifact.id for artifact in await backend.artifacts.list_artifacts()]
            assert set(names) <= set(artifacts)
    assert len(await backend.artifacts.list_artifacts()) == 2 * ROUNDS


async def test_bulk_writes_and_deletions_outside_of_units_reach_no_caller_as_a_conflict(
    backend: TransactionalBackend, neighbour: TransactionalBackend
) -> None:
    tasks = [TASKS.make(id=f"{number:02}") for number in range(20)]
    ids = [task.id for task in tasks]
    async with asyncio.timeout(SECONDS):
        for _ in range(ROUNDS):
            await asyncio.gather(
                backend.tasks.save_many(tasks),
                neighbour.tasks.save_many(tasks[::-1]),
                backend.tasks.delete_many(ids[::-1]),
                neighbour.tasks.delete_many(ids),
            )
            # How many of the records a deletion meets while they are saved is up to the database.
            assert set(await backend.tasks.list_tasks()) <= set(tasks)
            await backend.tasks.save_many(tasks)
            assert await neighbour.tasks.delete_many(ids) == len(tasks)


async def test_a_unit_that_carries_on_after_a_conflict_is_run_again_all_the_same(
    backend: TransactionalBackend, neighbour: TransactionalBackend
) -> None:
    await start(backend, a=0, b=0)

    def stubborn(names: str) -> Work:
        async def work(unit: UnitOfWork) -> None:
            values = [await number(unit, name) for name in names]
            await asyncio.sleep(0)
            for name, value in zip(names, values, strict=True):
                try:
                    await write(unit, name, value + 1)
                except QueryError:
                    await write(unit, name, value + 1)

        return work

    async with asyncio.timeout(SECONDS):
        for _ in range(ROUNDS):
            await asyncio.gather(
                backend.run_in_transaction(stubborn("ab")),
                neighbour.run_in_transaction(stubborn("ba")),
            )
    assert await all_of(backend) == {"a": 2 * ROUNDS, "b": 2 * ROUNDS}


async def test_units_that_are_not_run_again_commit_or_tell_of_a_conflict(
    backend: TransactionalBackend, neighbour: TransactionalBackend
) -> None:
    await start(backend, a=0, b=0)
    committed = 0

    async def run(own: TransactionalBackend, work: Work) -> int:
        try:
            async with own.transaction() as unit:
                await work(unit)
        except TransactionConflictError:
            return 0
        return 1

    async with asyncio.timeout(SECONDS):
        for _ in range(ROUNDS):
            committed += sum(
                await asyncio.gather(
                    run(backend, move("a", "b")),
                    run(neighbour, move("b", "b")),
                    run(neighbour, move("a", "b")),
                )
            )
    assert committed >= ROUNDS
    numbers = await all_of(backend)
    assert numbers["a"] == -numbers["b"]


async def test_the_result_of_the_run_that_was_committed_is_returned(
    backend: TransactionalBackend,
) -> None:
    runs = 0

    async def work(unit: UnitOfWork) -> list[str]:
        nonlocal runs
        runs += 1
        await unit.tasks.save(TASKS.make(id=str(runs)))
        if runs < 3:
            raise TransactionConflictError
        return [task.id for task in await unit.tasks.list_tasks()]

    assert await backend.run_in_transaction(work) == ["3"]
    assert [task.id for task in await backend.tasks.list_tasks()] == ["3"]


async def test_a_unit_that_always_conflicts_is_given_up(
    backend: TransactionalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "LONGEST_DELAY_SECONDS", 0.001)
    runs = 0

    async def work(unit: UnitOfWork) -> None:
        nonlocal runs
        runs += 1
        await unit.tasks.save(TASKS.make(id=str(runs)))
        raise TransactionConflictError(f"run {runs}")

    with pytest.raises(TransactionConflictError, match=r"run 20"):
        await backend.run_in_transaction(work)
    assert runs == 20
    assert await backend.tasks.list_tasks() == ()


@pytest.mark.parametrize(
    "error", [PersistenceConnectionError("outcome unknown"), QueryError("no"), Mishap("no")]
)
async def test_a_unit_that_fails_otherwise_is_not_run_again(
    backend: TransactionalBackend, error: Exception
) -> None:
    runs = 0

    async def work(unit: UnitOfWork) -> None:
        nonlocal runs
        runs += 1
        await unit.tasks.save(TASKS.example)
        raise error

    with pytest.raises(type(error)) as raised:
        await backend.run_in_transaction(work)
    assert raised.value is error
    assert runs == 1
    assert await backend.tasks.list_tasks() == ()
