"""Answers questions about an imported repository, asking the stores of the database."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from rich.table import Table
from rich.text import Text

from synthorg.entities import LifecycleEventType, Project, Task, TaskMetricRecord
from synthorg.persistence import UnitOfWork

ROWS: Final = 10
METRICS_AT_ONCE: Final = 500
WIDTH_OF_A_TIME: Final = len("2000-12-31 23:59")
"""Cells up to this width are never cut."""


@dataclass(frozen=True, slots=True)
class Activity:
    """A finished task, reduced to what the answers tell."""

    when: datetime
    who: str
    what: str
    seconds: float


@dataclass(frozen=True, slots=True)
class AuthorSummary:
    """What one author did in a project."""

    name: str
    tasks: int
    files: int
    first: Activity
    last: Activity
    usual_duration: timedelta


class Report:
    """The answers for one project, which must have at least one task.

    It reads the records of one author at a time, since a whole history may not fit in memory.

    Args:
        work: Where to read; a read-only unit of work, so that all answers are of one moment.
        project: The project.
        channel: Where its tasks were announced.
    """

    def __init__(self, work: UnitOfWork, project: Project, channel: str) -> None:
        self._work = work
        self._project = project
        self._channel = channel
        self._names: dict[str, str] = {}
        self._authors: list[AuthorSummary] = []
        self._changes: Counter[str] = Counter()
        self._reviews: Counter[str] = Counter()

    async def tables(self) -> list[Table]:
        """Answer every question."""
        hirings = self._work.lifecycle_events.stream(event_type=LifecycleEventType.HIRED)
        self._names = {
            event.agent_id: event.agent_name
            async for event in hirings
            if event.metadata.get("project_id") == self._project.id
        }
        for agent_id in self._project.team:
            await self._read_author(agent_id)
        self._authors.sort(key=lambda author: (-author.tasks, author.name))
        tables = [
            await self._newest_messages(),
            self._tasks_per_author(),
            self._most_changed_files(),
            self._most_reviews(),
            self._first_and_last_activity(),
        ]
        return [table for table in tables if table.row_count]

    async def _read_author(self, agent_id: str) -> None:
        name = self._name(agent_id)
        activities: list[Activity] = []
        async for metric, task in self._finished_tasks(agent_id):
            activities.append(
                Activity(metric.completed_at, name, task.title, metric.duration_seconds)
            )
            self._reviews.update(task.reviewers)
        if not activities:
            return
        files = 0
        async for artifact in self._work.artifacts.stream(created_by=agent_id):
            if artifact.project_id == self._project.id:
                self._changes[artifact.path] += 1
                files += 1
        last, first = activities[0], activities[-1]
        duration = timedelta(seconds=median(activity.seconds for activity in activities))
        self._authors.append(AuthorSummary(name, len(activities), files, first, last, duration))

    async def _finished_tasks(self, agent_id: str) -> AsyncIterator[tuple[TaskMetricRecord, Task]]:
        """Join the metrics of an agent, newest first, with the tasks of the project."""
        cursor = None
        while True:
            page = await self._work.task_metrics.page(
                agent_id=agent_id, limit=METRICS_AT_ONCE, after=cursor
            )
            tasks = await self._work.tasks.get_many(metric.task_id for metric in page.items)
            for metric in page.items:
                task = tasks.get(metric.task_id)
                if task is not None and task.project == self._project.id:
                    yield metric, task
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _newest_messages(self) -> Table:
        messages = await self._work.messages.get_history(self._channel, limit=ROWS)
        return _table(
            "Newest messages",
            ("When (UTC)", "Who", "What"),
            [
                (_time(message.timestamp), self._name(message.sender), message.content)
                for message in messages
            ],
        )

    def _tasks_per_author(self) -> Table:
        rows = [
            (
                author.name,
                f"{author.tasks:,}",
                f"{author.files:,}",
                author.first.when.date().isoformat(),
                author.last.when.date().isoformat(),
                _duration(author.usual_duration),
            )
            for author in self._authors[:ROWS]
        ]
        columns = ("Author", "#Tasks", "#Files", "First", "Last", "#Median time")
        return _table("Tasks per author", columns, rows, of=len(self._authors))

    def _most_changed_files(self) -> Table:
        rows = [(path, f"{count:,}") for path, count in _largest(self._changes)]
        return _table("Files most often changed", ("File", "#Changes"), rows, of=len(self._changes))

    def _most_reviews(self) -> Table:
        rows = [(self._name(who), f"{count:,}") for who, count in _largest(self._reviews)]
        return _table("Most reviews", ("Reviewer", "#Reviews"), rows, of=len(self._reviews))

    def _first_and_last_activity(self) -> Table:
        first = min((author.first for author in self._authors), key=lambda act: act.when)
        last = max((author.last for author in self._authors), key=lambda act: act.when)
        return _table(
            "First and last activity",
            ("", "When (UTC)", "Who", "What"),
            [
                (label, _time(activity.when), activity.who, activity.what)
                for label, activity in (("First", first), ("Last", last))
            ],
        )

    def _name(self, agent_id: str) -> str:
        return self._names.get(agent_id, agent_id)


def printable(text: str) -> str:
    """Write out what is no visible character, so that no text can control the terminal."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def _largest(counts: Counter[str]) -> Iterator[tuple[str, int]]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    yield from ordered[:ROWS]


def _table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, of: int | None = None
) -> Table:
    """Lay out rows; columns marked with # hold numbers."""
    caption = f"and {of - len(rows):,} more" if of is not None and of > len(rows) else None
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption=caption,
        min_width=len(title),
    )
    for number, column in enumerate(columns):
        widest = max((len(row[number]) for row in rows), default=0)
        table.add_column(
            column.lstrip("#"),
            justify="right" if column.startswith("#") else "left",
            min_width=min(widest, WIDTH_OF_A_TIME),
            no_wrap=True,
        )
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def _time(moment: datetime) -> str:
    return moment.isoformat(" ", "minutes").removesuffix("+00:00")


def _duration(duration: timedelta) -> str:
    return str(timedelta(seconds=round(duration.total_seconds())))
