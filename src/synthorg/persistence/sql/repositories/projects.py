"""Projects."""

from typing_extensions import Unpack

from synthorg.entities import NotBlankStr, Project
from synthorg.persistence.repositories import ProjectFilters
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import KeyedRepository
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.stores import ProjectStore


class SQLProjectRepository(KeyedRepository[Project], ProjectStore):
    """`ProjectRepository` on SQL."""

    table = tables.projects
    record = Project

    listing = ListQuery(table, record, order_by=("id",), filters=ProjectFilters)

    async def save(self, project: Project) -> None:
        await self._save(project)

    async def get(self, project_id: NotBlankStr) -> Project | None:
        return await self._get(project_id)

    async def list_projects(self, **filters: Unpack[ProjectFilters]) -> tuple[Project, ...]:
        return await self._list(self.listing, filters)

    async def delete(self, project_id: NotBlankStr) -> bool:
        return await self._delete(project_id)
