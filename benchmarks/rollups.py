"""`python -m benchmarks.rollups`: a year's totals, before and after its costs are rolled up."""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isclose
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from sqlalchemy import text

from benchmarks.data import Volume, agent_id, task, task_id
from benchmarks.databases import SITES, Unavailable
from benchmarks.options import add_choice
from benchmarks.report import FILE_WIDTH, TITLES, Grid
from synthorg.entities import CostRecord
from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.rollups import roll_up_costs
from synthorg.persistence.totals import CostTotal
from synthorg.persistence.transactions import TransactionalBackend

DATABASES: Final = ("sqlite-full", "postgresql")
COSTS: Final = 10_000_000
DAYS: Final = 365
TASKS_OF_A_DAY: Final = 100
PROJECTS: Final = 20
MODELS: Final = ("large", "small")
FIRST_DAY: Final = datetime(2025, 1, 1, tzinfo=UTC)
REPETITIONS: Final = 3
PRECISION: Final = 1e-9

Question = Callable[[TransactionalBackend], Awaitable[Any]]

QUESTIONS: Final[dict[str, Question]] = {
    "the year by project": lambda backend: backend.cost_records.totals(["project"]),
    "the year by agent": lambda backend: backend.cost_records.totals(["agent_id"]),
    "the year by day": lambda backend: backend.cost_records.totals(["day"]),
    "one month by project": lambda backend: backend.cost_records.totals(
        ["project"],
        since=FIRST_DAY + timedelta(days=31),
        until=FIRST_DAY + timedelta(days=59, microseconds=-1),
    ),
    "the year's sum": lambda backend: backend.cost_records.aggregate(),
}


@dataclass(frozen=True)
class Figures:
    """What was measured on one database.

    Attributes:
        database: Its name among the sites.
        costs: How many costs there are.
        seconds: By question, the least of some times: before, and after.
        rolling_up: The seconds that rolling up took.
    """

    database: str
    costs: int
    seconds: dict[str, tuple[float, float]]
    rolling_up: float


def costs(number: int) -> Iterator[CostRecord]:
    """Make the costs of a year, in the order of time.

    Args:
        number: How many.
    """
    for place in range(number):
        day, of_day = divmod(place * DAYS, number)
        task_number = day * TASKS_OF_A_DAY + place % TASKS_OF_A_DAY
        yield CostRecord(
            agent_id=agent_id(task_number % 50),
            task_id=task_id(task_number),
            provider="provider",
            model=MODELS[place % 3 % 2],
            input_tokens=100 + place % 1_000,
            output_tokens=10 + place % 100,
            cost_usd=(place % 1_000) / 7e5,
            timestamp=FIRST_DAY + timedelta(days=day + of_day / number),
        )


async def measure(url: str, database: str, number: int, tell: Callable[[str], None]) -> Figures:
    """Ask every question before costs are rolled up, and after.

    Args:
        url: An empty database.
        database: Its name among the sites.
        number: How many costs to store.
        tell: Told how far it is.
    """
    async with create_backend(PersistenceConfig.from_url(url)) as backend:
        tell(f"{database}: storing")
        tasks = range(DAYS * TASKS_OF_A_DAY)
        await backend.tasks.save_many(task(each, project=each % PROJECTS) for each in tasks)
        await backend.cost_records.save_many(costs(number))
        if database == "postgresql":  # which does so by itself, a while later
            async with backend.get_db().begin() as connection:
                await connection.execute(text("ANALYZE"))
        tell(f"{database}: asking")
        before = {name: await timed(backend, ask) for name, ask in QUESTIONS.items()}
        tell(f"{database}: rolling up")
        began = time.perf_counter()
        await roll_up_costs(backend, before=FIRST_DAY + timedelta(days=DAYS + 1))
        rolling_up = time.perf_counter() - began
        tell(f"{database}: asking again")
        after = {name: await timed(backend, ask) for name, ask in QUESTIONS.items()}
    for name, (_, answer) in before.items():
        check_same(name, answer, after[name][1])
    seconds = {name: (before[name][0], after[name][0]) for name in QUESTIONS}
    return Figures(database, number, seconds, rolling_up)


async def timed(backend: TransactionalBackend, ask: Question) -> tuple[float, Any]:
    """Ask a question some times.

    Args:
        backend: The backend.
        ask: The question.

    Returns:
        The least of the times, and the answer.
    """
    times, answer = [], None
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        answer = await ask(backend)
        times.append(time.perf_counter() - began)
    return min(times), answer


def check_same(name: str, before: Any, after: Any) -> None:
    """Refuse an answer that has changed.

    Args:
        name: The question.
        before: The answer from the costs.
        after: The answer from their roll-ups.

    Raises:
        ValueError: If they are not the same.
    """
    if isinstance(before, float):
        same = isclose(before, after, rel_tol=PRECISION)
    else:
        same = len(before) == len(after) and all(map(_is_same, before, after))
    if not same:
        raise ValueError(f"{name}: the sums have changed")


def _is_same(one: CostTotal, other: CostTotal) -> bool:
    counts = ("input_tokens", "output_tokens", "records", "project", "agent_id", "day")
    return isclose(one.cost_usd, other.cost_usd, rel_tol=PRECISION) and all(
        getattr(one, name) == getattr(other, name) for name in counts
    )


def grid(found: Sequence[Figures]) -> Grid:
    """Show what was measured, a column for each database.

    Args:
        found: What was measured.
    """

    def cell(before: float, after: float) -> str:
        return f"{before * 1e3:,.0f} to {after * 1e3:,.1f} ({before / after:,.1f} times)"

    rows = [[name, *(cell(*each.seconds[name]) for each in found)] for name in QUESTIONS]
    rows.append(["rolling up, seconds", *(f"{each.rolling_up:,.0f}" for each in found)])
    header = ["", *(TITLES[each.database] for each in found)]
    return Grid(f"Totals of {found[0].costs:,} costs: milliseconds", header, rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every database that is found.

    Args:
        arguments: Those of the command line.

    Returns:
        The exit code: 1 when nothing could be measured.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollups", description=__doc__)
    add_choice(parser, "--database", SITES)
    parser.add_argument("--costs", type=int, default=COSTS, help="how many costs")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    console, progress = Console(width=FILE_WIDTH), Console(stderr=True)
    found = []
    with progress.status("starting") as status:
        for database in options.database or DATABASES:
            try:
                with SITES[database].open(Volume(0), options.folder) as site:
                    work = measure(site.copy(), database, options.costs, status.update)
                    found.append(asyncio.run(work))
            except Unavailable as reason:
                progress.print(f"{database} is not here: {reason}", markup=False)
    if not found:
        return 1
    console.print(grid(found).on_terminal())
    return 0


if __name__ == "__main__":
    sys.exit(main())
