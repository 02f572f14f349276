"""Namespaced settings."""

from sqlalchemy import update

from synthorg.entities import NotBlankStr
from synthorg.persistence.errors import DuplicateRecordError
from synthorg.persistence.repositories import SettingFilters
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import ListedRepository
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.sql.statements.statement import (
    EXISTING,
    bind,
    deletion,
    equal,
    from_expression,
)
from synthorg.persistence.stores import SettingRow, SettingsStore


class SQLSettingsRepository(ListedRepository[SettingRow], SettingsStore):
    """`SettingsRepository` on SQL."""

    table = tables.settings
    record = SettingRow

    listing = ListQuery(table, record, order_by=("namespace", "key"), filters=SettingFilters)
    _in_namespace = ListQuery(table, record, order_by=("key",), required=("namespace",))
    _swap = from_expression(
        "save",
        table,
        update(table)
        .where(
            equal(table, "namespace", EXISTING + "namespace"),
            equal(table, "key", EXISTING + "key"),
            equal(table, "updated_at", EXISTING + "updated_at"),
        )
        .values(value=bind(table, "value"), updated_at=bind(table, "updated_at")),
    )
    _namespace_deletion = deletion(table, ["namespace"])

    async def get(self, namespace: NotBlankStr, key: NotBlankStr) -> tuple[str, str] | None:
        row = await self._get(namespace, key)
        return None if row is None else (row.value, row.updated_at)

    async def get_namespace(self, namespace: NotBlankStr) -> tuple[tuple[str, str, str], ...]:
        rows = await self._list(self._in_namespace, {"namespace": namespace})
        return tuple((row.key, row.value, row.updated_at) for row in rows)

    async def get_all(self) -> tuple[tuple[str, str, str, str], ...]:
        return await self._list(self.listing)

    async def set(
        self,
        namespace: NotBlankStr,
        key: NotBlankStr,
        value: str,
        updated_at: str,
        *,
        expected_updated_at: str | None = None,
    ) -> bool:
        row = SettingRow(namespace, key, value, updated_at)
        if expected_updated_at is None:
            await self._save(row)
            return True
        if expected_updated_at == "":
            try:
                await self._insert(row)
            except DuplicateRecordError:
                return False
            return True
        expected = SettingRow(namespace, key, value, expected_updated_at)
        swapped = await self._executor.execute(
            self._swap,
            row._asdict() | {EXISTING + name: text for name, text in expected._asdict().items()},
        )
        return swapped == 1

    async def delete(self, namespace: NotBlankStr, key: NotBlankStr) -> bool:
        return await self._delete(namespace, key)

    async def delete_namespace(self, namespace: NotBlankStr) -> int:
        return await self._executor.execute(self._namespace_deletion, {"namespace": namespace})
