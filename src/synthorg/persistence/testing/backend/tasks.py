"""What is particular to tasks."""

import pytest

from synthorg.entities import TaskStatus
from synthorg.persistence import PersistenceBackend
from synthorg.persistence.testing.kinds import COST_RECORDS, TASK_METRICS, TASKS

UNASSIGNED = TASKS.make(status=TaskStatus.CREATED, assigned_to=None)


class Tasks:
    """What is particular to tasks."""

    @pytest.mark.parametrize("status", TaskStatus)
    async def test_a_task_in_any_status_is_listed_by_that_status_alone(
        self, backend: PersistenceBackend, status: TaskStatus
    ) -> None:
        task = (
            TASKS.altered(UNASSIGNED, status=status, assigned_to="agent-2")
            if (status is not TaskStatus.CREATED)
            else UNASSIGNED
        )
        await backend.tasks.save(task)
        listed = {other: await backend.tasks.list_tasks(status=other) for other in TaskStatus}
        assert listed == {other: (task,) if other is status else () for other in TaskStatus}

    async def test_a_task_keeps_its_fields_through_its_transitions(
        self, backend: PersistenceBackend
    ) -> None:
        task = UNASSIGNED
        steps = {
            TaskStatus.ASSIGNED: {"assigned_to": "agent-2"},
            TaskStatus.IN_PROGRESS: {},
            TaskStatus.IN_REVIEW: {},
            TaskStatus.COMPLETED: {"description": "Users can log in."},
        }
        for target, overrides in steps.items():
            task = task.with_transition(target, **overrides)
            await backend.tasks.save(task)
            assert await backend.tasks.get(task.id) == task
        assert await backend.tasks.list_tasks() == (task,)

    async def test_costs_and_metrics_outlive_their_task(self, backend: PersistenceBackend) -> None:
        await TASKS.store(backend, TASKS.example)
        await COST_RECORDS.store(backend, COST_RECORDS.example)
        await TASK_METRICS.store(backend, TASK_METRICS.example)
        assert await backend.tasks.delete("task-1")
        assert await backend.cost_records.query(task_id="task-1") == (COST_RECORDS.example,)
        assert await backend.task_metrics.query() == (TASK_METRICS.example,)
