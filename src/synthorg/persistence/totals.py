"""Sums over many records, as the database adds them up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from synthorg.entities import LLMCallCategory, NotBlankStr

CostGroup = Literal["agent_id", "task_id", "project", "day", "provider", "model", "call_category"]
"""What costs can be grouped by: a field of the record, the task's project, or the day in UTC."""


@dataclass(frozen=True)
class CostTotal:
    """The costs of one group; the fields that it is not grouped by are None.

    Attributes:
        agent_id: The agent.
        task_id: The task.
        project: The task's project; None also where the task is unknown.
        day: The day in UTC, such as "2026-03-01".
        provider: The provider.
        model: The model.
        call_category: The category; None also for records that have none.
        cost_usd: The sum of the costs in USD.
        input_tokens: The sum of the tokens sent.
        output_tokens: The sum of the tokens received.
        records: How many records there are.
    """

    agent_id: NotBlankStr | None = None
    task_id: NotBlankStr | None = None
    project: NotBlankStr | None = None
    day: str | None = None
    provider: NotBlankStr | None = None
    model: NotBlankStr | None = None
    call_category: LLMCallCategory | None = None
    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    records: int = 0


CostGroups = Sequence[CostGroup]
