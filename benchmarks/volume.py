"""`python -m benchmarks.volume`: a million records, and the memory that they take."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Final, TypeVar

from rich.console import Console

from benchmarks import machine
from benchmarks.data import Volume
from benchmarks.databases import SITES, Unavailable
from benchmarks.growth import PAGE
from benchmarks.options import add_choice
from benchmarks.report import FILE_WIDTH, TITLES, Grid
from benchmarks.results import Spread
from benchmarks.volume_steps import (
    Measured,
    PageWalk,
    Sizes,
    TaskSaves,
    store_messages,
    store_tasks,
    walk_by_pages,
    walk_by_stream,
)
from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.transactions import TransactionalBackend

DATABASES: Final = ("sqlite-full", "postgresql", "mariadb")
"""NORMAL would differ from FULL in commits alone, of which there are few here."""
RECORDS: Final = 1_000_000
TASKS: Final = 100_000
LIMIT: Final = 64 * 2**20
"""The bytes by which no step may grow."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Figures:
    """What was measured on one database."""

    database: str
    settings: dict[str, str]
    storing: Measured
    pages: PageWalk
    stream: Measured
    tasks: TaskSaves

    @property
    def memory(self) -> dict[str, Measured]:
        """The steps whose memory is limited, by what they do."""
        return {
            "store messages": self.storing,
            "walk by pages": self.pages.walk,
            "stream": self.stream,
            "store tasks": self.tasks.at_once,
        }


Step = Callable[[TransactionalBackend, Sizes], Awaitable[Result]]


def measure(database: str, sizes: Sizes, folder: Path, tell: Callable[[str], None]) -> Figures:
    """Do all steps on one kind of database, each in a process of its own.

    Args:
        database: Its name among the sites.
        sizes: How much there is to do.
        folder: Where files go.
        tell: Told how far it is.

    Raises:
        Unavailable: If there is no such database here.
        WalkError: If a walk did not see every message once.
    """
    with SITES[database].open(Volume(0), folder) as site:
        url = site.copy()

        def perform(step: Step[Result], what: str) -> Result:
            tell(f"{database}: {what}")
            os.sync()  # no step pays for what the one before has left to be written
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                return process.submit(_perform, step, url, sizes).result()

        return Figures(
            database,
            dict(site.settings()),
            perform(store_messages, "storing messages"),
            perform(walk_by_pages, "walking by pages"),
            perform(walk_by_stream, "streaming"),
            perform(store_tasks, "storing tasks"),
        )


def _perform(step: Step[Result], url: str, sizes: Sizes) -> Result:
    async def connected() -> Result:
        backend = create_backend(PersistenceConfig.from_url(url))
        await backend.connect()
        try:
            return await step(backend, sizes)
        finally:
            await backend.disconnect()

    return asyncio.run(connected())


def grid(found: Sequence[Figures]) -> Grid:
    """Show what was measured, a column for each database.

    Args:
        found: What was measured.
    """
    one = found[0]

    def line(name: str, show: Callable[[Figures], str]) -> list[str]:
        return [name, *map(show, found)]

    def stored(name: str, step: Callable[[Figures], Measured]) -> Iterator[list[str]]:
        yield line(f"{name}, per second", lambda each: f"{step(each).rate:,.0f}")
        yield line(
            "… with the time to make them", lambda each: f"{step(each).rate_with_making:,.0f}"
        )
        yield line("… memory grew by", lambda each: _memory(step(each)))

    def walked(name: str, step: Callable[[Figures], Measured]) -> Iterator[list[str]]:
        yield line(f"{name}, per second", lambda each: f"{step(each).rate:,.0f}")
        yield line("… memory grew by", lambda each: _memory(step(each)))

    def timed(page: int) -> list[str]:
        return line(
            f"… ms for page {page:,}", lambda each: _milliseconds(each.pages.milliseconds[page])
        )

    messages, tasks = one.storing.records, one.tasks
    rows = chain(
        stored(f"store {messages:,} messages at once", lambda each: each.storing),
        walked(f"walk by pages of {PAGE}", lambda each: each.pages.walk),
        map(timed, one.pages.milliseconds),
        walked("walk by stream", lambda each: each.stream),
        stored(f"store {tasks.at_once.records:,} tasks at once", lambda each: each.tasks.at_once),
        [
            line(
                f"store {tasks.single.records:,} tasks singly, per second",
                lambda each: f"{each.tasks.single.rate:,.0f}",
            ),
            line("… at once is times as fast", lambda each: f"{each.tasks.ratio:.1f}"),
        ],
    )
    header = ["", *(TITLES[each.database] for each in found)]
    return Grid(f"Volume: {messages:,} messages in one channel", header, list(rows))


def _memory(step: Measured) -> str:
    return f"{step.growth / 2**20:.1f} MiB (to {step.peak / 2**20:.0f})"


def _milliseconds(spread: Spread) -> str:
    return f"{spread.middle:.2f} ({spread.least:.2f} to {spread.most:.2f})"


def remarks(found: Sequence[Figures]) -> Iterator[str]:
    """Say how memory was measured, and whether it stayed small.

    Args:
        found: What was measured.
    """
    for method in dict.fromkeys(step.method for each in found for step in each.memory.values()):
        yield f"Memory is {method}, of the process that uses the library."
    above = too_large(found)
    limit = f"more than {LIMIT // 2**20} MiB"
    yield f"By {limit} grew: {', '.join(above)}." if above else f"No step grew by {limit}."


def too_large(found: Sequence[Figures]) -> list[str]:
    """Name the steps that grew beyond the limit.

    Args:
        found: What was measured.
    """
    return [
        f"{name} on {TITLES[each.database]}"
        for each in found
        for name, step in each.memory.items()
        if step.growth > LIMIT
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every database that is found.

    Args:
        arguments: Those of the command line.

    Returns:
        The exit code: 1 when nothing could be measured, or a step took too much memory.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.volume", description=__doc__)
    add_choice(parser, "--database", SITES)
    parser.add_argument("--records", type=int, default=RECORDS, help="how many messages")
    parser.add_argument("--tasks", type=int, default=TASKS, help="how many tasks")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    options.output.mkdir(parents=True, exist_ok=True)
    console, progress = Console(width=FILE_WIDTH), Console(stderr=True)
    sizes = Sizes(options.records, options.tasks)
    found = []
    with progress.status("starting") as status:
        for database in options.database or DATABASES:
            try:
                found.append(measure(database, sizes, options.folder, status.update))
            except Unavailable as reason:
                progress.print(f"{database} is not here: {reason}", markup=False)
            else:
                save(found, options.folder, options.output)  # before another one can fail
    if not found:
        return 1
    console.print(grid(found).on_terminal())
    for remark in remarks(found):
        console.print(remark, markup=False, highlight=False)
    return 1 if too_large(found) else 0


def save(found: Sequence[Figures], folder: Path, output: Path) -> None:
    """Write the figures as JSON, and the table as Markdown.

    Args:
        found: What was measured.
        folder: Where the database files were.
        output: Where they go.
    """
    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(folder),
        "versions": machine.versions(),
        "databases": [asdict(each) for each in found],
    }
    (output / "volume.json").write_text(json.dumps(content, indent=1) + "\n")
    parts = [grid(found).in_markdown(), *remarks(found)]
    (output / "volume.md").write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    sys.exit(main())
