"""Artifacts."""

from synthorg.entities import Artifact, ArtifactType, NotBlankStr
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import KeyedRepository
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.stores import ArtifactStore


class SQLArtifactRepository(KeyedRepository[Artifact], ArtifactStore):
    """`ArtifactRepository` on SQL."""

    table = tables.artifacts
    record = Artifact

    listing = ListQuery(
        table,
        record,
        order_by=("id",),
        filters={"task_id": "task_id", "created_by": "created_by", "artifact_type": "type"},
    )

    async def save(self, artifact: Artifact) -> None:
        await self._save(artifact)

    async def get(self, artifact_id: NotBlankStr) -> Artifact | None:
        return await self._get(artifact_id)

    async def list_artifacts(
        self,
        *,
        task_id: NotBlankStr | None = None,
        created_by: NotBlankStr | None = None,
        artifact_type: ArtifactType | None = None,
    ) -> tuple[Artifact, ...]:
        return await self._list(
            self.listing, task_id=task_id, created_by=created_by, artifact_type=artifact_type
        )

    async def delete(self, artifact_id: NotBlankStr) -> bool:
        return await self._delete(artifact_id)
