"""`python -m benchmarks.point_reads`: gets and units on the loop's thread beside those on another.

All on one SQLite file in one process, in rounds of random order, with a second backend of the same
setting for the noise. How long a timer of a millisecond is late tells how long the loop stalls; on
a busy machine it is others as well that make it late, and the processor time of turns tells more.
"""

import argparse
import asyncio
import os
import random
import selectors
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Final, Literal

from rich.console import Console

from benchmarks.data import Volume, task_id
from benchmarks.databases import fill
from benchmarks.growth import PATTERN, enlarge
from benchmarks.report import FILE_WIDTH, Grid
from benchmarks.results import Spread
from synthorg.persistence import PersistenceConfig, SQLiteConfig, create_backend
from synthorg.persistence.observing import ObservedCall
from synthorg.persistence.transactions import TransactionalBackend

Setting = Literal["thread", "adaptive"]
CONTENDERS: Final[Mapping[str, Setting]] = {
    "thread": "thread",
    "thread, again": "thread",
    "adaptive": "adaptive",
}

ROWS: Final = 1_000_000
"""Of each kind: a file of some two gigabytes."""

WARM_ROWS: Final = 2_000
AT_ONCE: Final = 64
GETS: Final = 1_280
TICK_SECONDS: Final = 0.001
SLICE_SECONDS: Final = 2.0
ROUNDS: Final = 9
PER_MILLES: Final = 999
UNIT: Final = "unit"

Key = Callable[[], str]
Work = Callable[[TransactionalBackend, str], Awaitable[object]]


@dataclass(frozen=True)
class Effort:
    """How thorough to be.

    Attributes:
        rounds: How often each is measured.
        seconds: How long a timer runs at a time.
    """

    rounds: int
    seconds: float


@dataclass(frozen=True)
class Load:
    """What is done: with which keys, by how many tasks side by side, and how."""

    key: Key
    at_once: int
    work: Work


@dataclass
class Counter:
    """An `Observer` that counts gets, and those of them that no thread was asked."""

    gets: int = 0
    on_the_loop: int = 0

    def call_started(self, call: ObservedCall, /) -> None:
        """Do nothing."""

    def call_ended(self, call: ObservedCall, /) -> None:
        """Count a call."""
        self.gets += 1
        self.on_the_loop += call.trip_calls == 0


class TurnTimer(selectors.DefaultSelector):
    """What the event loop waits on, which notes how long it does not wait.

    Attributes:
        turns: The processor time of each turn, in seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[float] = []
        self._began = time.thread_time()

    def forget(self) -> None:
        """Begin anew, in the midst of a turn."""
        self.turns.clear()
        self._began = time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait, as a selector does."""
        self.turns.append(time.thread_time() - self._began)
        ready = super().select(timeout)
        self._began = time.thread_time()
        return ready


@dataclass
class Speed:
    """What gets took, in microseconds each, round by round."""

    passed: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


@dataclass
class Stalls:
    """By how many seconds a timer was late, and how long turns took, beside how many gets."""

    late: list[float] = field(default_factory=list)
    turns: list[float] = field(default_factory=list)
    gets: int = 0
    on_the_loop: int = 0
    seconds: float = 0.0


@asynccontextmanager
async def backends(
    file: Path, counter: Counter | None
) -> AsyncIterator[list[TransactionalBackend]]:
    """Connect a backend for each contender.

    Args:
        file: The database, which all of them have open.
        counter: Told of their calls; None where that would take too much of the time.
    """
    observers = [] if counter is None else [counter]
    async with AsyncExitStack() as stack:
        made: list[TransactionalBackend] = []
        for setting in CONTENDERS.values():
            section = SQLiteConfig(path=str(file), point_reads=setting, unit_steps=setting)
            config = PersistenceConfig(sqlite=section)
            backend = create_backend(config, observers=observers)
            made.append(await stack.enter_async_context(backend))
        yield made


def in_any_order() -> list[int]:
    """Give the places of the contenders in the order of a round."""
    return random.sample(range(len(CONTENDERS)), len(CONTENDERS))


async def speeds(file: Path, at_once: int, rounds: int, work: Work) -> list[Speed]:
    """Measure how long it takes to do something with few rows, which are in memory soon.

    Args:
        file: The database.
        at_once: How many tasks do it side by side.
        rounds: How often.
        work: What they do with each.
    """
    found = [Speed() for _ in CONTENDERS]
    async with backends(file, None) as made:

        async def get(backend: TransactionalBackend) -> None:
            for number in range(GETS // at_once):
                await work(backend, task_id(number))

        for turn in range(rounds + 1):  # the first one warms up
            for place in in_any_order():
                began, used = time.perf_counter(), time.process_time()
                await asyncio.gather(*[get(made[place]) for _ in range(at_once)])
                if turn:
                    passed, used = time.perf_counter() - began, time.process_time() - used
                    found[place].passed.append(passed / GETS * 1e6)
                    found[place].processor.append(used / GETS * 1e6)
    return found


async def stalls(
    timer: TurnTimer, file: Path, load: Load, effort: Effort, *, cold: bool = False
) -> list[Stalls]:
    """Measure how late a timer is beside a full load of gets.

    Args:
        timer: What the loop waits on.
        file: The database.
        load: What is got meanwhile.
        effort: How many slices there are for each contender, and how long they are.
        cold: Whether the system forgets the pages of the file before each.
    """
    found = [Stalls() for _ in CONTENDERS]
    counter = Counter()
    async with backends(file, counter) as made:
        for _ in range(effort.rounds):
            for place in in_any_order():
                if cold:
                    forget(file)
                counter.gets = counter.on_the_loop = 0
                timer.forget()
                began = time.perf_counter()
                found[place].late += await timer_beside(made[place], load, effort.seconds)
                found[place].seconds += time.perf_counter() - began
                found[place].turns += timer.turns
                found[place].gets += counter.gets
                found[place].on_the_loop += counter.on_the_loop
    return found


async def timer_beside(backend: TransactionalBackend, load: Load, seconds: float) -> list[float]:
    """Have a timer run beside gets.

    Args:
        backend: Where to get.
        load: What.
        seconds: For how long.

    Returns:
        By how many seconds it was late, tick by tick.
    """
    ends = time.perf_counter() + seconds

    async def get() -> None:
        while time.perf_counter() < ends:
            await load.work(backend, load.key())

    async def tick() -> list[float]:
        late = []
        while (began := time.perf_counter()) < ends:
            await asyncio.sleep(TICK_SECONDS)
            late.append(time.perf_counter() - began - TICK_SECONDS)
        return late

    ticking = asyncio.create_task(tick())
    await asyncio.gather(*[get() for _ in range(load.at_once)])
    return await ticking


async def get_one(backend: TransactionalBackend, key: str) -> None:
    """Get a task."""
    await backend.tasks.get(key)


async def save_in_a_unit(backend: TransactionalBackend, key: str) -> None:
    """Get a task and save it again, three times in one unit of work."""
    async with backend.transaction() as unit:
        for _ in range(3):
            task = await unit.tasks.get(key)
            if task is not None:
                await unit.tasks.save(task)


def forget(file: Path) -> None:
    """Have the system drop the pages of a file from memory, as far as it does so when asked.

    Args:
        file: The file.
    """
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def speed_grid(found: Mapping[str, Sequence[Speed]]) -> Grid:
    """Show how fast gets are, and how that compares, round by round."""
    rows = []
    for what, speeds_found in found.items():
        base = speeds_found[0]
        for name, speed in zip(CONTENDERS, speeds_found, strict=True):
            pairs = zip(base.passed, speed.passed, strict=True)
            ratio = Spread.of([theirs / own for theirs, own in pairs])
            used = zip(base.processor, speed.processor, strict=True)
            ratio_used = Spread.of([theirs / own for theirs, own in used])
            rows.append(
                [
                    f"{what}, {name}",
                    f"{median(speed.passed):.0f}",
                    f"{ratio.middle:.2f} ({ratio.least:.2f} to {ratio.most:.2f})",
                    f"{median(speed.processor):.0f}",
                    f"{ratio_used.middle:.2f} ({ratio_used.least:.2f} to {ratio_used.most:.2f})",
                ]
            )
    header = ["", "µs", "times as fast", "µs of processor", "times as little"]
    return Grid("Gets and units of a warm file", header, rows)


def stall_grid(found: Mapping[str, Sequence[Stalls]]) -> Grid:
    """Show by how many milliseconds the timer was late."""
    rows = []
    for what, stalls_found in found.items():
        for name, each in zip(CONTENDERS, stalls_found, strict=True):
            late = quantiles(each.late, n=1000)
            turns = at_moments(each.turns)
            rows.append(
                [
                    f"{what}, {name}",
                    f"{late[499] * 1e3:.2f}",
                    f"{late[989] * 1e3:.2f}",
                    f"{late[998] * 1e3:.2f}",
                    f"{max(each.late) * 1e3:.2f}",
                    f"{turns[499] * 1e3:.2f}",
                    f"{turns[989] * 1e3:.2f}",
                    f"{turns[998] * 1e3:.2f}",
                    f"{each.gets / each.seconds:,.0f}",
                    # Of a step in a unit nobody counts trips.
                    "" if UNIT in what else f"{each.on_the_loop / max(each.gets, 1):.1%}",
                ]
            )
    header = ["", "late p50", "p99", "p99.9", "most"]
    header += ["turn p50", "p99", "p99.9", "calls/s", "on the loop"]
    return Grid("A timer of 1 ms beside calls, and turns of the loop: milliseconds", header, rows)


def at_moments(turns: Sequence[float]) -> list[float]:
    """Find how long the turn takes that is under way at moments of the loop's work.

    Args:
        turns: How long each took.

    Returns:
        The per-milles: the loop spends half of its time in turns of the 500th or less.
    """
    whole, so_far = sum(turns), 0.0
    found: list[float] = []
    for turn in sorted(turns):
        so_far += turn
        while len(found) < PER_MILLES and so_far >= whole * (len(found) + 1) / 1000:
            found.append(turn)
    return found


async def measure(
    timer: TurnTimer, folder: Path, rows: int, effort: Effort, tell: Callable[[str], None]
) -> list[Grid]:
    """Measure everything.

    Args:
        timer: What the loop waits on.
        folder: Where the file goes.
        rows: How many rows of each kind it has.
        effort: How thorough to be.
        tell: Told how far it is.
    """
    file = folder / "point_reads.db"
    for each in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
        each.unlink(missing_ok=True)
    tell("making the file")
    await fill(f"sqlite:///{file}", Volume(min(rows, PATTERN)))
    if rows > PATTERN:
        enlarge(file, rows)

    def warm() -> str:
        return task_id(random.randrange(min(rows, WARM_ROWS)))

    def any_row() -> str:
        return task_id(random.randrange(rows))

    tell("speed")
    speed = {
        "get": await speeds(file, 1, effort.rounds, get_one),
        "get-64": await speeds(file, AT_ONCE, effort.rounds, get_one),
        UNIT: await speeds(file, 1, effort.rounds, save_in_a_unit),
    }
    tell("stalls")
    found = {
        "warm, 1": await stalls(timer, file, Load(warm, 1, get_one), effort),
        "warm, 64": await stalls(timer, file, Load(warm, AT_ONCE, get_one), effort),
        "cold, 1": await stalls(timer, file, Load(any_row, 1, get_one), effort, cold=True),
        "cold, 64": await stalls(timer, file, Load(any_row, AT_ONCE, get_one), effort, cold=True),
        f"warm {UNIT}": await stalls(timer, file, Load(warm, 1, save_in_a_unit), effort),
        f"cold {UNIT}": await stalls(
            timer, file, Load(any_row, 1, save_in_a_unit), effort, cold=True
        ),
    }
    size = file.stat().st_size / 2**20
    file.unlink()
    tell(f"the file had {size:,.0f} MiB")
    return [speed_grid(speed), stall_grid(found)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print tables.

    Args:
        arguments: Those of the command line.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.point_reads", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="how many rows of each kind")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is measured")
    parser.add_argument(
        "--seconds", type=float, default=SLICE_SECONDS, help="how long the timer runs at a time"
    )
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    console, progress = Console(width=FILE_WIDTH), Console(stderr=True)
    effort = Effort(options.rounds, options.seconds)
    timer = TurnTimer()
    work = measure(timer, options.folder, options.rows, effort, progress.log)
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(timer)) as runner:
        for each in runner.run(work):
            console.print(each.on_terminal())
    return 0


if __name__ == "__main__":
    sys.exit(main())
