"""The figures for people: tables on the terminal and in Markdown, and JSON for programs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.contenders import AGAIN, REFERENCES
from benchmarks.databases import SITES
from benchmarks.results import DatabaseResults, Measurement
from benchmarks.workloads import WORKLOADS

OWN: Final = "synthorg"
FILE_WIDTH: Final = 120
"""The characters in a line where there is no terminal to ask."""

TITLES: Final = {
    "sqlite-full": "SQLite, synchronous=FULL",
    "sqlite-normal": "SQLite, synchronous=NORMAL",
    "postgresql": "PostgreSQL",
    "mariadb": "MariaDB",
}


@dataclass(frozen=True)
class Grid:
    """A table, however it is shown."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def on_terminal(self) -> Table:
        """Make the table for the terminal."""
        table = Table(title=self.title, title_justify="left")
        for number, name in enumerate(self.header):
            table.add_column(name, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def in_markdown(self) -> str:
        """Write the table as Markdown."""
        lines = [self.header, ["---", *["---:"] * (len(self.header) - 1)], *self.rows]
        return "\n".join([f"**{self.title}**", "", *[f"| {' | '.join(line)} |" for line in lines]])


@dataclass(frozen=True)
class Report:
    """A whole run.

    Attributes:
        date: When it began.
        machine: What it ran on.
        versions: Of the packages.
        settings: How thorough it was.
        databases: What was measured.
    """

    date: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    databases: Sequence[DatabaseResults]

    @property
    def caption(self) -> str:
        """Date and machine in one line."""
        machine = self.machine
        return (
            f"{self.date[:10]}, {machine['processor']}, {machine['cores']} cores, "
            f"Python {machine['python']}, {self.settings['rows']:,} rows, "
            f"{self.settings['rounds']} rounds"
        )

    def show(self, console: Console) -> None:
        """Print the tables.

        Args:
            console: Where.
        """
        for results in self.databases:
            for workload in self._workloads(results):
                console.print(details(results, workload).on_terminal())
            console.print(overview(results, with_rates=False).on_terminal())
            for line in remarks(results):
                console.print(line, markup=False, highlight=False)
            console.print()

    def save(self, folder: Path) -> None:
        """Write the figures as JSON, and the overviews as Markdown.

        Args:
            folder: Where.
        """
        content = {
            "date": self.date,
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "settings": dict(self.settings),
            "databases": [results.as_json() for results in self.databases],
        }
        (folder / "results.json").write_text(json.dumps(content, indent=1) + "\n")
        parts = [f"Measured {self.caption}."]
        for results in self.databases:
            parts += [overview(results, with_rates=True).in_markdown(), "\n".join(remarks(results))]
        (folder / "results.md").write_text("\n\n".join(parts) + "\n")

    @staticmethod
    def _workloads(results: DatabaseResults) -> list[str]:
        return [name for name in WORKLOADS if name in results.workloads()]


def details(results: DatabaseResults, workload: str) -> Grid:
    """Compare the contenders in one workload, with the spread over the rounds.

    Args:
        results: All contenders on one database.
        workload: The workload.
    """
    found = results.of(workload)
    reference, own = found.get(reference_of(results)), found.get(OWN)
    rows = [
        [
            name,
            f"{measurement.rates.middle:,.0f}",
            _ratio(measurement, reference),
            _ratio(own, measurement),
        ]
        for name, measurement in found.items()
    ]
    chosen = WORKLOADS[workload]
    return Grid(
        f"{chosen.title} — {TITLES[results.database]}",
        ["", chosen.per_second, f"times {reference_of(results)}", f"{OWN} is times as fast"],
        rows,
    )


def overview(results: DatabaseResults, *, with_rates: bool) -> Grid:
    """Show how many times as fast as the reference each contender is.

    Args:
        results: All contenders on one database.
        with_rates: Whether to show its rate beside it.
    """
    workloads = [name for name in WORKLOADS if name in results.workloads()]
    columns = {name: results.of(name) for name in workloads}
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    reference = reference_of(results)

    def cell(workload: str, name: str) -> str:
        measured, compared = columns[workload].get(name), columns[workload].get(reference)
        if measured is None:
            return ""
        ratio = "" if compared is None else f"{measured.ratio_to(compared).middle:.2f}"
        return f"{measured.rates.middle:,.0f} ({ratio})" if with_rates else ratio

    rows = [[name, *(cell(workload, name) for workload in workloads)] for name in names]
    title = f"{TITLES[results.database]}: times {reference}"
    if with_rates:
        title = f"{TITLES[results.database]}: per second, and times {reference}"
    return Grid(title, ["", *workloads], rows)


def remarks(results: DatabaseResults) -> Iterator[str]:
    """Say how much is chance, what was set, and what went wrong.

    Args:
        results: All contenders on one database.
    """
    for name in (reference_of(results), OWN):
        spreads = [
            found[name + AGAIN].ratio_to(found[name])
            for found in map(results.of, results.workloads())
            if name in found and name + AGAIN in found
        ]
        if spreads:
            middles = [spread.middle for spread in spreads]
            yield (
                f"{name} against itself: medians {min(middles):.2f} to {max(middles):.2f}, single "
                f"rounds {min(each.least for each in spreads):.2f} to "
                f"{max(each.most for each in spreads):.2f}; a ratio in there shows no difference."
            )
    yield ", ".join(f"{name} {value}" for name, value in results.settings.items()) + "."
    yield from (f"Not measured: {problem}." for problem in results.problems)


def reference_of(results: DatabaseResults) -> str:
    """Name what the others are compared with."""
    return REFERENCES[SITES[results.database].backend]


def _ratio(measurement: Measurement | None, other: Measurement | None) -> str:
    if measurement is None or other is None or measurement is other:
        return ""
    spread = measurement.ratio_to(other)
    return f"{spread.middle:.2f} ({spread.least:.2f} to {spread.most:.2f})"
