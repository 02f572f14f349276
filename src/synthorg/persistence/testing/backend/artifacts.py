"""What is particular to artifacts."""

from synthorg.persistence import PersistenceBackend
from synthorg.persistence.testing.kinds import ARTIFACTS, MOMENT, PROJECTS, TASKS


class Artifacts:
    """What is particular to artifacts."""

    async def test_an_artifact_of_unknown_age_stays_so(self, backend: PersistenceBackend) -> None:
        artifact = ARTIFACTS.make(created_at=None)
        await backend.artifacts.save(artifact)
        assert await backend.artifacts.get(artifact.id) == artifact
        await backend.artifacts.save(ARTIFACTS.example)
        stored = await backend.artifacts.get(artifact.id)
        assert stored is not None
        assert stored.created_at == MOMENT
        await backend.artifacts.save(artifact)
        assert await backend.artifacts.list_artifacts() == (artifact,)

    async def test_an_artifact_outlives_its_task_and_its_project(
        self, backend: PersistenceBackend
    ) -> None:
        await TASKS.store(backend, TASKS.example)
        await PROJECTS.store(backend, PROJECTS.make(id=ARTIFACTS.example.project_id))
        await ARTIFACTS.store(backend, ARTIFACTS.example)
        assert await backend.tasks.delete(ARTIFACTS.example.task_id)
        assert await backend.projects.delete(ARTIFACTS.example.project_id)
        assert await backend.artifacts.list_artifacts() == (ARTIFACTS.example,)
