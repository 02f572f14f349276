"""The running of agents: checkpoints, heartbeats and what each agent is doing now."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from synthorg.entities.base import (
    Amount,
    Count,
    Entity,
    JsonObjectText,
    Key,
    UtcDatetime,
    now,
    random_id,
)


class Checkpoint(Entity):
    """The state of an execution after a turn, from which it can be resumed."""

    id: Key = Field(default_factory=random_id)
    execution_id: Key
    agent_id: Key
    task_id: Key
    turn_number: Count
    context_json: JsonObjectText
    created_at: UtcDatetime = Field(default_factory=now)


class Heartbeat(Entity):
    """The last sign of life of an execution."""

    execution_id: Key
    agent_id: Key
    task_id: Key
    last_heartbeat_at: UtcDatetime


class ExecutionStatus(StrEnum):
    """Whether an agent works."""

    IDLE = "idle"
    EXECUTING = "executing"
    PAUSED = "paused"


class AgentRuntimeState(Entity):
    """What an agent is doing now: nothing at all, or one execution with its counters."""

    agent_id: Key
    execution_id: Key | None = None
    task_id: Key | None = None
    status: ExecutionStatus
    turn_count: Count = 0
    accumulated_cost_usd: Amount = 0.0
    last_activity_at: UtcDatetime
    started_at: UtcDatetime | None = None

    @classmethod
    def idle(cls, agent_id: Key) -> Self:
        """Make the state of an agent that does nothing as of now."""
        return cls(agent_id=agent_id, status=ExecutionStatus.IDLE, last_activity_at=now())

    @model_validator(mode="after")
    def _fit_the_status(self) -> Self:
        if self.status is not ExecutionStatus.IDLE:
            if self.execution_id is None or self.started_at is None:
                raise ValueError("status executing and paused need execution_id and started_at")
            return self
        if any(value is not None for value in (self.execution_id, self.task_id, self.started_at)):
            raise ValueError("status idle has no execution_id, task_id or started_at")
        if self.turn_count or self.accumulated_cost_usd:
            raise ValueError("status idle has turn_count and accumulated_cost_usd 0")
        return self
