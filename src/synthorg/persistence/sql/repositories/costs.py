"""Costs."""

from collections.abc import Iterable, Sequence
from functools import partial
from math import isfinite
from typing import Final, get_args

from typing_extensions import Unpack

from synthorg.entities import CostRecord
from synthorg.persistence.errors import InvalidArgumentError, QueryError
from synthorg.persistence.repositories import CostFilters
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.drivers.faults import OUT_OF_RANGE
from synthorg.persistence.sql.repositories.base import AppendOnlyRepository
from synthorg.persistence.sql.repositories.cost_sums import CostSums, Group, Sums
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
    _sums = CostSums(listing.filters)
    _totals = RowReader(table, CostTotal)

    async def save(self, record: CostRecord) -> None:
        await self._save(record)

    async def query(self, **filters: Unpack[CostFilters]) -> tuple[CostRecord, ...]:
        return await self._list(self.listing, filters)

    async def aggregate(self, **filters: Unpack[CostFilters]) -> float:
        ((_, sums),) = await self._summed(filters, costs_alone=True)
        return sums.cost_usd

    async def totals(self, by: CostGroups, **filters: Unpack[CostFilters]) -> tuple[CostTotal, ...]:
        groups = _known_groups(by)
        read = partial(self._totals.read_named, (*groups, *Sums._fields))
        rows = [(*group, *sums) for group, sums in await self._summed(filters, groups)]
        return tuple(total for _, total in self._readable(rows, read))

    async def _summed(
        self, filters: CostFilters, groups: Sequence[CostGroup] = (), *, costs_alone: bool = False
    ) -> Sequence[tuple[Group, Sums]]:
        wanted = self._sums.wanted(filters, groups, costs_alone=costs_alone)
        summed = await self._sums.fetch(self._executor.for_lists, wanted)
        if not all(isfinite(each.cost_usd) for each in summed.values()):
            raise QueryError(f"cannot sum {_costs.name}: {OUT_OF_RANGE.reason}")
        return [*summed.items()]


def _known_groups(by: object) -> tuple[CostGroup, ...]:
    known = get_args(CostGroup)
    groups = () if isinstance(by, str) or not isinstance(by, Iterable) else tuple(by)
    if not groups or not all(group in known for group in groups):
        raise InvalidArgumentError(
            f"cannot sum {_costs.name}: by must be one or more of {', '.join(known)}"
        )
    return tuple(dict.fromkeys(groups))
