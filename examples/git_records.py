"""What a commit is in an organisation: a task done, a message, a metric, and artifacts."""

from collections.abc import Iterator
from mimetypes import MimeTypes
from os import fsencode
from pathlib import PurePosixPath
from typing import Final
from uuid import UUID, uuid5

from git_log import Change, Commit, Repository

from synthorg.entities import (
    AgentLifecycleEvent,
    Artifact,
    ArtifactType,
    Complexity,
    LifecycleEventType,
    Message,
    MessageMetadata,
    MessageType,
    Project,
    ProjectStatus,
    Task,
    TaskMetricRecord,
    TaskStatus,
    TaskType,
)

NAMESPACE: Final = UUID("7d2f1f0c-5a4b-4c53-9a54-0f7d1b3f8b6e")
"""What makes the ids of this example its own; the same commit always has the same ids."""

NO_MESSAGE: Final = "(no message)"
EVERYBODY: Final = "team"

MOST_FILES: Final = ((1, Complexity.SIMPLE), (5, Complexity.MEDIUM), (20, Complexity.COMPLEX))
"""How many files a commit of each complexity changes at most; above that it is epic."""

TEST_FOLDERS: Final = frozenset({"spec", "specs", "test", "testing", "tests"})
DOCUMENTATION_FOLDERS: Final = frozenset({"doc", "docs", "documentation"})
DOCUMENTATION_SUFFIXES: Final = frozenset({".adoc", ".md", ".rst", ".tex", ".txt"})
DOCUMENTATION_NAMES: Final = frozenset({"authors", "changelog", "copying", "license", "readme"})
CONTENT_TYPES: Final = MimeTypes()


class Records:
    """Makes the records of one repository, each with an id that follows from the repository.

    Args:
        repository: The repository; it is known by its place on this machine.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._place = fsencode(repository.location).decode("latin-1")
        self.project_id = self._id("project")
        self.channel = f"commits/{self.project_id}"

    def _id(self, *parts: str) -> str:
        return str(uuid5(NAMESPACE, "\0".join((self._place, *parts))))

    def project(self, team: tuple[str, ...] = (), lead: str | None = None) -> Project:
        """Describe the repository; its tasks are found by the project they name."""
        return Project(
            id=self.project_id,
            name=self._repository.name,
            description="The history of a git repository",
            team=team,
            lead=lead,
            status=ProjectStatus.ACTIVE,
        )

    def task(self, commit: Commit) -> Task:
        """Describe the work that a commit finished."""
        title = commit.title or NO_MESSAGE
        parents = (self._id("task", parent) for parent in commit.parents)
        return Task(
            id=self._id("task", commit.hash),
            title=title,
            description=commit.body or title,
            project=self.project_id,
            created_by=commit.author.identity,
            assigned_to=commit.author.identity,
            type=TaskType.DEVELOPMENT,
            estimated_complexity=_complexity(commit),
            reviewers=tuple(dict.fromkeys(reviewer.identity for reviewer in commit.reviewers)),
            dependencies=tuple(dict.fromkeys(parents)),
            status=TaskStatus.COMPLETED,
        )

    def message(self, commit: Commit) -> Message:
        """Announce a commit; both its times are told as they were on the clocks there."""
        extra = (
            ("commit", commit.hash),
            ("committer", commit.committer.identity),
            ("authored_at", commit.authored_at.isoformat()),
            ("committed_at", commit.committed_at.isoformat()),
        )
        return Message(
            id=UUID(self._id("message", commit.hash)),
            timestamp=commit.committed_at,
            sender=commit.author.identity,
            to=EVERYBODY,
            type=MessageType.TASK_UPDATE,
            channel=self.channel,
            content=commit.title or NO_MESSAGE,
            metadata=MessageMetadata(
                task_id=self._id("task", commit.hash), project_id=self.project_id, extra=extra
            ),
        )

    def metric(self, commit: Commit) -> TaskMetricRecord:
        """Measure a commit: from its author's time to its committer's, if it took any."""
        seconds = (commit.committed_at - commit.authored_at).total_seconds()
        return TaskMetricRecord(
            id=self._id("metric", commit.hash),
            agent_id=commit.author.identity,
            task_id=self._id("task", commit.hash),
            task_type=TaskType.DEVELOPMENT,
            started_at=commit.authored_at if seconds > 0 else None,
            completed_at=commit.committed_at,
            is_success=True,
            duration_seconds=max(seconds, 0),
            cost_usd=0,
            turns_used=0,
            tokens_used=0,
            complexity=_complexity(commit),
        )

    def artifacts(self, commit: Commit) -> Iterator[Artifact]:
        """Describe each file that a commit changed."""
        for change in commit.changes:
            yield Artifact(
                id=self._id("artifact", commit.hash, change.path_bytes.decode("latin-1")),
                type=_artifact_type(change),
                path=change.path,
                task_id=self._id("task", commit.hash),
                created_by=commit.author.identity,
                description=f"{change.kind} {change.action}",
                project_id=self.project_id,
                content_type=_content_type(change),
                created_at=commit.committed_at,
            )

    def hiring(self, commit: Commit) -> AgentLifecycleEvent:
        """Hire the author of a commit, which is to be their first."""
        return AgentLifecycleEvent(
            id=self._id("hired", commit.author.identity),
            agent_id=commit.author.identity,
            agent_name=commit.author.name,
            event_type=LifecycleEventType.HIRED,
            timestamp=commit.authored_at,
            initiated_by=commit.committer.identity,
            details=f"First commit: {commit.title or NO_MESSAGE}",
            metadata={"project_id": self.project_id, "commit": commit.hash},
        )


def _complexity(commit: Commit) -> Complexity:
    files = len(commit.changes)
    return next((level for most, level in MOST_FILES if files <= most), Complexity.EPIC)


def _artifact_type(change: Change) -> ArtifactType:
    path = PurePosixPath(change.path.lower())
    folders = set(path.parts[:-1])
    if folders & TEST_FOLDERS or path.stem.startswith("test_") or path.stem.endswith("_test"):
        return ArtifactType.TESTS
    if (
        folders & DOCUMENTATION_FOLDERS
        or path.suffix in DOCUMENTATION_SUFFIXES
        or path.stem in DOCUMENTATION_NAMES
    ):
        return ArtifactType.DOCUMENTATION
    return ArtifactType.CODE


def _content_type(change: Change) -> str:
    # By the suffix alone, since a whole path may be taken for a URL.
    suffix = PurePosixPath(change.path).suffix
    guess, _ = CONTENT_TYPES.guess_type(f"file{suffix}")
    return "" if guess is None or change.kind != "file" else guess
