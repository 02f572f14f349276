"""`python -m benchmarks.extension`: a repository of an application's own beside a built-in one."""

import argparse
import asyncio
import gc
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.data import Volume, project_id, task, task_id
from benchmarks.databases import SITES, Unavailable
from benchmarks.options import add_choice
from benchmarks.own_tasks import OwnTaskRepository, own
from benchmarks.report import FILE_WIDTH, TITLES, Grid
from benchmarks.results import Spread
from synthorg.entities import Task
from synthorg.persistence import ManagedBackend, PersistenceConfig, create_backend
from synthorg.persistence.stores import TaskStore

DATABASES: Final = ("sqlite-full", "postgresql", "mariadb")
ROWS: Final = 5_000
ROUNDS: Final = 15
SLICES: Final = 10
"""How often the two take turns in a round, so that what disturbs one disturbs the other."""
TARGET: Final = 0.95

Work = Callable[[int], Awaitable[object]]
"""Does one unit of a workload, by its number."""


@dataclass(frozen=True)
class Workload:
    """What is timed: how many units make a slice, and the work of either repository."""

    units: int
    built_in: Work
    own: Work


def workloads(
    tasks: TaskStore, own_tasks: OwnTaskRepository, volume: Volume
) -> dict[str, Workload]:
    """Make the same work for both repositories.

    Args:
        tasks: The built-in one.
        own_tasks: The other one.
        volume: What both hold from the start.
    """

    def new(number: int) -> Task:
        return task(volume.rows + number, project=volume.projects)  # which no list asks for

    def stored(number: int) -> Task:
        return volume.task(number % volume.rows, revision=1)

    def some(number: int) -> list[str]:
        return [task_id((number * 7 + place) % volume.rows) for place in range(50)]

    def page(number: int) -> str:
        return project_id(number % volume.projects)

    return {
        "save": Workload(10, lambda n: tasks.save(new(n)), lambda n: own_tasks.save(new(n))),
        "replace": Workload(
            10, lambda n: tasks.save(stored(n)), lambda n: own_tasks.save(stored(n))
        ),
        "get": Workload(
            50,
            lambda n: tasks.get(task_id(n % volume.rows)),
            lambda n: own_tasks.get(task_id(n % volume.rows)),
        ),
        "get fifty": Workload(
            4, lambda n: tasks.get_many(some(n)), lambda n: own_tasks.get_many(some(n))
        ),
        "page of fifty": Workload(
            4,
            lambda n: tasks.page(limit=50, project=page(n)),
            lambda n: own_tasks.page(limit=50, project=page(n)),
        ),
        "list a project": Workload(
            2,
            lambda n: tasks.list_tasks(project=page(n)),
            lambda n: own_tasks.find(project=page(n)),
        ),
        "save a hundred": Workload(
            1,
            lambda n: tasks.save_many(map(new, range(n * 100, n * 100 + 100))),
            lambda n: own_tasks.save_many(map(new, range(n * 100, n * 100 + 100))),
        ),
    }


async def measure(url: str, volume: Volume, rounds: int) -> dict[str, Spread]:
    """Time both repositories in one process, on one backend.

    Args:
        url: A database with the library's tables, filled.
        volume: What is in them.
        rounds: How many rounds count; one more goes before them to warm up.

    Returns:
        By workload: how many times as fast the application's own repository was.
    """
    config = PersistenceConfig.from_url(url)
    async with create_backend(config, extensions=[own]) as backend:
        await backend.migrate()
        await backend.repository(OwnTaskRepository).save_many(volume.tasks())
        return await _measure(backend, volume, rounds)


async def _measure(backend: ManagedBackend, volume: Volume, rounds: int) -> dict[str, Spread]:
    made = workloads(backend.tasks, backend.repository(OwnTaskRepository), volume)
    ratios: dict[str, list[float]] = {name: [] for name in made}
    gc.freeze()  # nor is there anything else to collect
    for round_number in range(rounds + 1):
        for name, workload in made.items():
            seconds = {True: 0.0, False: 0.0}
            os.sync()
            for turn in range(SLICES):
                first = (round_number * SLICES + turn) * workload.units
                numbers = range(first, first + workload.units)
                own_first = (round_number + turn) % 2 == 0  # whoever is first finds caches cold
                for is_own in (own_first, not own_first):
                    work = workload.own if is_own else workload.built_in
                    seconds[is_own] += await _time(work, numbers)
            if round_number:
                ratios[name].append(seconds[False] / seconds[True])
    return {name: Spread.of(values) for name, values in ratios.items()}


async def _time(work: Work, numbers: Sequence[int]) -> float:
    # The garbage of both would be collected in the time of whoever is at work by then, which is
    # the same one in every round, since both make the same objects.
    gc.collect()
    gc.disable()
    begun = time.perf_counter()
    for number in numbers:
        await work(number)
    seconds = time.perf_counter() - begun
    gc.enable()
    return seconds


def grid(found: Mapping[str, Mapping[str, Spread]]) -> Grid:
    """Show each workload on each database.

    Args:
        found: What was measured, by database.
    """
    header = ["", *(TITLES[database] for database in found)]
    names = next(iter(found.values()))
    rows = [[name, *(_shown(each[name]) for each in found.values())] for name in names]
    return Grid("Times as fast as backend.tasks: median (least to most)", header, rows)


def _shown(spread: Spread) -> str:
    return f"{spread.middle:.3f} ({spread.least:.2f} to {spread.most:.2f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every database that is found.

    Args:
        arguments: Those of the command line.

    Returns:
        The exit code: 1 when nothing could be measured, or the median of a workload is too low.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.extension", description=__doc__)
    add_choice(parser, "--database", SITES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--rows", type=int, default=ROWS, help="how many tasks are there")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    console, volume = Console(width=FILE_WIDTH), Volume(options.rows)
    found = {}
    for database in options.database or DATABASES:
        try:
            with SITES[database].open(volume, options.folder) as site:
                found[database] = asyncio.run(measure(site.copy(), volume, options.rounds))
        except Unavailable as reason:
            console.print(f"{database} is not here: {reason}", markup=False)
    if not found:
        return 1
    console.print(grid(found).on_terminal())
    return int(min(each.middle for spreads in found.values() for each in spreads.values()) < TARGET)


if __name__ == "__main__":
    sys.exit(main())
