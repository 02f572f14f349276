"""The audit trail."""

from typing_extensions import Unpack

from synthorg.entities import AuditEntry
from synthorg.persistence.repositories import AuditFilters
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import NumberedRepository
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.sql.tables import NUMBER
from synthorg.persistence.stores import AuditStore


class SQLAuditRepository(NumberedRepository[AuditEntry], AuditStore):
    """`AuditRepository` on SQL."""

    table = tables.audit_entries
    record = AuditEntry

    listing = ListQuery(
        table,
        record,
        order_by=("timestamp", NUMBER),
        descending=True,
        filters=AuditFilters,
        time="timestamp",
    )

    async def save(self, entry: AuditEntry) -> None:
        await self._save(entry)

    async def query(
        self, *, limit: int = 100, **filters: Unpack[AuditFilters]
    ) -> tuple[AuditEntry, ...]:
        return await self._list(self.listing, filters, limit=limit)
