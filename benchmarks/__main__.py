"""`python -m benchmarks`: measure, show and save."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import machine
from benchmarks.charts import save_charts
from benchmarks.contenders import AGAIN, CONTENDERS, REFERENCES
from benchmarks.data import SEED, Volume
from benchmarks.databases import SITES, Unavailable
from benchmarks.measure import Plan, measure
from benchmarks.options import add_choice
from benchmarks.report import FILE_WIDTH, OWN, Report
from benchmarks.workloads import WORKLOADS

AA_CONTROL: Final = (OWN + AGAIN, *(name + AGAIN for name in REFERENCES.values()))
ALL: Final = (*CONTENDERS, *AA_CONTROL)
MAIN: Final = (
    *(OWN, *REFERENCES.values(), "aiosqlite-bulk", "sqlite3-one-hop", "core"),
    *AA_CONTROL,
)
"""The contenders of a quick run."""

ROUNDS, QUICK_ROUNDS = 9, 7
ROWS, QUICK_ROWS = 100_000, 10_000
QUICK_DATABASES: Final = ("sqlite-full",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that the command line asks for.

    Args:
        arguments: Those of the command line.

    Returns:
        The exit code: 1 when nothing could be measured.
    """
    console, progress = Console(), Console(stderr=True)
    if not console.is_terminal:
        console = Console(width=FILE_WIDTH)
    options = _parse(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    options.output.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        contenders=options.contenders or (MAIN if options.quick else ALL),
        workloads=options.workloads or tuple(WORKLOADS),
        rounds=options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS),
        volume=Volume(options.rows or (QUICK_ROWS if options.quick else ROWS)),
        quick=options.quick,
        folder=options.folder,
    )
    start = datetime.now(UTC)
    databases = []
    with progress.status("starting") as status:
        for database in options.database or (QUICK_DATABASES if options.quick else SITES):
            try:
                databases.append(measure(database, plan, status.update))
            except Unavailable as reason:
                progress.print(f"{database} is not here: {reason}", markup=False)
    if not databases:
        return 1
    settings = {
        "rounds": plan.rounds,
        "rows": plan.volume.rows,
        "quick": plan.quick,
        "seed": SEED,
        "minutes": round((datetime.now(UTC) - start).total_seconds() / 60, 1),
    }
    report = Report(
        start.isoformat(timespec="seconds"),
        machine.describe(plan.folder),
        machine.versions(),
        settings,
        databases,
    )
    report.show(console)
    report.save(options.output)
    save_charts(report, options.output)
    console.print(f"Saved in {options.output}, after {settings['minutes']} minutes.")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="in two minutes: SQLite alone, few contenders, short rounds, small tables",
    )
    add_choice(parser, "--contenders", (*CONTENDERS, *(name + AGAIN for name in CONTENDERS)))
    add_choice(parser, "--workloads", WORKLOADS)
    add_choice(parser, "--database", SITES)
    parser.add_argument("--rounds", type=int, help="how many rounds count")
    parser.add_argument("--rows", type=int, help="how many rows each table has from the start")
    parser.add_argument(
        "--folder", type=Path, default=Path("build/benchmarks"), help="for the database files"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("build/benchmarks"), help="for results and charts"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
