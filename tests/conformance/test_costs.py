"""What is particular to costs: equal records, and their sum."""

from math import fsum

import pytest
from sqlalchemy import insert

from synthorg.persistence import PersistenceBackend
from synthorg.persistence.sql import tables
from synthorg.persistence.testing.kinds import COST_RECORDS


@pytest.mark.parametrize(
    "costs",
    [
        [0.1] * 4_000,
        [1e6] + [1e-7] * 4_000,
        [1e-12 * number for number in range(4_000)],
    ],
    ids=["equal", "one large", "all tiny"],
)
async def test_the_sum_of_many_small_amounts_is_right_to_nine_digits(
    backend: PersistenceBackend, costs: list[float]
) -> None:
    rows = [{**dict(COST_RECORDS.example), "cost_usd": cost} for cost in costs]
    async with backend.get_db().begin() as connection:
        await connection.execute(insert(tables.cost_records), rows)
    total = await backend.cost_records.aggregate(agent_id=COST_RECORDS.example.agent_id)
    assert total == pytest.approx(fsum(costs), rel=1e-9)
