"""Executions that wait for an approval."""

from synthorg.entities import NotBlankStr, ParkedContext
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import KeyedRepository
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.stores import ParkedContextStore


class SQLParkedContextRepository(KeyedRepository[ParkedContext], ParkedContextStore):
    """`ParkedContextRepository` on SQL."""

    table = tables.parked_contexts
    record = ParkedContext

    _by_approval = ListQuery(
        table, record, order_by=("parked_at", "id"), descending=True, required=("approval_id",)
    )
    _by_agent = ListQuery(
        table, record, order_by=("parked_at", "id"), descending=True, required=("agent_id",)
    )
    listing = ListQuery(
        table,
        record,
        order_by=("parked_at", "id"),
        descending=True,
        filters=("agent_id",),
        by_place=("agent_id",),
    )

    async def save(self, context: ParkedContext) -> None:
        await self._save(context)

    async def get(self, parked_id: NotBlankStr) -> ParkedContext | None:
        return await self._get(parked_id)

    async def get_by_approval(self, approval_id: NotBlankStr) -> ParkedContext | None:
        return await self._first_of(self._by_approval, {"approval_id": approval_id})

    async def get_by_agent(self, agent_id: NotBlankStr) -> tuple[ParkedContext, ...]:
        return await self._list(self._by_agent, {"agent_id": agent_id})

    async def list_contexts(self) -> tuple[ParkedContext, ...]:
        return await self._list(self.listing)

    async def delete(self, parked_id: NotBlankStr) -> bool:
        return await self._delete(parked_id)
