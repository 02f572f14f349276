"""Costs."""

from itertools import combinations
from typing import Final

from sqlalchemy import func, select

from synthorg.entities import CostRecord, NotBlankStr
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.queries import ListQuery
from synthorg.persistence.sql.repository import Repository
from synthorg.persistence.sql.statements import equal, from_expression

FILTERS: Final = ("agent_id", "task_id")

_total: Final = select(func.coalesce(func.sum(tables.cost_records.c.cost_usd), 0.0))
_sums: Final = {
    names: from_expression(
        "sum",
        tables.cost_records,
        _total.where(*[equal(tables.cost_records, name) for name in names]),
    )
    for size in range(len(FILTERS) + 1)
    for names in combinations(FILTERS, size)
}


class SQLCostRecordRepository(Repository[CostRecord]):
    """`CostRecordRepository` on SQL."""

    table = tables.cost_records
    record = CostRecord

    _records = ListQuery(table, record, order_by=("sequence_number",), filters=FILTERS)

    async def save(self, record: CostRecord) -> None:
        await self._insert(record)

    async def query(
        self, *, agent_id: NotBlankStr | None = None, task_id: NotBlankStr | None = None
    ) -> tuple[CostRecord, ...]:
        return await self._list(self._records, agent_id=agent_id, task_id=task_id)

    async def aggregate(
        self, *, agent_id: NotBlankStr | None = None, task_id: NotBlankStr | None = None
    ) -> float:
        given = {"agent_id": agent_id, "task_id": task_id}
        present = {name: value for name, value in given.items() if value is not None}
        return float(await self._scalar(_sums[tuple(present)], **present))
