"""Artifacts."""

from typing_extensions import Unpack

from synthorg.entities import Artifact, NotBlankStr
from synthorg.persistence.repositories import ArtifactFilters
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
        filters=ArtifactFilters,
        columns={"artifact_type": "type"},
    )

    async def save(self, artifact: Artifact) -> None:
        await self._save(artifact)

    async def get(self, artifact_id: NotBlankStr) -> Artifact | None:
        return await self._get(artifact_id)

    async def list_artifacts(self, **filters: Unpack[ArtifactFilters]) -> tuple[Artifact, ...]:
        return await self._list(self.listing, filters)

    async def delete(self, artifact_id: NotBlankStr) -> bool:
        return await self._delete(artifact_id)
