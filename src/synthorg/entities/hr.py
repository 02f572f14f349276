"""The agents as staff: their lifecycle, and how they perform and collaborate."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from synthorg.entities.base import (
    Amount,
    Count,
    Entity,
    Fraction,
    Key,
    NotBlankStr,
    Summary,
    Text,
    UtcDatetime,
    random_id,
)
from synthorg.entities.tasks import Complexity, TaskType


class LifecycleEventType(StrEnum):
    """What happened to an agent as a member of the organisation."""

    HIRED = "hired"
    ONBOARDED = "onboarded"
    FIRED = "fired"
    OFFBOARDED = "offboarded"
    STATUS_CHANGED = "status_changed"
    PROMOTED = "promoted"
    DEMOTED = "demoted"


class AgentLifecycleEvent(Entity):
    """One step in the career of an agent."""

    id: Key = Field(default_factory=random_id)
    agent_id: Key
    agent_name: NotBlankStr
    event_type: LifecycleEventType
    timestamp: UtcDatetime
    initiated_by: Key
    details: Text = ""
    metadata: dict[Text, Text] = Field(default_factory=dict)


class TaskMetricRecord(Entity):
    """How one agent did on one task."""

    id: Key = Field(default_factory=random_id)
    agent_id: Key
    task_id: Key
    task_type: TaskType
    started_at: UtcDatetime | None = None
    completed_at: UtcDatetime
    is_success: bool
    duration_seconds: Amount
    cost_usd: Amount
    turns_used: Count
    tokens_used: Count
    quality_score: Annotated[float, Field(ge=0, le=10)] | None = None
    complexity: Complexity

    @model_validator(mode="after")
    def _start_before_completion(self) -> Self:
        if self.started_at is not None and self.started_at >= self.completed_at:
            raise ValueError("started_at must be before completed_at")
        return self


class CollaborationMetricRecord(Entity):
    """How one agent worked with others, as far as it was observed."""

    id: Key = Field(default_factory=random_id)
    agent_id: Key
    recorded_at: UtcDatetime
    delegation_success: bool | None = None
    delegation_response_seconds: Amount | None = None
    conflict_constructiveness: Fraction | None = None
    meeting_contribution: Fraction | None = None
    handoff_completeness: Fraction | None = None
    loop_triggered: bool = False
    interaction_summary: Summary | None = None
