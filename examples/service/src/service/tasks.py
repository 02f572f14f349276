"""Tasks: made, listed by pages, and taken from one status to the next."""

from http import HTTPStatus
from uuid import uuid4

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel

from service.dependencies import Backend, Paging
from service.errors import not_found
from synthorg.entities import Key, NotBlankStr, Priority, Task, TaskStatus, TaskType
from synthorg.persistence import Page, UnitOfWork

router = APIRouter(prefix="/tasks", tags=["tasks"])


class NewTask(BaseModel):
    """What is known of a task when it is made."""

    title: NotBlankStr
    description: NotBlankStr
    type: TaskType
    project: Key
    created_by: Key
    priority: Priority = Priority.MEDIUM


class Step(BaseModel):
    """The status that a task goes to, and who works on it then."""

    status: TaskStatus
    assigned_to: Key | None = None


@router.post("", status_code=HTTPStatus.CREATED)
async def make(new: NewTask, backend: Backend) -> Task:
    """Store a new task."""
    task = Task(id=str(uuid4()), **new.model_dump())
    await backend.tasks.save(task)
    return task


@router.get("")
async def find(
    backend: Backend,
    walk: Paging,
    status: TaskStatus | None = None,
    project: str | None = None,
    assigned_to: str | None = None,
) -> Page[Task]:
    """List tasks, a page at a time."""
    return await backend.tasks.page(
        limit=walk.limit,
        after=walk.after,
        status=status,
        project=project,
        assigned_to=assigned_to,
    )


@router.get("/{task_id}")
async def get(task_id: str, backend: Backend) -> Task:
    """Give one task."""
    task = await backend.tasks.get(task_id)
    if task is None:
        raise not_found("task")
    return task


@router.post("/{task_id}/status")
async def move(task_id: str, step: Step, backend: Backend) -> Task:
    """Take a task to another status; of two that try at once, the second sees the first's."""

    async def read_and_save(work: UnitOfWork) -> Task:
        task = await work.tasks.get(task_id)
        if task is None:
            raise not_found("task")
        overrides = {} if step.assigned_to is None else {"assigned_to": step.assigned_to}
        try:
            moved = task.with_transition(step.status, **overrides)
        except ValueError as error:
            raise HTTPException(HTTPStatus.CONFLICT, str(error)) from error
        await work.tasks.save(moved)
        return moved

    return await backend.run_in_transaction(read_and_save)


@router.delete("/{task_id}", status_code=HTTPStatus.NO_CONTENT)
async def remove(task_id: str, backend: Backend) -> None:
    """Delete a task; what it has cost stays."""
    if not await backend.tasks.delete(task_id):
        raise not_found("task")
