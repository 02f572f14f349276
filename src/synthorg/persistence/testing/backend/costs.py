"""What is particular to costs: equal records, and their sum."""

from itertools import product

import pytest

from synthorg.persistence import PersistenceBackend
from synthorg.persistence.testing.kinds import COST_RECORDS
from synthorg.persistence.testing.listings import NAMES, UNKNOWN_NAME


class Costs:
    """What is particular to costs: equal records, and their sum."""

    async def test_equal_records_are_separate_calls(self, backend: PersistenceBackend) -> None:
        await COST_RECORDS.store(backend, *[COST_RECORDS.example] * 3)
        assert await backend.cost_records.query() == (COST_RECORDS.example,) * 3
        assert await backend.cost_records.aggregate() == pytest.approx(3 * 0.0123)

    async def test_a_cost_is_recorded_for_a_task_that_nobody_knows(
        self, backend: PersistenceBackend
    ) -> None:
        record = COST_RECORDS.make(task_id="unknown")
        await COST_RECORDS.store(backend, record)
        assert await backend.cost_records.query(task_id="unknown") == (record,)

    async def test_the_sum_of_nothing_is_zero(self, backend: PersistenceBackend) -> None:
        await COST_RECORDS.store(backend, COST_RECORDS.example)
        total = await backend.cost_records.aggregate(agent_id=UNKNOWN_NAME)
        assert (type(total), total) == (float, 0.0)

    async def test_the_sum_counts_what_the_query_lists(self, backend: PersistenceBackend) -> None:
        for number, (agent, task) in enumerate(product(NAMES, NAMES)):
            await backend.cost_records.save(
                COST_RECORDS.make(agent_id=agent, task_id=task, cost_usd=2.0**number)
            )
        names = (*NAMES, UNKNOWN_NAME, None)
        for agent_id, task_id in product(names, names):
            listed = await backend.cost_records.query(agent_id=agent_id, task_id=task_id)
            total = await backend.cost_records.aggregate(agent_id=agent_id, task_id=task_id)
            assert total == sum(record.cost_usd for record in listed)
