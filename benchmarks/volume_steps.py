"""The steps of `benchmarks.volume`: each does one thing with many records, and measures it."""

import gc
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any, Final, Generic, TypeVar

from benchmarks import data
from benchmarks.data import FIRST_MOMENT, Volume
from benchmarks.growth import FAR_PAGE, PAGE
from benchmarks.memory import Peak
from benchmarks.results import Spread
from synthorg.entities import Message, Task
from synthorg.persistence.transactions import TransactionalBackend

SINGLE_SAVES: Final = 4_000
REPETITIONS: Final = 31

CHANNEL: Final = "volume"
MESSAGES_OF_A_MOMENT: Final = 4
"""Some of the same moment, so that a walk has to go on by their ids as well."""

Record = TypeVar("Record")


@dataclass(frozen=True)
class Sizes:
    """How much there is to do.

    Attributes:
        records: The messages, all in one channel.
        tasks: The tasks that are saved at once.
    """

    records: int
    tasks: int

    @property
    def timed_pages(self) -> tuple[int, int, int]:
        """The numbers of the first page, one on the way, and a far one that is full.

        A planner that counts what is left of a list may well change its plan on the way.
        """
        far = max(1, min(FAR_PAGE, self.records // PAGE))
        return 1, (far + 1) // 2, far

    @property
    def single_saves(self) -> int:
        """How many tasks are saved one after the other."""
        return min(SINGLE_SAVES, self.tasks)


@dataclass(frozen=True)
class Measured:
    """What a step did and took.

    Attributes:
        records: How many records were stored or read.
        seconds: How long it took, with the time to make what was stored.
        making_seconds: How long it took to make what was stored.
        before: The bytes of resident memory before it.
        peak: The most bytes of resident memory.
        method: How memory was measured.
    """

    records: int
    seconds: float
    making_seconds: float
    before: int
    peak: int
    method: str

    @property
    def rate(self) -> float:
        """Records in a second, without the time to make them."""
        return self.records / (self.seconds - self.making_seconds)

    @property
    def rate_with_making(self) -> float:
        """Records in a second, with the time to make them."""
        return self.records / self.seconds

    @property
    def growth(self) -> int:
        """The bytes by which memory grew."""
        return self.peak - self.before


@dataclass(frozen=True)
class PageWalk:
    """A walk page by page, and the milliseconds of some of the pages by their numbers."""

    walk: Measured
    milliseconds: Mapping[int, Spread]


@dataclass(frozen=True)
class TaskSaves:
    """Tasks that were saved at once and, half before and half after, one after the other."""

    at_once: Measured
    single: Measured

    @property
    def ratio(self) -> float:
        """How many times as fast it is to save them at once."""
        return self.at_once.rate / self.single.rate


class Making(Generic[Record]):
    """Makes records one at a time, and takes the time of it.

    Args:
        records: The records, made as they are asked for.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = iter(records)
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Record]:
        return self

    def __next__(self) -> Record:
        start = time.perf_counter()
        try:
            return next(self._records)
        finally:
            self.seconds += time.perf_counter() - start


class WalkError(Exception):
    """A walk did not see every message once, newest first."""


class Walk:
    """Checks a walk without keeping what it has seen.

    Messages that come strictly in order come once, so that their number tells whether all came.
    """

    def __init__(self) -> None:
        self._seen = 0
        self._last: int | None = None

    def see(self, message: Message) -> None:
        """Take the next message.

        Args:
            message: The message.

        Raises:
            WalkError: If it should have come earlier.
        """
        place = int(message.attachments[0].ref.rpartition("/")[2])  # in the order of saving
        if self._last is not None and place >= self._last:
            raise WalkError(f"message {message.id} comes at place {self._seen}, too late")
        self._last = place
        self._seen += 1

    def end(self, expected: int) -> None:
        """Check that this was all.

        Args:
            expected: How many messages there are.

        Raises:
            WalkError: If there were more or fewer.
        """
        if self._seen != expected:
            raise WalkError(f"{self._seen:,} messages came, but {expected:,} are stored")


def messages(number: int) -> Iterator[Message]:
    """Make messages of one channel.

    Args:
        number: How many.
    """
    for each in range(number):
        moment = FIRST_MOMENT + timedelta(seconds=each // MESSAGES_OF_A_MOMENT)
        yield data.message(each).model_copy(update={"channel": CHANNEL, "timestamp": moment})


async def store_messages(backend: TransactionalBackend, sizes: Sizes) -> Measured:
    """Store all messages by one call.

    Args:
        backend: Where.
        sizes: How many.
    """
    made = Making(messages(sizes.records))
    return await _measure(sizes.records, backend.messages.save_many(made), made)


async def walk_by_pages(backend: TransactionalBackend, sizes: Sizes) -> PageWalk:
    """Walk through all messages page by page, and then time some of the pages in turns.

    Args:
        backend: Where they are.
        sizes: How many there are.
    """
    cursors: dict[int, str | None] = {}

    async def walk() -> None:
        check, cursor = Walk(), None
        for number in count(1):
            if number in sizes.timed_pages:
                cursors[number] = cursor
            page = await backend.messages.page(CHANNEL, limit=PAGE, after=cursor)
            for message in page.items:
                check.see(message)
            cursor = page.next_cursor
            if cursor is None:
                break
        check.end(sizes.records)

    measured = await _measure(sizes.records, walk())
    times: dict[int, list[float]] = {number: [] for number in cursors}
    for _ in range(REPETITIONS):
        for number, cursor in cursors.items():
            times[number].append(await _page_milliseconds(backend, cursor))
    return PageWalk(measured, {number: Spread.of(each) for number, each in times.items()})


async def walk_by_stream(backend: TransactionalBackend, sizes: Sizes) -> Measured:
    """Walk through all messages by `stream`.

    Args:
        backend: Where they are.
        sizes: How many there are.
    """

    async def walk(stream: AsyncIterator[Message]) -> None:
        check = Walk()
        async for message in stream:
            check.see(message)
        check.end(sizes.records)

    return await _measure(sizes.records, walk(backend.messages.stream(CHANNEL)))


async def store_tasks(backend: TransactionalBackend, sizes: Sizes) -> TaskSaves:
    """Store tasks one after the other, at once, and one after the other again.

    Args:
        backend: Where.
        sizes: How many.
    """
    volume = Volume(sizes.tasks)
    half = sizes.single_saves // 2
    before = Making(volume.task(sizes.tasks + each) for each in range(half))
    made = Making(volume.tasks())
    after = Making(volume.task(sizes.tasks + each) for each in range(half, sizes.single_saves))

    async def save_singly(tasks: Iterable[Task]) -> None:
        for task in tasks:
            await backend.tasks.save(task)

    first = await _measure(half, save_singly(before), before)
    at_once = await _measure(sizes.tasks, backend.tasks.save_many(made), made)
    second = await _measure(sizes.single_saves - half, save_singly(after), after)
    return TaskSaves(at_once, _together(first, second))


def _together(first: Measured, second: Measured) -> Measured:
    return Measured(
        first.records + second.records,
        first.seconds + second.seconds,
        first.making_seconds + second.making_seconds,
        first.before,
        max(first.peak, second.peak),
        first.method,
    )


async def _measure(
    records: int, work: Awaitable[None], made: Making[Any] | None = None
) -> Measured:
    gc.collect()
    peak = Peak()
    start = time.perf_counter()
    await work
    seconds = time.perf_counter() - start
    making_seconds = 0.0 if made is None else made.seconds
    return Measured(records, seconds, making_seconds, peak.before, peak.bytes(), peak.method)


async def _page_milliseconds(backend: TransactionalBackend, after: str | None) -> float:
    start = time.perf_counter()
    await backend.messages.page(CHANNEL, limit=PAGE, after=after)
    return (time.perf_counter() - start) * 1000
