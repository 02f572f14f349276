"""The audit trail."""

from pydantic import AwareDatetime

from synthorg.entities import ApprovalRiskLevel, AuditEntry, AuditVerdictStr, NotBlankStr
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import AppendOnlyRepository
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.stores import AuditStore


class SQLAuditRepository(AppendOnlyRepository[AuditEntry], AuditStore):
    """`AuditRepository` on SQL."""

    table = tables.audit_entries
    record = AuditEntry

    listing = ListQuery(
        table,
        record,
        order_by=("timestamp", "id"),
        descending=True,
        filters=("agent_id", "action_type", "verdict", "risk_level"),
        time="timestamp",
    )

    async def save(self, entry: AuditEntry) -> None:
        await self._save(entry)

    async def query(
        self,
        *,
        agent_id: NotBlankStr | None = None,
        action_type: str | None = None,
        verdict: AuditVerdictStr | None = None,
        risk_level: ApprovalRiskLevel | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        limit: int = 100,
    ) -> tuple[AuditEntry, ...]:
        return await self._list(
            self.listing,
            agent_id=agent_id,
            action_type=action_type,
            verdict=verdict,
            risk_level=risk_level,
            since=since,
            until=until,
            limit=limit,
        )
