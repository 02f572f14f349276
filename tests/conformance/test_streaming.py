"""Streams: they are the list, hold little and keep nothing."""

import asyncio
import gc

from synthorg.persistence.testing.backend.streaming import MORE_THAN_ONE_READ
from synthorg.persistence.testing.kinds import (
    TASKS,
)
from synthorg.persistence.transactions import TransactionalBackend
from tests.conformance.cancelling import cancelled_at_each_wait
from tests.conftest import checked_out_connections


async def test_a_stream_holds_no_connection_while_its_caller_works(
    backend: TransactionalBackend,
) -> None:
    await TASKS.store(backend, *(TASKS.make(id=str(number)) for number in range(3)))
    streams = [backend.tasks.stream() for _ in range(100)]  # more than there are connections
    for stream in streams:
        assert (await anext(stream)).id == "0"
        assert checked_out_connections(backend) == 0
    async for task in backend.tasks.stream():
        await backend.tasks.save(TASKS.altered(task, title="done"))
        async with backend.transaction() as unit:
            await unit.tasks.delete(task.id)
    assert await backend.tasks.list_tasks() == ()
    for stream in streams:  # what they read at once, they have
        assert [task.id async for task in stream] == ["1", "2"]


async def test_a_stream_can_be_left_at_any_record(backend: TransactionalBackend) -> None:
    numbers = range(MORE_THAN_ONE_READ)
    await backend.tasks.save_many(TASKS.make(id=f"{number:05}") for number in numbers)
    for place in (0, 499, 500, MORE_THAN_ONE_READ - 1):
        stream = backend.tasks.stream()
        async for task in stream:
            if task.id == f"{place:05}":
                break
        assert checked_out_connections(backend) == 0
        del stream  # collected as garbage
        gc.collect()
        await asyncio.sleep(0)
    assert checked_out_connections(backend) == 0
    assert await backend.tasks.get("00000") is not None


async def test_a_stream_can_be_cancelled_at_any_wait(backend: TransactionalBackend) -> None:
    numbers = range(MORE_THAN_ONE_READ)
    await backend.tasks.save_many(TASKS.make(id=f"{number:05}") for number in numbers)

    async def read(_: int) -> None:
        assert len([task async for task in backend.tasks.stream()]) == MORE_THAN_ONE_READ

    async for _ in cancelled_at_each_wait(read):
        assert checked_out_connections(backend) == 0
        assert len(await backend.tasks.list_tasks()) == MORE_THAN_ONE_READ
