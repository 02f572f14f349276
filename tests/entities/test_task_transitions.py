"""How a task goes from one status to another."""

from itertools import product
from typing import Final

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError

from synthorg.entities import TASK_TRANSITIONS, Task, TaskStatus
from synthorg.persistence.testing.strategies import tasks
from tests.entities.examples import make

LEGAL: Final = {
    "created": "assigned",
    "assigned": "in_progress blocked cancelled failed interrupted",
    "in_progress": "in_review blocked cancelled failed interrupted",
    "in_review": "completed in_progress blocked cancelled",
    "blocked": "assigned",
    "failed": "assigned",
    "interrupted": "assigned",
    "completed": "",
    "cancelled": "",
}


def _task_in(status: str, **changes: object) -> Task:
    assignee = None if status == "created" else "ada"
    task: Task = make(Task, status=status, assigned_to=assignee, **changes)
    return task


@pytest.mark.parametrize(("source", "target"), list(product(TaskStatus, TaskStatus)))
def test_a_task_goes_only_where_it_may(source: TaskStatus, target: TaskStatus) -> None:
    task = _task_in(source)
    if target in LEGAL[source].split():
        moved = task.with_transition(target, assigned_to="ada")
        assert moved.model_dump() == {
            **task.model_dump(),
            "status": target,
            "assigned_to": "ada",
        }
    else:
        with pytest.raises(ValueError, match=f"cannot go from {source} to {target}"):
            task.with_transition(target, assigned_to="ada")
    assert task == _task_in(source)


def test_the_transitions_can_be_looked_up_but_not_changed() -> None:
    assert set(TASK_TRANSITIONS) == set(TaskStatus)
    with pytest.raises(TypeError):
        TASK_TRANSITIONS[TaskStatus.COMPLETED] = frozenset(TaskStatus)  # type: ignore[index]


def test_other_fields_may_change_with_the_status() -> None:
    moved = _task_in("in_review", max_retries=3).with_transition(
        TaskStatus.IN_PROGRESS, title="Once more", max_retries=2
    )
    assert (moved.title, moved.max_retries) == ("Once more", 2)


@pytest.mark.parametrize("source", TaskStatus)
def test_the_status_is_no_override(source: TaskStatus) -> None:
    """Otherwise it would say two things about one field."""
    with pytest.raises(ValueError, match="status is given as the target"):
        _task_in(source).with_transition(TaskStatus.ASSIGNED, status=TaskStatus.ASSIGNED)


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({}, "need assigned_to"),
        ({"assigned_to": "ada", "max_retries": -1}, "greater than or equal to 0"),
        ({"assigned_to": "ada", "delegation_chain": ("ada",)}, "must not be in delegation_chain"),
        ({"assigned_to": "ada", "titel": "Misspelt"}, "Extra inputs are not permitted"),
    ],
)
def test_the_copy_is_validated(overrides: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        _task_in("created").with_transition(TaskStatus.ASSIGNED, **overrides)


@for_all(tasks(), st.sampled_from(TaskStatus))
def test_every_reachable_task_is_valid(task: Task, target: TaskStatus) -> None:
    """Any task, moved anywhere, is either refused or stays what a fresh one could be."""
    try:
        moved = task.with_transition(target)
    except ValueError:
        return
    assert Task.model_validate(moved.model_dump()) == moved
    assert moved.model_copy(update={"status": task.status}) == task
