"""`python -m benchmarks.pruning`: how much others notice while costs are pruned."""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from math import isclose
from pathlib import Path
from typing import Final

from rich.console import Console
from sqlalchemy import text

from benchmarks.data import Volume, task
from benchmarks.databases import SITES, Unavailable
from benchmarks.options import add_choice
from benchmarks.report import FILE_WIDTH, TITLES, Grid
from benchmarks.rollups import PRECISION, costs
from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.retention import PruneReport, RetentionPolicy, prune
from synthorg.persistence.transactions import TransactionalBackend

DATABASES: Final = ("sqlite-full", "postgresql")
COSTS: Final = 1_000_000
SECONDS: Final = 30
CALLERS: Final = 4
THINKING_SECONDS: Final = 0.002
TASKS: Final = 1_000


@dataclass(frozen=True)
class Figures:
    """What was measured on one database: seconds of others' calls, in order, and what was pruned.

    Attributes:
        database: Its name among the sites.
        undisturbed: The calls while nobody pruned.
        disturbed: Those while somebody did.
        pruned: What was pruned meanwhile.
        seconds: How long it took.
    """

    database: str
    undisturbed: Sequence[float]
    disturbed: Sequence[float]
    pruned: PruneReport
    seconds: float

    @property
    def ratio(self) -> float:
        """How many times as long the 99th percentile was."""
        return percentile(self.disturbed) / percentile(self.undisturbed)


def percentile(seconds: Sequence[float]) -> float:
    """Give the 99th percentile of the times of calls.

    Args:
        seconds: The times.
    """
    return statistics.quantiles(seconds, n=100)[98]


async def measure(
    url: str, database: str, number: int, seconds: float, tell: Callable[[str], None]
) -> Figures:
    """Time others' calls, first alone and then while all but the last costs are pruned.

    Args:
        url: An empty database.
        database: Its name among the sites.
        number: How many costs to store.
        seconds: How long to time the calls, each time.
        tell: Told how far it is.
    """
    async with create_backend(PersistenceConfig.from_url(url)) as backend:
        tell(f"{database}: storing")
        await backend.tasks.save_many(task(each, project=0) for each in range(TASKS))
        await backend.cost_records.save_many(costs(number))
        if database == "postgresql":  # which does so by itself, a while later
            async with backend.get_db().begin() as connection:
                await connection.execute(text("ANALYZE"))
        before = await backend.cost_records.aggregate()
        tell(f"{database}: undisturbed")
        undisturbed = await timed(backend, seconds)
        tell(f"{database}: pruning")
        kept = datetime.now(UTC) - datetime(2025, 12, 30, tzinfo=UTC)
        policy = RetentionPolicy.of({"cost_records": {"max_age": kept}})
        began = time.perf_counter()
        pruning = prune(backend, policy, budget=timedelta(seconds=seconds))
        disturbed, pruned = await asyncio.gather(timed(backend, seconds), pruning)
        took = time.perf_counter() - began
        if not isclose(before, await backend.cost_records.aggregate(), rel_tol=PRECISION):
            raise ValueError("the sum of all costs has changed")
    return Figures(database, undisturbed, disturbed, pruned, took)


async def timed(backend: TransactionalBackend, seconds: float) -> list[float]:
    """Save and read tasks for a while, as several callers do, and time each call.

    Args:
        backend: The backend.
        seconds: For how long.
    """
    found: list[float] = []
    numbers = count()
    deadline = time.perf_counter() + seconds

    async def call() -> None:
        while time.perf_counter() < deadline:
            saved = task(next(numbers) % TASKS, project=0, revision=1)
            for work in (backend.tasks.save(saved), backend.tasks.get(saved.id)):
                began = time.perf_counter()
                await work
                found.append(time.perf_counter() - began)
            await asyncio.sleep(THINKING_SECONDS)

    await asyncio.gather(*[call() for _ in range(CALLERS)])
    return found


def grid(found: Sequence[Figures]) -> Grid:
    """Show what was measured, a column for each database.

    Args:
        found: What was measured.
    """

    def line(name: str, show: Callable[[Figures], str]) -> list[str]:
        return [name, *map(show, found)]

    rows = [
        line("undisturbed, ms", lambda each: f"{percentile(each.undisturbed) * 1e3:.2f}"),
        line("while pruning, ms", lambda each: f"{percentile(each.disturbed) * 1e3:.2f}"),
        line("times as long", lambda each: f"{each.ratio:.2f}"),
        line("calls undisturbed", lambda each: f"{len(each.undisturbed):,}"),
        line("calls while pruning", lambda each: f"{len(each.disturbed):,}"),
        line("costs pruned", lambda each: f"{each.pruned.removed:,}"),
        line("… in a second", lambda each: f"{each.pruned.removed / each.seconds:,.0f}"),
        line("costs remaining", lambda each: f"{each.pruned.remaining:,}"),
    ]
    header = ["", *(TITLES[each.database] for each in found)]
    return Grid("Others' calls: 99th percentile", header, rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every database that is found.

    Args:
        arguments: Those of the command line.

    Returns:
        The exit code: 1 when nothing could be measured.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pruning", description=__doc__)
    add_choice(parser, "--database", SITES)
    parser.add_argument("--costs", type=int, default=COSTS, help="how many costs")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long to time calls")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    console, progress = Console(width=FILE_WIDTH), Console(stderr=True)
    found = []
    with progress.status("starting") as status:
        for database in options.database or DATABASES:
            try:
                with SITES[database].open(Volume(0), options.folder) as site:
                    found.append(
                        asyncio.run(
                            measure(
                                site.copy(),
                                database,
                                options.costs,
                                options.seconds,
                                status.update,
                            )
                        )
                    )
            except Unavailable as reason:
                progress.print(f"{database} is not here: {reason}", markup=False)
    if not found:
        return 1
    console.print(grid(found).on_terminal())
    return 0


if __name__ == "__main__":
    sys.exit(main())
