"""Totals: what the database adds up is what Python adds up."""

from typing import Any

import pytest

from synthorg.persistence import InvalidArgumentError
from synthorg.persistence.testing.kinds import MOMENT
from synthorg.persistence.testing.needs import needs
from synthorg.persistence.transactions import TransactionalBackend


class Totals:
    """Totals: what the database adds up is what Python adds up."""

    @needs(TransactionalBackend)
    async def test_totals_of_nothing_are_none(self, backend: TransactionalBackend) -> None:
        assert await backend.cost_records.totals(["day"]) == ()
        assert await backend.cost_records.aggregate(since=MOMENT) == 0.0

    @needs(TransactionalBackend)
    async def test_unknown_groups_are_refused(self, backend: TransactionalBackend) -> None:
        unknown: list[Any] = [(), [], ["colour"], ["day", "colour"], ["timestamp"], "day"]
        for by in unknown:
            with pytest.raises(
                InvalidArgumentError, match=r"cost_records: by must be one or more of agent_id"
            ):
                await backend.cost_records.totals(by)
