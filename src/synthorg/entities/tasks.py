"""Tasks, and the transitions between their statuses."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self

from pydantic import model_validator

from synthorg.entities.artifacts import ArtifactType
from synthorg.entities.base import (
    Amount,
    Count,
    Entity,
    IsoTime,
    Key,
    NotBlankStr,
    refuse_duplicates,
)


class TaskType(StrEnum):
    """What kind of work a task is."""

    DEVELOPMENT = "development"
    DESIGN = "design"
    RESEARCH = "research"
    REVIEW = "review"
    MEETING = "meeting"
    ADMIN = "admin"


class Priority(StrEnum):
    """How urgent a task is."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Complexity(StrEnum):
    """How much work a task is."""

    SIMPLE = "simple"
    MEDIUM = "medium"
    COMPLEX = "complex"
    EPIC = "epic"


class TaskStatus(StrEnum):
    """Where a task stands."""

    CREATED = "created"
    ASSIGNED = "assigned"
    IN_PROGRESS = "in_progress"
    IN_REVIEW = "in_review"
    COMPLETED = "completed"
    BLOCKED = "blocked"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"


class TaskStructure(StrEnum):
    """How the parts of a task depend on each other."""

    SEQUENTIAL = "sequential"
    PARALLEL = "parallel"
    MIXED = "mixed"


class CoordinationTopology(StrEnum):
    """How the agents on a task are coordinated; `sas` is a single agent."""

    SAS = "sas"
    CENTRALIZED = "centralized"
    DECENTRALIZED = "decentralized"
    CONTEXT_DEPENDENT = "context_dependent"
    AUTO = "auto"


_SETBACKS: Final = frozenset(
    {TaskStatus.BLOCKED, TaskStatus.FAILED, TaskStatus.INTERRUPTED, TaskStatus.CANCELLED}
)

TASK_TRANSITIONS: Final[Mapping[TaskStatus, frozenset[TaskStatus]]] = MappingProxyType(
    {
        TaskStatus.CREATED: frozenset({TaskStatus.ASSIGNED}),
        TaskStatus.ASSIGNED: _SETBACKS | {TaskStatus.IN_PROGRESS},
        TaskStatus.IN_PROGRESS: _SETBACKS | {TaskStatus.IN_REVIEW},
        TaskStatus.IN_REVIEW: frozenset(
            {
                TaskStatus.COMPLETED,
                TaskStatus.IN_PROGRESS,
                TaskStatus.BLOCKED,
                TaskStatus.CANCELLED,
            }
        ),
        TaskStatus.COMPLETED: frozenset(),
        TaskStatus.BLOCKED: frozenset({TaskStatus.ASSIGNED}),
        TaskStatus.FAILED: frozenset({TaskStatus.ASSIGNED}),
        TaskStatus.INTERRUPTED: frozenset({TaskStatus.ASSIGNED}),
        TaskStatus.CANCELLED: frozenset(),
    }
)
"""The statuses that a task may go to from each status; completed and cancelled are final."""

_NEEDS_ASSIGNEE: Final = frozenset(
    {TaskStatus.ASSIGNED, TaskStatus.IN_PROGRESS, TaskStatus.IN_REVIEW, TaskStatus.COMPLETED}
)


class AcceptanceCriterion(Entity):
    """A condition for the acceptance of a task's result."""

    description: NotBlankStr
    met: bool = False


class ExpectedArtifact(Entity):
    """An artifact that a task has to produce."""

    type: ArtifactType
    path: NotBlankStr


class Task(Entity):
    """A unit of work; who it is assigned to fits its status, and it refers to nothing twice."""

    id: Key
    title: NotBlankStr
    description: NotBlankStr
    project: Key
    created_by: Key
    type: TaskType
    priority: Priority = Priority.MEDIUM
    assigned_to: Key | None = None
    reviewers: tuple[Key, ...] = ()
    dependencies: tuple[Key, ...] = ()
    delegation_chain: tuple[Key, ...] = ()
    artifacts_expected: tuple[ExpectedArtifact, ...] = ()
    acceptance_criteria: tuple[AcceptanceCriterion, ...] = ()
    estimated_complexity: Complexity = Complexity.MEDIUM
    budget_limit: Amount = 0.0
    deadline: IsoTime | None = None
    max_retries: Count = 1
    status: TaskStatus = TaskStatus.CREATED
    parent_task_id: Key | None = None
    task_structure: TaskStructure | None = None
    coordination_topology: CoordinationTopology = CoordinationTopology.AUTO

    def with_transition(self, target: TaskStatus, **overrides: object) -> Self:
        """Make a copy in another status.

        Args:
            target: The status of the copy.
            **overrides: Other fields that change with it, such as `assigned_to`.

        Returns:
            The copy, validated like any new task.

        Raises:
            ValueError: If the transition is illegal, `overrides` contain `status`, or the copy
                would not be valid.
        """
        if "status" in overrides:
            raise ValueError("status is given as the target, not among the overrides")
        if target not in TASK_TRANSITIONS[self.status]:
            raise ValueError(f"a task cannot go from {self.status} to {target}")
        return self.model_validate({**dict(self), **overrides, "status": target})

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        # One validator for all rules, since each costs a call for each task that is read.
        refuse_duplicates(self.reviewers, "reviewers")
        refuse_duplicates(self.dependencies, "dependencies")
        refuse_duplicates(self.delegation_chain, "delegation_chain")
        if self.id in self.dependencies:
            raise ValueError("dependencies must not contain the id of the task")
        if self.id == self.parent_task_id:
            raise ValueError("parent_task_id must not be the id of the task")
        if self.assigned_to is None:
            if self.status in _NEEDS_ASSIGNEE:
                raise ValueError(
                    "status assigned, in_progress, in_review and completed need assigned_to"
                )
            return self
        if self.status is TaskStatus.CREATED:
            raise ValueError("status created has no assigned_to")
        if self.assigned_to in self.delegation_chain:
            raise ValueError("assigned_to must not be in delegation_chain")
        return self
