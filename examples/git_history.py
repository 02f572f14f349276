"""Reads the whole history of a git repository into a database, and answers questions about it.

Run `python examples/git_history.py [REPOSITORY] [--database URL]`: the repository becomes a
project, its authors agents, and each commit a task with a message, a metric and an artifact for
each file that it changed. Run it again, and it adds what is new.
"""

import argparse
import asyncio
import io
import os
import sys
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from time import perf_counter
from typing import Final

from git_import import Importer, Tally
from git_log import GitError, GitLog, count_commits, open_repository
from git_records import Records
from git_report import Report, printable
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from synthorg.persistence import PersistenceConfig, PersistenceError, create_backend
from synthorg.persistence.config import DATABASE_URL_VARIABLE

DEFAULT_URL: Final = "sqlite:///git-history.db"
WIDTH_IN_A_FILE: Final = 120
EXIT_FAILURE: Final = 2
EXIT_INTERRUPTED: Final = 130


async def import_history(folder: Path, config: PersistenceConfig, console: Console) -> None:
    """Read a repository into a database and tell what is found there.

    Args:
        folder: A folder of the repository.
        config: The database.
        console: Where the answers go.

    Raises:
        GitError: If the history cannot be read.
        PersistenceError: If it cannot be stored.
    """
    repository = await open_repository(folder)
    total = await count_commits(repository)
    if total == 0:
        _say(console, f"{repository.name} has no commits yet, so there is nothing to read.")
        return
    _say(
        console,
        f"Reading {repository.name} ({total:,} commits) into {config.section.description}",
    )
    if repository.is_shallow:
        _say(console, "This clone is shallow: its oldest commits appear to add every file.")
    backend = create_backend(config)
    await backend.connect()
    try:
        await backend.migrate()
        records = Records(repository)
        importer = Importer(backend, records)
        log = GitLog(repository)
        start = perf_counter()
        with _progress() as progress:
            bar = progress.add_task("commits", total=total)
            async with aclosing(log.commits()) as commits:
                project = await importer.run(commits, lambda count: progress.advance(bar, count))
        seconds = perf_counter() - start
        async with backend.transaction(read_only=True) as work:
            tables = await Report(work, project, records.channel).tables()
        for table in tables:
            console.print(table, "")
        _tell_what_was_done(console, importer.tally, log, seconds)
    finally:
        await backend.disconnect()


def _tell_what_was_done(console: Console, tally: Tally, log: GitLog, seconds: float) -> None:
    table = Table(title="Records", title_justify="left", title_style="bold")
    table.add_column("Kind")
    table.add_column("Written", justify="right")
    table.add_column("Already there", justify="right")
    for kind in sorted(tally.written.keys() | tally.present.keys()):
        table.add_row(kind, f"{tally.written[kind]:,}", f"{tally.present[kind]:,}")
    console.print(table)
    written, present = tally.written.total(), tally.present.total()
    rate = (written + present) / seconds
    _say(
        console,
        f"Wrote {written:,} records, {present:,} were already there; "
        f"it took {seconds:.2f} s ({rate:,.0f} records per second).",
    )
    if log.mended_texts:
        _say(
            console,
            f"{log.mended_texts:,} texts held bytes that are no UTF-8; "
            "each is shown as \N{REPLACEMENT CHARACTER}.",
        )
    if log.mended_times:
        _say(
            console,
            f"{log.mended_times:,} times were malformed or out of range, and were mended.",
        )


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def _say(console: Console, sentence: str) -> None:
    console.print(printable(sentence), markup=False, highlight=False, soft_wrap=True)


def _console() -> Console:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return Console(width=None if sys.stdout.isatty() else WIDTH_IN_A_FILE)


def _choose_database(url: str | None, console: Console) -> PersistenceConfig:
    if url is not None:
        return PersistenceConfig.from_url(url)
    if os.environ.get(DATABASE_URL_VARIABLE):
        return PersistenceConfig.from_env()
    _say(
        console,
        f"Neither --database nor {DATABASE_URL_VARIABLE} names a database: "
        f"using {DEFAULT_URL}, a file in the current folder.",
    )
    return PersistenceConfig.from_url(DEFAULT_URL)


def _problems(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_input=False)
    places = (".".join(map(str, detail["loc"])) for detail in details)
    problems = (detail["msg"].removeprefix("Value error, ") for detail in details)
    return "; ".join(f"{place} {problem}" for place, problem in zip(places, problems, strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Its arguments; None for those of the process.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        description="Read the whole history of a git repository into a database."
    )
    parser.add_argument(
        "repository",
        nargs="?",
        type=Path,
        default=Path(__file__).resolve().parent,
        help="any folder of the repository (default: the one that this script is in)",
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        help=f"such as sqlite:///file.db (default: ${DATABASE_URL_VARIABLE}, else {DEFAULT_URL})",
    )
    options = parser.parse_args(arguments)
    console = _console()
    try:
        config = _choose_database(options.database, console)
    except ValidationError as error:
        return _fail(f"the database cannot be used: {_problems(error)}")
    try:
        asyncio.run(import_history(options.repository, config, console))
    except (GitError, PersistenceError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted; run it again to go on")
        return EXIT_INTERRUPTED
    return 0


def _fail(problem: str) -> int:
    print(f"git_history: {printable(problem)}", file=sys.stderr)
    return EXIT_FAILURE


if __name__ == "__main__":
    sys.exit(main())
