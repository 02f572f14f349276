"""What the calls to language models have cost."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from service.dependencies import Backend, Paging
from synthorg.entities import CostRecord
from synthorg.persistence import CostGroup, CostTotal, Page

router = APIRouter(prefix="/costs", tags=["costs"])


@router.post("", status_code=HTTPStatus.CREATED)
async def record(cost: CostRecord, backend: Backend) -> CostRecord:
    """Store what a call has cost."""
    await backend.cost_records.save(cost)
    return cost


@router.get("")
async def find(
    backend: Backend,
    walk: Paging,
    agent_id: str | None = None,
    task_id: str | None = None,
) -> Page[CostRecord]:
    """List the costs in the order in which they were recorded, a page at a time."""
    return await backend.cost_records.page(
        limit=walk.limit, after=walk.after, agent_id=agent_id, task_id=task_id
    )


@router.get("/totals")
async def totals(
    backend: Backend,
    by: Annotated[list[CostGroup], Query(min_length=1)],
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
) -> tuple[CostTotal, ...]:
    """Add up costs and tokens in the database, by one or more groups."""
    return await backend.cost_records.totals(by, since=since, until=until)
