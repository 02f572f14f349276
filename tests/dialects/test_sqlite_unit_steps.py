"""Steps of units of work on a SQLite file, on the event loop's own thread while these are fast."""

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from synthorg.persistence import (
    DuplicateRecordError,
    PersistenceConfig,
    QueryError,
    create_backend,
)
from synthorg.persistence.sql.drivers import sqlite_points
from synthorg.persistence.sql.drivers.sqlite_points import LONGEST_TEXT, READS_IN_A_TURN
from synthorg.persistence.testing.kinds import COST_RECORDS, MESSAGES, TASKS
from tests.dialects.test_sqlite import opened
from tests.dialects.test_sqlite_counts import Observed, looked_at


@pytest.fixture
async def observed(sqlite_file: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Observed]:
    """A backend with steps on the loop, on a machine where none is slow."""
    monkeypatch.setattr(sqlite_points, "SLOW_SECONDS", math.inf)
    async with looked_at(sqlite_file, monkeypatch, unit_steps="adaptive") as observed:
        yield observed


async def test_a_unit_takes_a_trip_to_begin_and_one_to_commit(observed: Observed) -> None:
    async with observed.counted() as counts, observed.backend.transaction() as unit:
        task = await unit.tasks.get(TASKS.example.id)
        assert task is not None
        await unit.tasks.save(task)
        await unit.messages.save(MESSAGES.keyed("a new one"))
        await unit.cost_records.save(COST_RECORDS.example)
        assert await unit.tasks.list_tasks() != ()
    assert counts.trips == 2 + 1  # a list goes to the thread
    assert counts.statements == {"BEGIN": 1, "SELECT": 2, "INSERT": 3, "COMMIT": 1}


async def test_a_slow_step_sends_the_next_ones_to_the_thread(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_points, "SLOW_SECONDS", -1)
    monkeypatch.setattr(sqlite_points, "switches", lambda: (0, 0))
    async with observed.counted() as counts, observed.backend.transaction() as unit:
        await unit.tasks.get(TASKS.example.id)
        await unit.tasks.save(TASKS.keyed("on the loop"))
        assert counts.trips == 1
        await unit.tasks.save(TASKS.keyed("on the thread"))
        await unit.tasks.get(TASKS.example.id)
    assert counts.trips == 4


async def test_a_large_value_is_written_on_the_thread(observed: Observed) -> None:
    large = TASKS.make(id="large", description="x" * (LONGEST_TEXT + 1))
    async with observed.counted() as counts, observed.backend.transaction() as unit:
        await unit.tasks.get(TASKS.example.id)
        await unit.tasks.save(large)
    assert counts.trips == 3


async def test_a_step_that_fails_is_undone_alone(observed: Observed) -> None:
    async with observed.backend.transaction() as unit:
        assert await unit.tasks.get("unknown") is None
        await unit.tasks.save(TASKS.keyed("before"))
        with pytest.raises(DuplicateRecordError, match="messages"):
            await unit.messages.save(MESSAGES.altered(MESSAGES.example, content="other"))
        await unit.tasks.save(TASKS.keyed("after"))
    saved = await observed.backend.tasks.get_many(["before", "after"])
    assert saved == {"before": TASKS.keyed("before"), "after": TASKS.keyed("after")}


async def test_a_unit_of_many_steps_leaves_other_tasks_their_turn(observed: Observed) -> None:
    done, turns = asyncio.Event(), 0

    async def take_turns() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(take_turns())
    async with observed.backend.transaction() as unit:
        await unit.tasks.get(TASKS.example.id)
        begun = turns
        for number in range(10 * READS_IN_A_TURN):
            await unit.tasks.save(TASKS.make(id=str(number)))
        taken = turns - begun
    done.set()
    await others
    assert taken >= 9


async def test_a_step_after_the_connection_was_closed_is_told(sqlite_file: Path) -> None:
    async with opened(sqlite_file, unit_steps="adaptive", busy_timeout_seconds=0) as backend:
        begun, closed = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            async with backend.transaction() as unit:
                await unit.tasks.save(TASKS.keyed("first"))
                begun.set()
                await closed.wait()
                await unit.tasks.save(TASKS.keyed("second"))

        working = asyncio.create_task(work())
        await begun.wait()
        await backend.disconnect()
        closed.set()
        with pytest.raises(QueryError, match="has been disconnected"):
            await working


def test_a_url_may_ask_for_it() -> None:
    config = PersistenceConfig.from_url("sqlite:///any.db?unit_steps=adaptive")
    assert config.sqlite.unit_steps == "adaptive"
    assert create_backend(config) is not None
