"""Calls that wait: whether one connection takes all of them, or others some."""

import asyncio
from collections.abc import Sequence

import pytest

from synthorg.persistence.sql.drivers.base import Call
from synthorg.persistence.sql.drivers.batching import FEWEST_CALLS, Batcher, Outcome
from synthorg.persistence.sql.execution.ping import Question

CALL = Call(Question(), ())
CALLERS = 4 * FEWEST_CALLS


class Connection:
    """Runs calls that take a time, and notes how many shared each trip.

    Args:
        seconds: How long each takes, as one after the other.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.trips: list[int] = []

    async def run_one(self, call: Call) -> Outcome:
        """Run a call."""
        (outcome,) = await self.run([call])
        return outcome

    async def run(self, calls: Sequence[Call]) -> Sequence[Outcome]:
        """Run calls."""
        self.trips.append(len(calls))
        await asyncio.sleep(self._seconds * len(calls))
        return ["answer"] * len(calls)


async def ask_again_and_again(batcher: Batcher) -> None:
    for _ in range(5):
        assert await batcher.run(CALL) == "answer"


async def callers_at(batcher: Batcher) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(ask_again_and_again(batcher))
    assert batcher.in_use == batcher.waiting == 0


@pytest.mark.parametrize("seconds", [0.006, 0.0])
async def test_calls_are_divided_among_connections_while_each_takes_long(seconds: float) -> None:
    connections = [Connection(seconds), Connection(seconds)]
    await callers_at(Batcher(connections, slow_seconds=0.005))
    first, second = sorted(connections, key=lambda each: sum(each.trips))
    assert sum(first.trips) + sum(second.trips) == 5 * CALLERS
    if seconds:
        assert sum(first.trips) > CALLERS
        assert max(first.trips + second.trips[2:]) < CALLERS
    else:
        assert first.trips == []


async def test_a_free_connection_is_used_at_once_where_nothing_is_said_of_slowness() -> None:
    connections = [Connection(0.001), Connection(0.001)]
    batcher = Batcher(connections)
    await asyncio.gather(batcher.run(CALL), batcher.run(CALL))
    assert [each.trips for each in connections] == [[1], [1]]
