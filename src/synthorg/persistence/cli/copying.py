"""What `synthorg-db copy` shows: a bar on a terminal, lines elsewhere, and what came of it."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from synthorg.persistence.cli.failures import ExitCode, fail
from synthorg.persistence.cli.observing import observers
from synthorg.persistence.config import PersistenceConfig
from synthorg.persistence.extension import Extension
from synthorg.persistence.transfer import Progress as Told
from synthorg.persistence.transfer import (
    compare_databases,
    copy_database,
)

Result = TypeVar("Result")

SECONDS_BETWEEN_LINES: Final = 10.0


def copy(
    source: PersistenceConfig,
    target: PersistenceConfig,
    extensions: Sequence[Extension],
    *,
    skip_unreadable: bool,
    as_json: bool,
) -> None:
    """Copy a database and say what came of it."""
    report = shown(
        lambda told: copy_database(
            source,
            target,
            extensions=extensions,
            skip_unreadable=skip_unreadable,
            progress=told,
            observers=observers(),
        )
    )
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
        return
    table = table_of_numbers("table", "rows", "left out", "removed again")
    for each in report.tables:
        table.add_row(each.name, *(f"{n:,}" for n in (each.rows, each.skipped, each.removed)))
    Console().print(table)
    if report.left_out:
        typer.echo(f"not copied, as nobody named whose they are: {', '.join(report.left_out)}")
    typer.echo(f"copied and compared: {report.rows:,} rows, {report.skipped:,} left out")


def verify(
    first: PersistenceConfig,
    second: PersistenceConfig,
    extensions: Sequence[Extension],
    *,
    skip_unreadable: bool,
    as_json: bool,
) -> None:
    """Compare two databases, and fail if they are not the same."""
    compared = shown(
        lambda told: compare_databases(
            first,
            second,
            extensions=extensions,
            skip_unreadable=skip_unreadable,
            progress=told,
            observers=observers(),
        )
    )
    if as_json:
        typer.echo(json.dumps(compared.as_json(), indent=2))
    elif compared.differences:
        table = table_of_numbers("table", "rows in the first", "rows in the second", "records")
        for each in compared.differences:
            table.add_row(each.name, f"{each.first.rows:,}", f"{each.second.rows:,}", "differ")
        Console().print(table)
    if compared.differences:
        fail(f"the databases differ in {len(compared.differences)} tables", ExitCode.REFUSED)
    if not as_json:
        typer.echo(f"the same: {sum(each.first.rows for each in compared.tables):,} rows")


def table_of_numbers(first: str, *numbers: str) -> Table:
    """Make a table of names and numbers.

    Args:
        first: The heading of the names.
        numbers: The heading of each column of numbers.
    """
    table = Table()
    table.add_column(first)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def shown(work: Callable[[Told], Coroutine[Any, Any, Result]]) -> Result:
    """Do something with rows, and show how far it is.

    Args:
        work: What is done; it is given whom to tell.
    """
    console = Console(stderr=True)
    with _bar(console) if console.is_terminal else _lines() as told:
        return asyncio.run(work(told))


class _RateColumn(ProgressColumn):
    """How many rows are done in a second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f} rows/s")


@contextmanager
def _bar(console: Console) -> Iterator[Told]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("looking", total=None)

        def told(what: str, table: str, done: int, total: int) -> None:
            progress.update(task, description=f"{what} {table}", completed=done, total=total)

        yield told


@contextmanager
def _lines() -> Iterator[Told]:
    began = time.monotonic()
    shown, said_at = "", began

    def told(what: str, table: str, done: int, total: int) -> None:
        nonlocal shown, said_at
        now = time.monotonic()
        if f"{what} {table}" == shown and now - said_at < SECONDS_BETWEEN_LINES:
            return
        shown, said_at = f"{what} {table}", now
        rate = done / max(now - began, 0.001)
        typer.echo(f"[{done}/{total}] {shown}, {rate:,.0f} rows/s", err=True)

    yield told
