"""What is particular to projects."""

import pytest

from synthorg.entities import ProjectStatus
from synthorg.persistence import PersistenceBackend
from synthorg.persistence.testing.kinds import PROJECTS, TASKS


class Projects:
    """What is particular to projects."""

    @pytest.mark.parametrize("status", ProjectStatus)
    async def test_a_project_in_any_status_is_listed_by_that_status_alone(
        self, backend: PersistenceBackend, status: ProjectStatus
    ) -> None:
        project = PROJECTS.make(status=status)
        await backend.projects.save(project)
        for other in ProjectStatus:
            listed = await backend.projects.list_projects(status=other)
            assert listed == ((project,) if other is status else ())

    async def test_team_and_tasks_keep_their_order(self, backend: PersistenceBackend) -> None:
        project = PROJECTS.make(team=("b", "a", "C"), task_ids=("2", "10", "1"))
        await backend.projects.save(project)
        stored = await backend.projects.get(project.id)
        assert stored is not None
        assert (stored.team, stored.task_ids) == (("b", "a", "C"), ("2", "10", "1"))

    async def test_tasks_outlive_their_project(self, backend: PersistenceBackend) -> None:
        await PROJECTS.store(backend, PROJECTS.make(id=TASKS.example.project))
        await TASKS.store(backend, TASKS.example)
        assert await backend.projects.delete(TASKS.example.project)
        assert await backend.tasks.get(TASKS.example.id) == TASKS.example
