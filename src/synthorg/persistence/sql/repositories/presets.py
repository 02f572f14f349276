"""Custom personality presets."""

from sqlalchemy import func, select

from synthorg.entities import NotBlankStr, PresetListRow, PresetRow
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import BulkKeyedRepository
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.sql.statements.statement import from_expression
from synthorg.persistence.stores import PersonalityPresetStore


class SQLPersonalityPresetRepository(BulkKeyedRepository[PresetListRow], PersonalityPresetStore):
    """`PersonalityPresetRepository` on SQL."""

    table = tables.custom_presets
    record = PresetListRow
    kept = frozenset({"created_at"})

    listing = ListQuery(table, record, order_by=("name",))
    _count = from_expression("count", table, select(func.count()).select_from(table))

    async def save(
        self,
        name: NotBlankStr,
        config_json: str,
        description: str,
        created_at: str,
        updated_at: str,
    ) -> None:
        await self._save(PresetListRow(name, config_json, description, created_at, updated_at))

    async def get(self, name: NotBlankStr) -> PresetRow | None:
        row = await self._get(name)
        return None if row is None else PresetRow(*row[1:])

    async def list_all(self) -> tuple[PresetListRow, ...]:
        return await self._list(self.listing)

    async def delete(self, name: NotBlankStr) -> bool:
        return await self._delete(name)

    async def count(self) -> int:
        return int(await self._scalar(self._count))
