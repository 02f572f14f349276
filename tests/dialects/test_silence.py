"""A server, or the way to it, that says nothing any more: nobody waits for it for ever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import pytest
from sqlalchemy import text

from synthorg.persistence import (
    OutcomeUnknownError,
    PersistenceConfig,
    PersistenceConnectionError,
    TransactionalBackend,
    create_backend,
)
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.drivers import answer_timeout, idle_connections
from synthorg.persistence.testing.kinds import COST_RECORDS
from synthorg.persistence.transactions import UnitOfWork
from tests.conftest import checked_out_connections
from tests.dialects.places import Place, connected, task, with_parameters
from tests.dialects.relay import Relay, relayed

LIMITS: Final = {
    "connect_timeout_seconds": 1,
    "statement_timeout_seconds": 0.5,
    "pool_timeout_seconds": 2,
    "pool_size": 4,
}
FOR_ALL_CALLS: Final = {"pool_size": 16}
"""So that no call waits for a connection, but each meets the silence itself."""
SECONDS: Final = 8
"""How long something may take that must not hang; psycopg connects for two at least."""

ENDS: Final = {PersistenceConnectionError, OutcomeUnknownError}
"""What a call to a silent server ends with."""

ROUTES: Final = {
    "lanes": {},
    "pool": {"prepared_statements": "false"},
}


async def unit(backend: TransactionalBackend) -> None:
    async with backend.transaction() as work:
        await work.tasks.get("one")
        await work.tasks.save(task("two"))


CALLS: Final[list[Callable[[TransactionalBackend], Awaitable[object]]]] = [
    lambda backend: backend.tasks.get("one"),
    lambda backend: backend.tasks.list_tasks(),
    lambda backend: backend.tasks.save(task("two")),
    lambda backend: backend.tasks.delete("two"),
    lambda backend: backend.cost_records.save(COST_RECORDS.example),
    lambda backend: backend.tasks.save_many([task("two"), task("three")]),
    unit,
]


@pytest.fixture(params=ROUTES)
def options(request: pytest.FixtureRequest) -> dict[str, object]:
    return {**LIMITS, **ROUTES[request.param]}


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_timeout, "MARGIN_SECONDS", 0.2)
    monkeypatch.setattr(idle_connections, "FAREWELL_SECONDS", 0.2)


@asynccontextmanager
async def relayed_backend(
    place: Place, options: dict[str, object]
) -> AsyncIterator[tuple[TransactionalBackend, Relay]]:
    """Connect through a relay, and disconnect in good time."""
    async with relayed(place.url) as (url, relay), connected(url, **options) as backend:
        await backend.tasks.save(task("one"))
        await asyncio.gather(*[call(backend) for call in CALLS * 2], return_exceptions=True)
        yield backend, relay
        async with asyncio.timeout(SECONDS):
            await backend.disconnect()
        relay.hang_up()


async def test_a_call_to_a_silent_server_ends_with_a_connection_error(
    place: Place, options: dict[str, object]
) -> None:
    async with relayed_backend(place, {**options, **FOR_ALL_CALLS}) as (backend, relay):
        relay.is_silent = True
        for calls in (CALLS, CALLS[:1]):  # on open connections, and then on none
            async with asyncio.timeout(SECONDS):
                outcomes = await asyncio.gather(
                    *[call(backend) for call in calls], return_exceptions=True
                )
            assert {*map(type, outcomes)} <= ENDS, outcomes
        assert checked_out_connections(backend) == 0


async def test_a_unit_that_meets_silence_in_its_midst_ends_too(
    place: Place, options: dict[str, object]
) -> None:
    async with relayed_backend(place, options) as (backend, relay):

        async def work(unit: UnitOfWork) -> None:
            await unit.tasks.get("one")
            relay.is_silent = True
            await unit.tasks.save(task("two"))

        async with asyncio.timeout(SECONDS):
            with pytest.raises(PersistenceConnectionError):
                await backend.run_in_transaction(work)
        assert checked_out_connections(backend) == 0


async def test_a_write_that_met_silence_is_unknown_unless_its_commit_was_not_sent(
    place: Place, options: dict[str, object]
) -> None:
    async with relayed_backend(place, options) as (backend, relay):
        await backend.tasks.save(task("one"))
        relay.is_silent = True
        cost = COST_RECORDS.make(agent_id="silence")
        with pytest.raises(PersistenceConnectionError) as raised:
            await backend.cost_records.save(cost)
        relay.is_silent = False
    async with connected(place.url) as other:
        stored = await other.cost_records.query(agent_id="silence")
        assert stored == () or isinstance(raised.value, OutcomeUnknownError)


async def test_after_the_silence_calls_succeed(place: Place, options: dict[str, object]) -> None:
    async with relayed_backend(place, options) as (backend, relay):
        relay.is_silent = True
        with pytest.raises(PersistenceConnectionError):
            await backend.tasks.get("one")
        relay.is_silent = False
        for call in CALLS:
            async with asyncio.timeout(SECONDS):
                await call(backend)


async def test_an_idle_backend_disconnects_from_a_silent_server(
    place: Place, options: dict[str, object]
) -> None:
    async with relayed_backend(place, options) as (_, relay):
        relay.is_silent = True


async def test_connecting_to_a_silent_server_ends_in_time(
    place: Place, options: dict[str, object]
) -> None:
    async with relayed(place.url) as (url, relay):
        relay.is_silent = True
        backend = create_backend(PersistenceConfig.from_url(with_parameters(url, **options)))
        async with asyncio.timeout(SECONDS):
            with pytest.raises(PersistenceConnectionError):
                await backend.connect()
        relay.hang_up()


async def test_a_call_that_is_cancelled_meanwhile_ends_too(
    place: Place, options: dict[str, object]
) -> None:
    async with relayed_backend(place, {**options, **FOR_ALL_CALLS}) as (backend, relay):
        relay.is_silent = True
        running = [asyncio.ensure_future(call(backend)) for call in CALLS]
        await asyncio.sleep(0.1)
        for call in running:
            call.cancel()
        _, pending = await asyncio.wait(running, timeout=SECONDS)
        assert not pending


async def test_a_cancelled_call_does_not_wait_for_the_limit_of_statements(
    place: Place, options: dict[str, object]
) -> None:
    options = {**options, "statement_timeout_seconds": 60}
    async with relayed_backend(place, options) as (backend, relay):
        relay.is_silent = True
        saving = asyncio.ensure_future(backend.tasks.save(task("two")))
        await asyncio.sleep(0.1)
        saving.cancel()
        done, _ = await asyncio.wait([saving], timeout=SECONDS)
        assert done


async def test_without_a_limit_of_statements_an_answer_is_waited_for(place: Place) -> None:
    sleep = "SELECT pg_sleep(1)" if place.kind == "postgresql" else "SELECT SLEEP(1)"
    dialect = create_dialect(
        PersistenceConfig.from_url(with_parameters(place.url, statement_timeout_seconds=0))
    )
    engine = dialect.create_engine()
    async with engine.connect() as connection:
        await dialect.step(connection, connection.execute(text(sleep)))
    await engine.dispose()


def test_where_the_server_limits_reads_alone_writes_may_wait_for_locks_too() -> None:
    url = "root@localhost/d?statement_timeout_seconds=2"
    limits = {
        kind: create_dialect(PersistenceConfig.from_url(f"{kind}://{url}")).answer_timeout_seconds
        for kind in ("mysql", "mariadb")
    }
    assert limits == {"mysql": 2.2 + 50, "mariadb": 2.2}
