"""A cancelled call has written all or nothing, and leaves the backend as good as new."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from random import Random
from typing import Any, Final

import pytest

from synthorg.persistence import (
    PersistenceBackend,
    TransactionalBackend,
    TransactionConflictError,
)
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import CHECKPOINTS, TASKS, kinds
from tests.conformance.cancelling import cancelled_at_each_wait
from tests.conftest import checked_out_connections

pytestmark = pytest.mark.own_backend

ROUNDS: Final = 40
CALLS: Final = 6
LONGEST_DELAY: Final = 0.004
MORE_THAN_CONNECTIONS: Final = 15
PATIENCE_SECONDS: Final = 30

LARGE: Final = CHECKPOINTS.make(context_json='{"text": "' + "x" * 300_000 + '"}')


async def test_a_cancelled_save_is_there_as_a_whole_or_not_at_all(
    backend: PersistenceBackend,
) -> None:
    random = Random(1)
    finished = 0
    for round_ in range(ROUNDS):
        records = [CHECKPOINTS.altered(LARGE, **found_by(round_, call)) for call in range(CALLS)]
        results = await cancelled(backend.checkpoints.save, records, random)
        for record, result in zip(records, results, strict=True):
            stored = await backend.checkpoints.get_latest(execution_id=record.execution_id)
            assert stored == record if result is None else stored in (record, None)
            finished += result is None
        assert checked_out_connections(backend) == 0
    assert finished < ROUNDS * CALLS, "no call has been cancelled at all"


@kinds()
async def test_a_save_cancelled_at_any_of_its_waits_is_there_as_a_whole_or_not_at_all(
    backend: PersistenceBackend, kind: Kind
) -> None:
    if kind.prepare is not None:
        await kind.prepare(backend, kind.example)
    saved = [kind.keyed(f"{kind.repository} {number}") for number in range(50)]
    async for number in cancelled_at_each_wait(lambda number: kind.save(backend, saved[number])):
        assert checked_out_connections(backend) == 0
        for copy in await kind.copies(backend, saved[number]):
            assert copy == saved[number]
    assert await kind.stored(backend, saved[number]) == saved[number]


async def test_cancelled_calls_on_one_record_leave_one_of_its_versions(
    backend: PersistenceBackend,
) -> None:
    random = Random(2)
    versions = [TASKS.make(title=f"version {number}") for number in range(CALLS)]
    await backend.tasks.save(versions[0])
    for _ in range(ROUNDS):
        results = await cancelled(backend.tasks.save, versions, random)
        assert await backend.tasks.get(TASKS.example.id) in versions
        if None in results:
            assert await backend.tasks.list_tasks() != ()
    assert checked_out_connections(backend) == 0


async def test_a_cancelled_read_harms_no_later_one(backend: PersistenceBackend) -> None:
    random = Random(3)
    tasks = tuple(TASKS.keyed(f"{number:03}") for number in range(100))
    await asyncio.gather(*map(backend.tasks.save, tasks))

    async def list_all(_: object) -> None:
        assert await backend.tasks.list_tasks() == tasks

    for _ in range(ROUNDS):
        await cancelled(list_all, range(CALLS), random)
        assert checked_out_connections(backend) == 0
    assert await backend.tasks.list_tasks() == tasks


@pytest.mark.parametrize("call", ["save", "get", "list"])
async def test_calls_that_were_cancelled_keep_no_connection_from_later_ones(
    backend: PersistenceBackend, call: str
) -> None:
    calls: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "save": lambda: backend.tasks.save(TASKS.example),
        "get": lambda: backend.tasks.get(TASKS.example.id),
        "list": backend.tasks.list_tasks,
    }
    await calls[call]()
    for _ in range(MORE_THAN_CONNECTIONS):
        task = asyncio.create_task(calls[call]())
        await asyncio.sleep(0)  # it has begun
        task.cancel()
        await asyncio.wait([task])
    async with asyncio.timeout(PATIENCE_SECONDS):
        await calls[call]()


async def test_a_call_that_runs_out_of_time_is_a_timeout(backend: PersistenceBackend) -> None:
    for _ in range(10):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await backend.tasks.save(TASKS.example)
    await backend.tasks.save(TASKS.example)
    assert await backend.tasks.get(TASKS.example.id) == TASKS.example


async def test_a_cancelled_unit_of_work_has_written_all_or_nothing(
    backend: TransactionalBackend,
) -> None:
    random = Random(5)

    async def save_two(key: str) -> None:
        async with backend.transaction() as work:
            await work.settings.set(key, "first", "1", "now")
            await work.settings.get_all()
            await work.settings.set(key, "second", "2", "now")

    for round_ in range(ROUNDS):
        keys = [f"{round_}-{call}" for call in range(CALLS)]
        results = await cancelled(save_two, keys, random)
        for key, result in zip(keys, results, strict=True):
            written = len(await backend.settings.get_namespace(key))
            assert written == 2 if result is None else written in (0, 2)
        assert checked_out_connections(backend) == 0


async def test_cancelled_racers_leave_at_most_one_winner(backend: PersistenceBackend) -> None:
    random = Random(4)

    async def claim(racer: str) -> bool:
        return await backend.settings.set("race", key, racer, racer, expected_updated_at="")

    for round_ in range(ROUNDS):
        key = str(round_)
        results = await cancelled(claim, [str(racer) for racer in range(CALLS)], random)
        assert results.count(True) <= 1
        stored = await backend.settings.get("race", key)
        if True in results:
            assert stored == (str(results.index(True)),) * 2
        elif stored is not None:
            assert isinstance(results[int(stored[0])], asyncio.CancelledError)


def found_by(round_: int, call: int) -> dict[str, str]:
    """Make the fields by which a checkpoint is found, different for each call."""
    return dict.fromkeys(("id", "execution_id"), f"{round_}-{call}")


async def cancelled(
    step: Callable[[Any], Awaitable[Any]], values: Any, random: Random
) -> list[Any]:
    """Start a step for each value, cancel each after a random while, and collect the results."""

    async def run(value: Any) -> Any:
        return await step(value)

    tasks = [asyncio.create_task(run(value)) for value in values]
    for task in random.sample(tasks, len(tasks)):
        await asyncio.sleep(random.uniform(0, LONGEST_DELAY))
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    unexpected = [
        result
        for result in results
        if isinstance(result, BaseException)
        and not isinstance(result, asyncio.CancelledError | TransactionConflictError)
    ]
    assert unexpected == []
    return results
