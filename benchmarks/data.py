"""The records that are stored and looked for: the same ones in every run, from one seed."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from synthorg.entities import (
    AcceptanceCriterion,
    ArtifactType,
    Attachment,
    AttachmentType,
    Complexity,
    CostRecord,
    ExpectedArtifact,
    LLMCallCategory,
    Message,
    MessageMetadata,
    MessageType,
    Priority,
    Task,
    TaskStatus,
    TaskType,
)

SEED: Final = 20261123
TASKS_OF_A_PROJECT: Final = 1_000
AGENTS: Final = 50
CHANNELS: Final = 20
FIRST_MOMENT: Final = datetime(2026, 3, 1, 8, 0, 0, 250_000, tzinfo=UTC)

_WORDS: Final = (
    *("agent", "approve", "branch", "budget", "cache", "deadline", "draft", "escalate", "façade"),
    *("finding", "index", "invoice", "ledger", "memo", "merge", "plan", "prompt", "query"),
    *("release", "report", "review", "schema", "sprint", "summary", "token", "vendor"),
)
_STATUSES: Final = tuple(TaskStatus)


@dataclass(frozen=True)
class Volume:
    """How many rows the tables hold before anything is measured.

    Attributes:
        rows: The tasks, the messages and the costs, each.
    """

    rows: int = 100_000

    @property
    def projects(self) -> int:
        """How many projects there are, of `TASKS_OF_A_PROJECT` tasks each."""
        return max(1, self.rows // TASKS_OF_A_PROJECT)

    def tasks(self) -> Iterator[Task]:
        """Make the tasks that are there from the start."""
        return map(self.task, range(self.rows))

    def task(self, number: int, *, revision: int = 0) -> Task:
        """Make one of the tasks that are there from the start.

        Args:
            number: Which one.
            revision: Another one makes the same task with other content.
        """
        return task(number, project=number % self.projects, revision=revision)

    def messages(self) -> Iterator[Message]:
        """Make the messages that are there from the start."""
        return (message(number) for number in range(self.rows))

    def costs(self) -> Iterator[CostRecord]:
        """Make the costs that are there from the start."""
        return (cost(number) for number in range(self.rows))


@dataclass(frozen=True)
class Job:
    """What one unit of work stores: a task as it becomes, a message about it, and what it cost."""

    task_id: str
    changes: Mapping[str, object]
    message: Message
    cost: CostRecord


def task_id(number: int) -> str:
    """Name a task."""
    return f"task-{number:08}"


def project_id(number: int) -> str:
    """Name a project."""
    return f"project-{number:04}"


def agent_id(number: int) -> str:
    """Name an agent."""
    return f"agent-{number:03}"


def channel_name(number: int) -> str:
    """Name a channel."""
    return f"channel-{number:02}"


def task(number: int, *, project: int, revision: int = 0) -> Task:
    """Make a task with something in every field.

    Args:
        number: Which one.
        project: The number of its project.
        revision: Another one makes the same task with other content.
    """
    choose = random.Random(f"{SEED} task {number} {revision}")
    status = choose.choice(_STATUSES)
    return Task(
        id=task_id(number),
        title=_sentence(choose, 6),
        description=_sentence(choose, 40),
        project=project_id(project),
        created_by=agent_id(choose.randrange(AGENTS)),
        type=choose.choice(tuple(TaskType)),
        priority=choose.choice(tuple(Priority)),
        assigned_to=None if status is TaskStatus.CREATED else agent_id(choose.randrange(AGENTS)),
        reviewers=("reviewer-1", "reviewer-2"),
        dependencies=(f"task-before-{number}",),
        delegation_chain=("lead-1", "lead-2"),
        artifacts_expected=(
            ExpectedArtifact(type=choose.choice(tuple(ArtifactType)), path=f"out/{number}.md"),
        ),
        acceptance_criteria=(
            AcceptanceCriterion(description=_sentence(choose, 8)),
            AcceptanceCriterion(description=_sentence(choose, 8), met=True),
        ),
        estimated_complexity=choose.choice(tuple(Complexity)),
        budget_limit=round(choose.uniform(1, 50), 2),
        deadline="2026-12-31T18:00:00+01:00",
        max_retries=choose.randrange(5),
        status=status,
        parent_task_id=f"parent-of-{number}",
    )


def message(number: int) -> Message:
    """Make a message; each is later than those before it."""
    choose = random.Random(f"{SEED} message {number}")
    return Message(
        id=UUID(int=choose.getrandbits(128), version=4),
        timestamp=FIRST_MOMENT + timedelta(seconds=number),
        sender=agent_id(choose.randrange(AGENTS)),
        to=agent_id(choose.randrange(AGENTS)),
        type=choose.choice(tuple(MessageType)),
        channel=channel_name(number % CHANNELS),
        content=_sentence(choose, 30),
        attachments=(Attachment(type=AttachmentType.LINK, ref=f"https://example.org/{number}"),),
        metadata=MessageMetadata(
            task_id=task_id(number),
            tokens_used=choose.randrange(5_000),
            extra=(("model", "large"),),
        ),
    )


def cost(number: int) -> CostRecord:
    """Make a cost; agents take turns."""
    choose = random.Random(f"{SEED} cost {number}")
    return CostRecord(
        agent_id=agent_id(number % AGENTS),
        task_id=task_id(number),
        provider="provider",
        model=choose.choice(("small", "large")),
        input_tokens=choose.randrange(1, 8_000),
        output_tokens=choose.randrange(1, 2_000),
        cost_usd=round(choose.uniform(0.0001, 0.2), 6),
        timestamp=FIRST_MOMENT + timedelta(seconds=number),
        call_category=choose.choice(tuple(LLMCallCategory)),
    )


def job(number: int, of_task: int) -> Job:
    """Make the content of a unit of work.

    Args:
        number: The number of its message and its cost.
        of_task: The number of the task that it changes.
    """
    changes = {"priority": Priority.HIGH, "max_retries": number % 7}
    return Job(task_id(of_task), MappingProxyType(changes), message(number), cost(number))


def _sentence(choose: random.Random, words: int) -> str:
    return " ".join(choose.choices(_WORDS, k=words))
