"""A server that takes no connections for a moment: who waits for it, and what is done again."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from synthorg.persistence import (
    OutcomeUnknownError,
    PersistenceConfig,
    PersistenceConnectionError,
    TransactionalBackend,
    UnitOfWork,
    create_backend,
)
from synthorg.persistence.testing.kinds import COST_RECORDS
from tests.dialects.places import Place, connected, task, with_parameters
from tests.dialects.relay import Relay, relayed
from tests.dialects.test_silence import ROUTES

AWAY_SECONDS = 1.0


async def unit(backend: TransactionalBackend) -> None:
    async with backend.transaction() as work:
        await work.tasks.save(task("in a unit"))


@pytest.fixture
async def relay(place: Place) -> AsyncIterator[tuple[str, Relay]]:
    async with relayed(place.url) as found:
        yield found


@pytest.mark.parametrize("route", ROUTES)
async def test_calls_wait_for_a_server_that_is_away_for_less_than_the_configured_time(
    relay: tuple[str, Relay], route: str
) -> None:
    url, between = relay
    async with connected(url, failover_timeout_seconds=20, **ROUTES[route]) as backend:
        await backend.tasks.save(task("before"))
        between.hang_up()
        asyncio.get_running_loop().call_later(AWAY_SECONDS, between.come_back)
        began = time.monotonic()
        await asyncio.gather(
            *[backend.tasks.save(task(str(number))) for number in range(30)],
            backend.cost_records.save(COST_RECORDS.example),
            backend.tasks.save_many([task("many")]),
            backend.tasks.get("before"),
            unit(backend),
        )
        assert AWAY_SECONDS / 2 < time.monotonic() - began < AWAY_SECONDS + 15
        assert len(await backend.tasks.list_tasks()) == 33
        assert len(await backend.cost_records.query()) == 1


@pytest.mark.parametrize("seconds", [0, 0.5])
async def test_whoever_has_waited_for_as_long_as_configured_is_told(
    relay: tuple[str, Relay], seconds: float
) -> None:
    url, between = relay
    async with connected(url, failover_timeout_seconds=seconds) as backend:
        between.hang_up()
        began = time.monotonic()
        for call in (backend.tasks.save(task("one")), backend.tasks.get("one"), unit(backend)):
            with pytest.raises(PersistenceConnectionError):
                await call
        assert 3 * seconds <= time.monotonic() - began < 3 * seconds + 15
        between.come_back()
        await backend.tasks.save(task("one"))


async def test_connecting_waits_for_a_server_too(relay: tuple[str, Relay]) -> None:
    url, between = relay
    between.hang_up()
    asyncio.get_running_loop().call_later(AWAY_SECONDS, between.come_back)
    async with connected(url, failover_timeout_seconds=20) as backend:
        assert await backend.tasks.list_tasks() == ()


async def test_a_refusal_for_good_is_told_at_once(place: Place) -> None:
    if place.driver == "psycopg":
        pytest.skip("it has no code by which to tell them apart")
    url = with_parameters(place.url, failover_timeout_seconds=60).replace("/synthorg", "/no_such")
    began = time.monotonic()
    with pytest.raises(PersistenceConnectionError):
        await create_backend(PersistenceConfig.from_url(url)).connect()
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("seconds", [0, 20])
async def test_a_unit_whose_connection_is_lost_before_its_commit_is_run_again_if_configured(
    relay: tuple[str, Relay], route: str, seconds: float
) -> None:
    url, between = relay
    runs: list[int] = []

    async def work(unit: UnitOfWork) -> None:
        await unit.tasks.save(task(f"run {len(runs)}"))
        runs.append(len(runs))
        if len(runs) == 1:
            between.cut()
        await unit.tasks.save(task("second"))

    async with connected(url, failover_timeout_seconds=seconds, **ROUTES[route]) as backend:
        if seconds:
            await backend.run_in_transaction(work)
            assert {each.id for each in await backend.tasks.list_tasks()} == {"run 1", "second"}
        else:
            with pytest.raises(PersistenceConnectionError) as raised:
                await backend.run_in_transaction(work)
            assert not isinstance(raised.value, OutcomeUnknownError)
            assert await backend.tasks.list_tasks() == ()


async def test_what_may_be_stored_already_is_not_written_again_where_that_would_show(
    relay: tuple[str, Relay],
) -> None:
    url, between = relay
    options = {"failover_timeout_seconds": 20, "prepared_statements": "false"}
    async with connected(url, **options) as backend:
        between.cut_at = b"COMMIT(?!TED)"
        between.cuts_once = True
        with pytest.raises(OutcomeUnknownError):
            await backend.cost_records.save(COST_RECORDS.example)
        assert len(await backend.cost_records.query()) == 1
