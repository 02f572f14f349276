"""Definitions of workflows, of which each version is saved over the one before alone."""

from http import HTTPStatus

from fastapi import APIRouter, HTTPException

from service.dependencies import Backend, Paging
from service.errors import not_found
from synthorg.entities import WorkflowDefinition
from synthorg.persistence import Page

router = APIRouter(prefix="/workflows", tags=["workflows"])


@router.get("")
async def find(backend: Backend, walk: Paging) -> Page[WorkflowDefinition]:
    """List the definitions, a page at a time."""
    return await backend.workflow_definitions.page(limit=walk.limit, after=walk.after)


@router.get("/{workflow_id}")
async def get(workflow_id: str, backend: Backend) -> WorkflowDefinition:
    """Give one definition."""
    definition = await backend.workflow_definitions.get(workflow_id)
    if definition is None:
        raise not_found("workflow")
    return definition


@router.put("/{workflow_id}")
async def save(
    workflow_id: str, definition: WorkflowDefinition, backend: Backend
) -> WorkflowDefinition:
    """Store version 1, or version N over N-1; it is a conflict where somebody was faster."""
    if definition.id != workflow_id:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the id is not the one in the path")
    await backend.workflow_definitions.save(definition)
    return definition
