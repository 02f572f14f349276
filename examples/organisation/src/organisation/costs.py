"""What each project has cost so far, added up by the database itself."""

from pydantic import Field

from organisation.declaration import organisation
from synthorg.persistence.extension import (
    AccumulatingRepository,
    Amount,
    Count,
    Entity,
    Key,
    ListQuery,
    UtcDatetime,
    now,
    tables,
)


class ProjectCost(Entity):
    """What a project has cost, or what is added to that."""

    project_id: Key
    calls: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0
    cost_usd: Amount = 0.0
    last_call_at: UtcDatetime = Field(default_factory=now)


project_costs = organisation.table(
    ProjectCost,
    name="project_costs",
    key="project_id",
    references={"project_id": tables.projects.c.id},
)


class ProjectCostRepository(AccumulatingRepository[ProjectCost]):
    """The costs of projects, by project."""

    table = project_costs
    record = ProjectCost
    added = frozenset({"calls", "input_tokens", "output_tokens", "cost_usd"})
    listing = ListQuery(table, record, order_by=("project_id",))
