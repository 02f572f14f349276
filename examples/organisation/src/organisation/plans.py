"""How agents mean to go about a task."""

from pydantic import Field

from organisation.declaration import organisation
from synthorg.persistence.extension import (
    Entity,
    Key,
    KeyedRepository,
    ListQuery,
    NotBlankStr,
    UtcDatetime,
    now,
    random_id,
    tables,
)


class PlanStep(Entity):
    """One step, and whether it is done."""

    description: NotBlankStr
    agent_id: Key | None = None
    done: bool = False


class Plan(Entity):
    """The steps towards the end of a task, of which the newest plan counts."""

    id: Key = Field(default_factory=random_id)
    task_id: Key
    made_at: UtcDatetime = Field(default_factory=now)
    steps: tuple[PlanStep, ...]


plans = organisation.table(
    Plan,
    name="plans",
    key="id",
    indexes=[("task_id", "made_at", "id")],
    references={"task_id": tables.tasks.c.id},
)


class PlanRepository(KeyedRepository[Plan]):
    """The plans of one task, the newest first."""

    table = plans
    record = Plan
    listing = ListQuery(
        table, record, order_by=("made_at", "id"), descending=True, required=("task_id",)
    )
