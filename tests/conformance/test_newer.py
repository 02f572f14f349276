"""What is newer than a cursor: in the order of saving, with nothing missed and nothing twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any, Final
from uuid import UUID

import pytest

from synthorg.entities import Message
from synthorg.persistence import Arrival, InvalidArgumentError, UsageError
from synthorg.persistence.sql.statements.tails import MOST_OPEN, WINDOW
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import (
    AUDIT_ENTRIES,
    COLLABORATION_METRICS,
    LIFECYCLE_EVENTS,
    MESSAGES,
    TASK_METRICS,
)
from synthorg.persistence.transactions import TransactionalBackend
from tests.conftest import checked_out_connections

NUMBERED: Final = (
    MESSAGES,
    AUDIT_ENTRIES,
    LIFECYCLE_EVENTS,
    TASK_METRICS,
    COLLABORATION_METRICS,
)
SEVERAL_WRITERS: Final = ("postgresql", "mariadb")

numbered = pytest.mark.parametrize("kind", NUMBERED, ids=lambda kind: str(kind.repository))


def store_of(backend: Any, kind: Kind) -> Any:
    return getattr(backend, kind.repository)


def message(number: int, channel: str = "#one") -> Message:
    made = MESSAGES.make(id=UUID(int=number), channel=channel)
    assert isinstance(made, Message)
    return made


def shuffled(numbers: range, seed: int = 1) -> list[int]:
    order = list(numbers)
    Random(seed).shuffle(order)
    return order


class Tail:
    """Reads on and on, and notes what it has got."""

    def __init__(self, store: Any, cursor: str | None, **filters: object) -> None:
        self._store = store
        self.cursor = cursor
        self._filters = filters
        self.seen: list[Any] = []

    async def poll(self, limit: int = 100) -> list[Any]:
        """Ask once."""
        found = await self._store.newer_than(self.cursor, limit=limit, **self._filters)
        assert len(found.arrivals) <= limit
        self.cursor = found.cursor
        self.seen += found.items
        return list(found.items)

    async def drain(self) -> list[Any]:
        """Ask until nothing is new."""
        found = []
        while batch := await self.poll():
            found += batch
        return found


@numbered
async def test_records_of_one_moment_come_in_the_order_of_saving(
    backend: TransactionalBackend, kind: Kind
) -> None:
    store = store_of(backend, kind)
    tail = Tail(store, await store.latest_cursor())
    records = [kind.keyed(f"{number:02}") for number in shuffled(range(20))]
    for record in records[:10]:
        await kind.save(backend, record)
    await store.save_many(records[10:])

    assert await tail.poll(7) == records[:7]
    assert await tail.drain() == records[7:]
    assert await tail.poll() == []
    listed = [each async for each in store.stream(*first_filter(kind))]
    assert listed == records[::-1]
    paged: list[Any] = []
    after = None
    while True:
        page = await store.page(*first_filter(kind), limit=3, after=after)
        paged += page.items
        after = page.next_cursor
        if after is None:
            break
    assert paged == listed


def first_filter(kind: Kind) -> Sequence[object]:
    return [kind.example.channel] if kind is MESSAGES else []


@numbered
async def test_each_record_has_a_cursor_that_goes_on_after_it(
    backend: TransactionalBackend, kind: Kind
) -> None:
    store = store_of(backend, kind)
    latest = await store.latest_cursor()
    records = [kind.keyed(str(number)) for number in range(5)]
    await store.save_many(records)

    found = await store.newer_than(latest)

    assert found.items == tuple(records)
    for place, arrival in enumerate(found.arrivals):
        assert (await store.newer_than(arrival.cursor)).items == tuple(records[place + 1 :])
    assert (await store.newer_than(found.cursor)).items == ()
    assert (await store.newer_than(limit=1)).items == (records[0],)


async def test_a_channel_is_followed_alone(backend: TransactionalBackend) -> None:
    one = Tail(backend.messages, await backend.messages.latest_cursor(channel="#1"), channel="#1")
    every = Tail(backend.messages, await backend.messages.latest_cursor())
    messages = [message(number, f"#{number % 3}") for number in shuffled(range(30))]
    await backend.messages.save_many(messages)

    assert await one.drain() == [each for each in messages if each.channel == "#1"]
    assert await every.drain() == messages


async def test_one_channel_of_many_is_followed_through_more_than_is_looked_at_together(
    backend: TransactionalBackend,
) -> None:
    latest = await backend.messages.latest_cursor(channel="#rare")
    numbers = range(2 * WINDOW + 10)
    rare = {0, 5, WINDOW, WINDOW + 1, 2 * WINDOW + 9}
    await backend.messages.save_many(
        message(number, "#rare" if number in rare else "#usual") for number in numbers
    )
    tail = Tail(backend.messages, latest, channel="#rare")

    assert [each.id.int for each in await tail.poll(2)] == [0, 5]
    assert [each.id.int for each in await tail.drain()] == sorted(rare)[2:]


async def test_a_cursor_of_another_list_or_with_other_filters_is_refused(
    backend: TransactionalBackend,
) -> None:
    await MESSAGES.store(backend, *[message(number) for number in range(3)])
    one = await backend.messages.latest_cursor(channel="#one")
    page = await backend.messages.page("#one", limit=1)
    of_others = [
        one,
        await backend.audit_entries.latest_cursor(),
        page.next_cursor,
        one[:-1],
        "",
        "nonsense",
    ]
    for cursor in of_others:
        with pytest.raises(InvalidArgumentError, match="messages: cursor is not a cursor of this"):
            await backend.messages.newer_than(cursor)
    with pytest.raises(InvalidArgumentError, match="after is not a cursor"):
        await backend.messages.page("#one", after=one)
    for limit in (0, -1, "1", True):
        with pytest.raises(InvalidArgumentError, match="limit"):
            await backend.messages.newer_than(limit=limit)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="chanel"):
        await backend.messages.newer_than(chanel="#one")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="chanel"):
        await backend.messages.latest_cursor(chanel="#one")  # type: ignore[call-arg]


async def test_a_unit_of_work_follows_nothing(backend: TransactionalBackend) -> None:
    async with backend.transaction() as work:
        for call in (work.messages.newer_than, work.messages.latest_cursor):
            with pytest.raises(UsageError, match="cannot follow messages in a unit of work"):
                await call()
        await MESSAGES.store(work, message(1))
    assert len(await backend.messages.get_history("#one")) == 1


async def test_what_commits_late_comes_late_and_what_is_rolled_back_never(
    backend: TransactionalBackend,
) -> None:
    if backend.backend_name not in SEVERAL_WRITERS:
        pytest.skip("it has one writer at a time")
    tail = Tail(backend.messages, await backend.messages.latest_cursor())
    has_saved, may_end = asyncio.Event(), asyncio.Event()
    undone_saved, may_fail = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with backend.transaction() as work:
            await work.messages.save(message(1))
            has_saved.set()
            await may_end.wait()

    async def undone() -> None:
        async with backend.transaction() as work:
            await work.messages.save(message(2))
            undone_saved.set()
            await may_fail.wait()
            raise UndoneError

    slowly = asyncio.create_task(slow())
    await has_saved.wait()
    undoing = asyncio.create_task(undone())
    await undone_saved.wait()
    await backend.messages.save(message(3))
    begun_late = Tail(backend.messages, await backend.messages.latest_cursor())

    assert await tail.drain() == [message(3)]
    may_fail.set()
    with pytest.raises(UndoneError):
        await undoing
    assert await tail.drain() == []
    await backend.messages.save(message(4))
    assert await tail.drain() == [message(4)]
    may_end.set()
    await slowly
    assert await tail.drain() == [message(1)]
    assert await begun_late.drain() == [message(1), message(4)]
    await backend.messages.save(message(5))
    for each in (tail, begun_late):
        assert await each.drain() == [message(5)]
        assert await each.drain() == []


class UndoneError(Exception):
    """Rolls a unit of work back."""


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_missed_and_nothing_given_twice_beside_many_writers(
    backend: TransactionalBackend, seed: int
) -> None:
    """Some commit late, some roll back; readers poll in between, each with another limit."""
    random = Random(seed)
    latest = await backend.messages.latest_cursor()
    of_one = await backend.messages.latest_cursor(channel="#one")
    tails = [Tail(backend.messages, latest), Tail(backend.messages, latest)]
    channel = Tail(backend.messages, of_one, channel="#one")
    writers = [Writer(backend, seed * 1000 + number) for number in range(6)]
    done = asyncio.Event()

    async def read(tail: Tail, limit: int) -> None:
        while not done.is_set():
            await tail.poll(limit)
            await asyncio.sleep(0)
        await tail.drain()

    readers = [
        asyncio.create_task(read(each, random.choice((1, 2, 7, 100)))) for each in (*tails, channel)
    ]
    await asyncio.gather(*[each.write() for each in writers])
    done.set()
    await asyncio.gather(*readers)

    committed = [each for writer in writers for each in writer.committed]
    of_one_alone = [each for each in committed if each.channel == "#one"]
    assert committed
    for tail in tails:
        assert ids(tail.seen) == ids(committed)
    assert ids(channel.seen) == ids(of_one_alone)
    assert checked_out_connections(backend) == 0


def ids(messages: Sequence[Message]) -> Counter[int]:
    return Counter(each.id.int for each in messages)


class Writer:
    """Saves messages, alone or together, and takes some back."""

    def __init__(self, backend: TransactionalBackend, seed: int) -> None:
        self.committed: list[Message] = []
        self._backend = backend
        self._random = Random(seed)
        self._first = seed * 1000

    async def write(self) -> None:
        """Save some messages."""
        for number in range(8):
            channel = self._random.choice(("#one", "#two"))
            several = range(self._random.choice((1, 1, 3)))
            messages = [message(self._first + number * 10 + each, channel) for each in several]
            if self._random.random() < 0.3:
                await self._backend.messages.save_many(messages)
                self.committed += messages
            else:
                await self._write_unit(messages, is_kept=self._random.random() < 0.7)

    async def _write_unit(self, messages: Sequence[Message], *, is_kept: bool) -> None:
        with suppress(UndoneError):
            async with self._backend.transaction() as work:
                for each in messages:
                    await work.messages.save(each)
                    await self._pause()
                if not is_kept:
                    raise UndoneError
                await self._pause()
            self.committed += messages

    async def _pause(self) -> None:
        for _ in range(self._random.randrange(6)):
            await asyncio.sleep(0)


async def test_a_cursor_stays_short_however_many_are_rolled_back_beside_a_slow_unit(
    backend: TransactionalBackend,
) -> None:
    if backend.backend_name not in SEVERAL_WRITERS:
        pytest.skip("it has one writer at a time")
    tail = Tail(backend.messages, await backend.messages.latest_cursor())
    has_saved, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with backend.transaction() as work:
            await work.messages.save(message(0))
            has_saved.set()
            await may_end.wait()

    slowly = asyncio.create_task(slow())
    await has_saved.wait()
    numbers = range(1, 2 * MOST_OPEN)
    for number in numbers:
        with suppress(UndoneError):
            async with backend.transaction() as work:
                await work.messages.save(message(number + 1000))
                raise UndoneError
        await backend.messages.save(message(number))
    seen = await tail.drain()
    assert seen == [message(number) for number in numbers[: len(seen)]]
    assert len(seen) >= MOST_OPEN - 1
    assert len(tail.cursor or "") < 2048
    may_end.set()
    await slowly
    await tail.drain()
    assert Counter(each.id.int for each in tail.seen) == Counter([0, *numbers])


async def test_following_waits_for_what_comes(backend: TransactionalBackend) -> None:
    await backend.messages.save(message(1))
    cursor = await backend.messages.latest_cursor()
    following = backend.messages.follow(cursor, poll_seconds=0.01)
    coming = asyncio.ensure_future(anext(following))
    await backend.messages.save(message(2))

    arrival = await coming
    assert arrival.record == message(2)
    await backend.messages.save_many([message(3), message(4)])
    assert [(await anext(following)).record for _ in range(2)] == [message(3), message(4)]
    await close(following)
    again = backend.messages.follow(arrival.cursor)
    assert (await anext(again)).record == message(3)
    await close(again)
    assert checked_out_connections(backend) == 0


async def close(stream: AsyncIterator[Arrival[Any]]) -> None:
    closing: Callable[[], Any] = stream.aclose  # type: ignore[attr-defined]
    await closing()
