"""What the calls to language models cost."""

from enum import StrEnum
from typing import Self

from pydantic import model_validator

from synthorg.entities.base import Amount, Count, Entity, Key, UtcDatetime


class LLMCallCategory(StrEnum):
    """What a call was made for."""

    PRODUCTIVE = "productive"
    COORDINATION = "coordination"
    SYSTEM = "system"


class CostRecord(Entity):
    """The cost of one call; it has no id, for it is only ever added and summed up."""

    agent_id: Key
    task_id: Key
    provider: Key
    model: Key
    input_tokens: Count
    output_tokens: Count
    cost_usd: Amount
    timestamp: UtcDatetime
    call_category: LLMCallCategory | None = None

    @model_validator(mode="after")
    def _require_tokens_for_a_cost(self) -> Self:
        if self.cost_usd > 0 and self.input_tokens == 0 and self.output_tokens == 0:
            raise ValueError("cost_usd above 0 needs input_tokens or output_tokens above 0")
        return self
