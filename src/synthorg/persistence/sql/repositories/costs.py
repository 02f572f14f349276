"""Costs."""

from collections.abc import Iterable
from functools import partial
from math import isfinite
from typing import Any, Final, get_args

from sqlalchemy import ColumnElement, Select, func, select
from typing_extensions import Unpack

from synthorg.entities import CostRecord
from synthorg.persistence.errors import QueryError
from synthorg.persistence.repositories import CostFilters
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.drivers.faults import OUT_OF_RANGE
from synthorg.persistence.sql.repositories.base import AppendOnlyRepository
from synthorg.persistence.sql.repositories.records import RowReader
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.stores import CostRecordStore
from synthorg.persistence.totals import CostGroup, CostGroups, CostTotal

_costs: Final = tables.cost_records


class SQLCostRecordRepository(AppendOnlyRepository[CostRecord], CostRecordStore):
    """`CostRecordRepository` on SQL."""

    table = _costs
    record = CostRecord

    listing = ListQuery(
        table,
        record,
        order_by=("sequence_number",),
        filters=CostFilters,
        time="timestamp",
    )
    _totals = RowReader(table, CostTotal)

    async def save(self, record: CostRecord) -> None:
        await self._save(record)

    async def query(self, **filters: Unpack[CostFilters]) -> tuple[CostRecord, ...]:
        return await self._list(self.listing, filters)

    async def aggregate(self, **filters: Unpack[CostFilters]) -> float:
        statement, present = self.listing.filters.applied("sum", filters, _sum)
        return _finite(float(await self._scalar(statement, **present)))

    async def totals(self, by: CostGroups, **filters: Unpack[CostFilters]) -> tuple[CostTotal, ...]:
        groups = _known_groups(by)
        statement, present = self.listing.filters.applied(
            "sum", filters, lambda dialect: _grouped(groups, dialect), variant=groups
        )
        rows = await self._executor.fetch(statement, present)
        names = (*groups, "cost_usd", "input_tokens", "output_tokens", "records")
        read = partial(self._totals.read_named, names)
        totals = tuple(total for _, total in self._readable(rows, read))
        for total in totals:
            _finite(total.cost_usd)
        return totals


def _known_groups(by: object) -> tuple[CostGroup, ...]:
    known = get_args(CostGroup)
    groups = () if isinstance(by, str) or not isinstance(by, Iterable) else tuple(by)
    if not groups or not all(group in known for group in groups):
        raise QueryError(f"cannot sum {_costs.name}: by must be one or more of {', '.join(known)}")
    return tuple(dict.fromkeys(groups))


def _finite(cost: float) -> float:
    if not isfinite(cost):
        raise QueryError(f"cannot sum {_costs.name}: {OUT_OF_RANGE.reason}")
    return cost


def _sum(dialect: Dialect) -> Select[Any]:
    return select(func.coalesce(dialect.sum_of_amounts(_costs.c.cost_usd), 0.0))


def _grouped(groups: tuple[CostGroup, ...], dialect: Dialect) -> Select[Any]:
    columns = [_group(name, dialect) for name in groups]
    # Databases differ in where NULL sorts.
    order = [key for column in columns for key in (column.is_(None), column)]
    sums = (
        dialect.sum_of_amounts(_costs.c.cost_usd),
        dialect.sum_of_counts(_costs.c.input_tokens),
        dialect.sum_of_counts(_costs.c.output_tokens),
        func.count(),
    )
    statement = select(*columns, *sums).group_by(*columns).order_by(*order)
    if "project" in groups:
        task = tables.tasks
        statement = statement.join_from(_costs, task, _costs.c.task_id == task.c.id, isouter=True)
    return statement


def _group(name: CostGroup, dialect: Dialect) -> ColumnElement[Any]:
    if name == "project":
        return tables.tasks.c.project
    return dialect.utc_day(_costs.c.timestamp) if name == "day" else _costs.columns[name]
