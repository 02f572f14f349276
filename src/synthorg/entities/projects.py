"""Projects: a team, its tasks and a budget."""

from enum import StrEnum
from typing import Self

from pydantic import model_validator

from synthorg.entities.base import (
    Amount,
    Entity,
    IsoTime,
    Key,
    NotBlankStr,
    Text,
    refuse_duplicates,
)


class ProjectStatus(StrEnum):
    """Where a project stands."""

    PLANNING = "planning"
    ACTIVE = "active"
    ON_HOLD = "on_hold"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Project(Entity):
    """A project; nobody is in its team twice, and no task is listed twice."""

    id: Key
    name: NotBlankStr
    description: Text = ""
    team: tuple[Key, ...] = ()
    task_ids: tuple[Key, ...] = ()
    lead: Key | None = None
    deadline: IsoTime | None = None
    budget: Amount = 0.0
    status: ProjectStatus = ProjectStatus.PLANNING

    @model_validator(mode="after")
    def _refuse_repetition(self) -> Self:
        refuse_duplicates(self.team, "team")
        refuse_duplicates(self.task_ids, "task_ids")
        return self
