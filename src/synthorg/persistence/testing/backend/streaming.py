"""Streams: they are the list, hold little and keep nothing."""

import asyncio
import gc
import os
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from random import Random
from typing import Any, Final

import pytest

from synthorg.entities import Message, ParkedContext
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import (
    AUDIT_ENTRIES,
    LATER,
    MESSAGES,
    MOMENT,
    PARKED_CONTEXTS,
    SETTINGS,
    TASKS,
)
from synthorg.persistence.testing.needs import needs
from synthorg.persistence.testing.units import repositories
from synthorg.persistence.testing.walks import WALKS, Walk, walks
from synthorg.persistence.transactions import TransactionalBackend

MEBIBYTE: Final = 2**20

LITTLE: Final = 5 * MEBIBYTE // 2

TOO_MANY: Final = 2000
"""How many records take more than that."""

MANY: Final = int(os.environ.get("TEST_MANY_RECORDS", str(TOO_MANY)))
"""How many records are walked through; the memory that this takes must not depend on it."""

MORE_THAN_ONE_READ: Final = 603
"""More records than a stream holds at a time."""

LARGE: Final[dict[Kind, tuple[str, Callable[[str], object]]]] = {
    TASKS: ("description", str),
    MESSAGES: ("content", str),
    PARKED_CONTEXTS: ("metadata", lambda text: {"text": text}),
    SETTINGS: ("value", str),
    AUDIT_ENTRIES: ("matched_rules", lambda text: (text, "x")),
}
"""A field of any length in records of several kinds, and what makes a value of a text."""


def _messages(count: int, channel: str) -> Iterator[Message]:
    for number in range(count):
        yield Message.model_construct(
            **{
                **dict(MESSAGES.example),
                "id": MESSAGES.key_for(f"{channel} {number}"),
                "timestamp": MOMENT + timedelta(seconds=number // 10),
                "channel": channel,
            }
        )


async def _by_stream(backend: TransactionalBackend, channel: str) -> int:
    return await _count(backend.messages.stream(channel))


async def _by_page(backend: TransactionalBackend, channel: str) -> int:
    page = await backend.messages.page(channel, limit=200)
    count = len(page.items)
    while page.next_cursor is not None:
        page = await backend.messages.page(channel, limit=200, after=page.next_cursor)
        count += len(page.items)
    return count


async def _count(records: AsyncIterator[Any]) -> int:
    count = 0
    async for _ in records:
        count += 1
    return count


@dataclass
class _Memory:
    peak: int = 0


@contextmanager
def _memory() -> Iterator[_Memory]:
    """Measure by how much the memory in use grows at most."""
    memory = _Memory()
    gc.collect()
    tracemalloc.start()
    try:
        yield memory
        memory.peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class Streaming:
    """Streams: they are the list, hold little and keep nothing."""

    @needs(TransactionalBackend)
    @walks()
    async def test_a_stream_is_the_list(self, backend: TransactionalBackend, walk: Walk) -> None:
        random = Random(str(walk))
        records = walk.population(random)
        await walk.fill(backend, records)
        for arguments in walk.calls(random, rounds=1):
            streamed = [record async for record in walk.stream(backend, arguments)]
            assert streamed == walk.expected(records, arguments), arguments

    @needs(TransactionalBackend)
    @walks()
    async def test_a_stream_is_the_list_in_a_unit_of_work(
        self, backend: TransactionalBackend, walk: Walk
    ) -> None:
        random = Random(str(walk))
        records = walk.population(random)
        async with backend.transaction() as unit:
            await walk.fill(unit, records)
            for arguments in islice(walk.calls(random, rounds=1), 4):
                streamed = [record async for record in walk.stream(unit, arguments)]
                assert streamed == walk.expected(records, arguments), arguments

    @needs(TransactionalBackend)
    async def test_a_long_stream_with_many_ties_is_the_list(
        self, backend: TransactionalBackend
    ) -> None:
        moments = [MOMENT, LATER, MOMENT]
        messages = [
            MESSAGES.altered(MESSAGES.keyed(str(number)), timestamp=moments[number % 3])
            for number in range(2 * MORE_THAN_ONE_READ)
        ]
        await backend.messages.save_many(messages)
        history = await backend.messages.get_history("general")
        assert len(history) == len(messages)
        assert [message async for message in backend.messages.stream("general")] == list(history)

    @needs(TransactionalBackend)
    async def test_a_stream_in_a_unit_of_work_goes_on_after_writes(
        self,
        backend: TransactionalBackend,
    ) -> None:
        async with backend.transaction() as unit:
            numbers = range(MORE_THAN_ONE_READ)
            await unit.tasks.save_many(TASKS.make(id=f"{number:05}") for number in numbers)
            async for task in unit.tasks.stream():
                if task.id == "00000":
                    await unit.tasks.delete("00550")
                    await unit.tasks.save(TASKS.make(id="00550a"))
                if task.id == "00600":
                    break
        listed = [task.id for task in await backend.tasks.list_tasks()]
        assert len(listed) == MORE_THAN_ONE_READ
        assert "00550a" in listed

    @needs(TransactionalBackend)
    async def test_a_stream_sees_what_is_added_beyond_where_it_is(
        self,
        backend: TransactionalBackend,
    ) -> None:
        await backend.tasks.save_many(TASKS.make(id=f"{number:05}") for number in range(600))
        seen: list[str] = []
        async for task in backend.tasks.stream():
            if not seen:
                await backend.tasks.save(TASKS.make(id="1"))
                await backend.tasks.save(TASKS.make(id="/ before"))
            seen.append(task.id)
        assert len(seen) == 601
        assert seen[-1] == "1"

    @needs(TransactionalBackend)
    async def test_saving_and_walking_through_many_records_takes_little_memory(
        self,
        backend: TransactionalBackend,
    ) -> None:
        await backend.messages.save_many(_messages(600, "rehearsal"))  # fills the caches
        assert await _by_stream(backend, "rehearsal") == await _by_page(backend, "rehearsal") == 600
        with _memory() as saving:
            await backend.messages.save_many(_messages(MANY, "many"))
        with _memory() as streaming:
            assert await _by_stream(backend, "many") == MANY
        with _memory() as paging:
            assert await _by_page(backend, "many") == MANY
        assert max(saving.peak, streaming.peak, paging.peak) < LITTLE
        with _memory() as listing:
            assert len(await backend.messages.get_history("many", limit=TOO_MANY)) == TOO_MANY
        assert listing.peak > LITTLE  # so it is measured

    @needs(TransactionalBackend)
    @pytest.mark.parametrize("kind", LARGE, ids=str)
    async def test_a_stream_of_small_and_large_records_is_the_list(
        self, backend: TransactionalBackend, kind: Kind
    ) -> None:
        sizes = (10, 20_000, 8191, 8192, 3 * 2**20, 100, 5 * 2**20, 10_000)
        name, make = LARGE[kind]
        records = [
            kind.altered(kind.keyed(f"{number:02}"), **{name: make("\u00df" * (size // 2))})
            for number, size in enumerate(sizes * 2)
        ]
        await getattr(backend, kind.repository).save_many(records)
        (walk,) = (walk for walk in WALKS if walk.kind is kind)
        arguments = {
            name: getattr(kind.example, name) if name in walk.required else None
            for name in (*walk.compared, *walk.bounds)
        }
        expected = walk.expected(records, arguments)
        assert len(expected) == len(records)
        streamed = [record async for record in walk.stream(backend, arguments)]
        assert streamed == expected
        async with backend.transaction(read_only=True) as unit:
            assert [record async for record in walk.stream(unit, arguments)] == expected
        stream = walk.stream(backend, arguments)
        assert [await anext(stream) for _ in range(3)] == expected[:3]
        if kind.delete is not None:
            gone = [expected[place] for place in (5, 6, 10, 12)]
            for record in gone:
                assert await kind.delete(repositories(backend), record)
            left = [record async for record in stream if record not in gone]
            assert left == [record for record in expected[3:] if record not in gone]

    @needs(TransactionalBackend)
    async def test_saving_and_streaming_large_records_takes_the_memory_of_a_few(
        self,
        backend: TransactionalBackend,
    ) -> None:
        def contexts() -> Iterator[ParkedContext]:
            for number in range(540):  # the large ones come after many small ones
                size = MEBIBYTE if number >= 510 else 1
                yield PARKED_CONTEXTS.altered(
                    PARKED_CONTEXTS.example,
                    id=f"{number:05}",
                    parked_at=MOMENT - timedelta(seconds=number),
                    context_json=f'{{"text": "{"x" * size}"}}',
                    metadata={"text": "y" * size},
                )

        with _memory() as saving:
            await backend.parked_contexts.save_many(contexts())
        with _memory() as saving_in_a_unit:
            async with backend.transaction() as unit:
                await unit.parked_contexts.save_many(contexts())
        with _memory() as streaming:
            stream = backend.parked_contexts.stream(PARKED_CONTEXTS.example.agent_id)
            assert await _count(stream) == 540
        # All have 60 MiB. Drivers copy what is sent at a time, some of them twice: into a
        # message, and the event loop into its buffer, if the server does not take it at once.
        assert max(saving.peak, saving_in_a_unit.peak, streaming.peak) < 48 * MEBIBYTE

    @needs(TransactionalBackend)
    async def test_many_large_saves_at_once_take_the_memory_of_few(
        self,
        backend: TransactionalBackend,
    ) -> None:
        text = "x" * MEBIBYTE
        with _memory() as memory:
            await asyncio.gather(
                *[backend.tasks.save(TASKS.make(id=f"{n:03}", description=text)) for n in range(80)]
            )
        assert memory.peak < 60 * MEBIBYTE

    @needs(TransactionalBackend)
    async def test_what_was_read_is_let_go_with_the_callers_last_reference(
        self,
        backend: TransactionalBackend,
    ) -> None:
        text = "x" * MEBIBYTE
        await backend.tasks.save_many(TASKS.make(id=f"{n:02}", description=text) for n in range(20))
        with _memory() as memory:
            page = await backend.tasks.page()
            listed = await backend.tasks.list_tasks()
            found = await backend.tasks.get_many([task.id for task in listed])
            assert len(page.items) == len(listed) == len(found) == 20
            del page, listed, found
            gc.collect()
            left = tracemalloc.get_traced_memory()[0]
        assert memory.peak > 20 * MEBIBYTE > 3 * left
