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
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Final, TypeVar

from git_log import Commit, GitError, GitLog, count_commits, open_repository
from git_records import Records
from git_report import Report, printable
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from synthorg.entities import AgentLifecycleEvent, Project
from synthorg.persistence import (
    DuplicateRecordError,
    PersistenceBackend,
    PersistenceConfig,
    PersistenceError,
    create_backend,
)
from synthorg.persistence.config import DATABASE_URL_VARIABLE

Record = TypeVar("Record")

DEFAULT_URL: Final = "sqlite:///git-history.db"
COMMITS_AT_ONCE: Final = 32
SAVES_AT_ONCE: Final = 32
"""Enough to keep a database busy; more would only wait in memory."""

WIDTH_IN_A_FILE: Final = 120
EXIT_FAILURE: Final = 2
EXIT_INTERRUPTED: Final = 130


class Importer:
    """Saves a history, and counts what it wrote and what was already there.

    The task of a commit is saved after all its other records: where the task is, they are too,
    so an interrupted import is completed by the next.

    Args:
        backend: A connected backend.
        records: What makes the records of the repository.
    """

    def __init__(self, backend: PersistenceBackend, records: Records) -> None:
        self._backend = backend
        self._records = records
        self._hirings: dict[str, AgentLifecycleEvent] = {}
        self._commits: Counter[str] = Counter()
        self.written: Counter[str] = Counter()
        self.present: Counter[str] = Counter()

    async def run(
        self, commits: AsyncIterator[Commit], advance: Callable[[int], object]
    ) -> Project:
        """Save everything.

        Args:
            commits: The history; read as it is saved, a few commits at a time.
            advance: Is told how many more commits are done.

        Returns:
            The project, with all its authors as the team.
        """
        stored = await self._backend.projects.get(self._records.project_id)
        project = self._records.project() if stored is None else stored
        if stored is None:
            await self._backend.projects.save(project)
        async for batch in _batches(commits, COMMITS_AT_ONCE):
            self._remember_authors(batch)
            await self._save_new(batch, may_be_present=stored is not None)
            advance(len(batch))
        await self._all(
            self._save("agents hired", self._backend.lifecycle_events.save, event)
            for event in self._hirings.values()
        )
        return await self._staff(project)

    def _remember_authors(self, batch: Iterable[Commit]) -> None:
        for commit in batch:
            author = commit.author.identity
            self._commits[author] += 1
            known = self._hirings.get(author)
            if known is None or commit.authored_at <= known.timestamp:
                self._hirings[author] = self._records.hiring(commit)

    async def _save_new(self, batch: Iterable[Commit], *, may_be_present: bool) -> None:
        new = [(commit, self._records.task(commit)) for commit in batch]
        if may_be_present:
            found = await asyncio.gather(*(self._backend.tasks.get(task.id) for _, task in new))
            known = {task for task in found if task is not None}
            for commit, task in new:
                if task in known:
                    counts = {"tasks": 1, "messages": 1, "metrics": 1}
                    self.present.update(counts, artifacts=len(commit.changes))
            new = [(commit, task) for commit, task in new if task not in known]
        await self._all(save for commit, _ in new for save in self._details(commit))
        await self._all(self._save("tasks", self._backend.tasks.save, task) for _, task in new)

    def _details(self, commit: Commit) -> Iterable[Awaitable[None]]:
        for artifact in self._records.artifacts(commit):
            yield self._save("artifacts", self._backend.artifacts.save, artifact)
        yield self._save("metrics", self._backend.task_metrics.save, self._records.metric(commit))
        yield self._save("messages", self._backend.messages.save, self._records.message(commit))

    async def _staff(self, project: Project) -> Project:
        team = tuple(dict.fromkeys((*project.team, *self._commits)))
        lead = max(self._commits, key=self._commits.__getitem__, default=None)
        staffed = self._records.project(team, lead)
        if staffed == project:
            self.present["projects"] += 1
        else:
            await self._save("projects", self._backend.projects.save, staffed)
        return staffed

    async def _save(
        self, kind: str, save: Callable[[Record], Awaitable[None]], record: Record
    ) -> None:
        try:
            await save(record)
        except DuplicateRecordError:
            self.present[kind] += 1
        else:
            self.written[kind] += 1

    async def _all(self, saves: Iterable[Awaitable[None]]) -> None:
        """Carry out saves, a bounded number at once, and wait for all even if one fails."""
        remaining = iter(saves)
        while some := list(islice(remaining, SAVES_AT_ONCE)):
            for outcome in await asyncio.gather(*some, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome


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
        for table in await Report(backend, project, records.channel).tables():
            console.print(table, "")
        _tell_what_was_done(console, importer, log, seconds)
    finally:
        await backend.disconnect()


def _tell_what_was_done(console: Console, importer: Importer, log: GitLog, seconds: float) -> None:
    table = Table(title="Records", title_justify="left", title_style="bold")
    table.add_column("Kind")
    table.add_column("Written", justify="right")
    table.add_column("Already there", justify="right")
    for kind in sorted(importer.written.keys() | importer.present.keys()):
        table.add_row(kind, f"{importer.written[kind]:,}", f"{importer.present[kind]:,}")
    console.print(table)
    written, present = importer.written.total(), importer.present.total()
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


async def _batches(items: AsyncIterator[Commit], size: int) -> AsyncIterator[list[Commit]]:
    batch: list[Commit] = []
    async for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


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
