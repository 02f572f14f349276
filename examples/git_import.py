"""Saves a history in units of work, each of which stores all records of some commits or none."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from git_log import Commit
from git_records import Records

from synthorg.entities import AgentLifecycleEvent, Project
from synthorg.persistence import DuplicateRecordError, TransactionalBackend, UnitOfWork
from synthorg.persistence.stores import BulkSaving

Record = TypeVar("Record")

RECORDS_AT_ONCE: Final = 2000
"""Where a unit of work ends: larger ones are hardly faster, and lose more when interrupted."""


@dataclass
class Tally:
    """How many records of each kind were written, and how many were already there."""

    written: Counter[str] = field(default_factory=Counter)
    present: Counter[str] = field(default_factory=Counter)

    def count(self, kind: str, written: int, *, of: int) -> None:
        """Count what was written of some records; the others were there."""
        self.written[kind] += written
        self.present[kind] += of - written

    def add(self, other: "Tally") -> None:
        """Count all that another tally has counted."""
        self.written += other.written
        self.present += other.present


class Importer:
    """Saves a history, and counts what it wrote and what was already there.

    The records of a commit are stored together: where its task is, all others are too, so an
    interrupted import is completed by the next.

    Args:
        backend: A connected backend.
        records: What makes the records of the repository.
        records_at_once: How many records a unit of work stores, or a few more.
    """

    def __init__(
        self,
        backend: TransactionalBackend,
        records: Records,
        records_at_once: int = RECORDS_AT_ONCE,
    ) -> None:
        self._backend = backend
        self._records = records
        self._records_at_once = records_at_once
        self._hirings: dict[str, AgentLifecycleEvent] = {}
        self._commits: Counter[str] = Counter()
        self.tally = Tally()

    async def run(
        self, commits: AsyncIterator[Commit], advance: Callable[[int], object]
    ) -> Project:
        """Save everything.

        Args:
            commits: The history; read as it is saved, some commits at a time.
            advance: Is told how many more commits are done.

        Returns:
            The project, with all its authors as the team.
        """
        await self._backend.run_in_transaction(self._find_project)
        async for batch in _batches(commits, self._records_at_once):
            self._remember_authors(batch)
            save = partial(self._save_commits, batch)
            self.tally.add(await self._backend.run_in_transaction(save))
            advance(len(batch))
        project, tally = await self._backend.run_in_transaction(self._save_team)
        self.tally.add(tally)
        return project

    async def _find_project(self, work: UnitOfWork) -> Project:
        stored = await work.projects.get(self._records.project_id)
        if stored is not None:
            return stored
        project = self._records.project()
        await work.projects.save(project)
        return project

    def _remember_authors(self, batch: Iterable[Commit]) -> None:
        for commit in batch:
            author = commit.author.identity
            self._commits[author] += 1
            known = self._hirings.get(author)
            if known is None or commit.authored_at <= known.timestamp:
                self._hirings[author] = self._records.hiring(commit)

    async def _save_commits(self, batch: Sequence[Commit], work: UnitOfWork) -> Tally:
        """Save what is missing; may run again, so it counts for itself."""
        tasks = [self._records.task(commit) for commit in batch]
        stored = await work.tasks.get_many(task.id for task in tasks)
        unsaved = [task for task in tasks if stored.get(task.id) != task]
        new = [commit for commit, task in zip(batch, tasks, strict=True) if task.id not in stored]
        await work.tasks.save_many(unsaved)
        await work.artifacts.save_many(
            artifact for commit in new for artifact in self._records.artifacts(commit)
        )
        metrics = await _append(work.task_metrics, [self._records.metric(each) for each in new])
        messages = await _append(work.messages, [self._records.message(each) for each in new])
        tally = Tally()
        tally.count("tasks", len(unsaved), of=len(batch))
        tally.count("artifacts", _changes(new), of=_changes(batch))
        tally.count("metrics", metrics, of=len(batch))
        tally.count("messages", messages, of=len(batch))
        return tally

    async def _save_team(self, work: UnitOfWork) -> tuple[Project, Tally]:
        stored = await self._find_project(work)
        hired = set(stored.team)
        hirings = [event for author, event in self._hirings.items() if author not in hired]
        lead = max(self._commits, key=self._commits.__getitem__, default=None)
        team = tuple(dict.fromkeys((*stored.team, *self._commits)))
        project = self._records.project(team, lead)
        changed = [project] if project != stored else []
        await work.projects.save_many(changed)
        tally = Tally()
        tally.count("projects", len(changed), of=1)
        written = await _append(work.lifecycle_events, hirings)
        tally.count("agents hired", written, of=len(self._hirings))
        return project, tally


async def _append(store: BulkSaving[Record], records: Sequence[Record]) -> int:
    """Save those records that are not there yet, and count them.

    An import that saved record by record may have been stopped between those of one commit. What
    cannot be replaced is then found by halves, since a call that fails leaves the unit of work
    as it was.
    """
    try:
        await store.save_many(records)
    except DuplicateRecordError:
        if len(records) == 1:
            return 0
        half = len(records) // 2
        return await _append(store, records[:half]) + await _append(store, records[half:])
    return len(records)


def _changes(commits: Iterable[Commit]) -> int:
    return sum(len(commit.changes) for commit in commits)


async def _batches(commits: AsyncIterator[Commit], size: int) -> AsyncIterator[list[Commit]]:
    """Gather commits until they make so many records: a task, a metric, a message, artifacts."""
    batch: list[Commit] = []
    records = 0
    async for commit in commits:
        batch.append(commit)
        records += 3 + len(commit.changes)
        if records >= size:
            yield batch
            batch, records = [], 0
    if batch:
        yield batch
