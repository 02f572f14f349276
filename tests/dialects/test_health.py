"""What is told of the health of a server that is away, refuses or says nothing, and of a file."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import make_url

from synthorg.persistence import HealthReason, PersistenceConfig, SchemaCondition, create_backend
from synthorg.persistence.sql.drivers import idle_connections
from synthorg.persistence.transactions import ManagedBackend
from tests.dialects.places import Place, with_parameters
from tests.dialects.relay import Relay, relayed

ROUTES: Final = {"fast": "true", "public": "false"}


@pytest.fixture(params=ROUTES)
async def relayed_backend(
    request: pytest.FixtureRequest, place: Place, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[ManagedBackend, Relay]]:
    """A backend on each route, and the relay through which it reaches its server."""
    monkeypatch.setattr(idle_connections, "FAREWELL_SECONDS", 0.2)
    async with relayed(place.url) as (url, relay):
        own = with_parameters(url, prepared_statements=ROUTES[request.param])
        async with create_backend(PersistenceConfig.from_url(own)) as backend:
            yield backend, relay
            relay.hang_up()


async def test_a_server_that_is_gone_is_told_as_that_with_the_class_of_the_error(
    relayed_backend: tuple[ManagedBackend, Relay],
) -> None:
    backend, relay = relayed_backend
    assert (await backend.health()).is_ready
    relay.hang_up()
    for _ in range(3):
        health = await backend.health()
        assert not health.reachable
        assert not health.is_ready
        assert health.latency_seconds is None
        assert health.schema_state is None
        assert [each.code for each in health.degraded] == [HealthReason.UNREACHABLE]
        assert health.error is not None
        assert health.error.isidentifier()
    relay.come_back()
    health = await backend.health()
    assert health.is_ready
    assert health.schema_state is SchemaCondition.CURRENT


async def test_a_silent_server_is_told_within_the_time_that_was_given(
    relayed_backend: tuple[ManagedBackend, Relay],
) -> None:
    backend, relay = relayed_backend
    assert (await backend.health()).is_ready
    relay.is_silent = True
    async with asyncio.timeout(5):  # half of the time in which anything else would give up
        every = await asyncio.gather(*(backend.health(timeout=0.5) for _ in range(5)))
    for health in every:
        assert not health.reachable
        assert [each.code for each in health.degraded] == [HealthReason.NO_ANSWER]
        assert "0.5 s" in health.degraded[0].text


async def test_a_server_that_falls_silent_in_between_is_reachable_with_an_unknown_schema(
    relayed_backend: tuple[ManagedBackend, Relay],
) -> None:
    backend, relay = relayed_backend
    assert (await backend.health()).is_ready
    relay.cut_at = rb"synthorg_persistence_copy|alembic|information_schema|pg_catalog"
    health = await backend.health(timeout=0.5)
    assert health.reachable
    assert health.latency_seconds is not None
    assert [each.code for each in health.degraded] == [HealthReason.SCHEMA_UNKNOWN]
    assert health.is_ready


async def test_health_has_neither_password_nor_host_in_it(
    relayed_backend: tuple[ManagedBackend, Relay], place: Place
) -> None:
    backend, relay = relayed_backend
    url = make_url(place.url)
    relay.hang_up()
    told = (await backend.health()).model_dump_json()
    assert url.host is not None
    assert url.host not in told
    assert url.password is None or url.password not in told


async def test_a_file_that_was_moved_away_is_not_reachable(sqlite_file: Path) -> None:
    moved = sqlite_file.with_suffix(".moved")
    for route in ROUTES.values():
        url = f"sqlite:///{sqlite_file}?prepared_statements={route}"
        async with create_backend(PersistenceConfig.from_url(url)) as backend:
            assert (await backend.health()).is_ready
            await asyncio.to_thread(sqlite_file.rename, moved)
            health = await backend.health()
            assert not health.reachable
            assert [each.code for each in health.degraded] == [HealthReason.UNREACHABLE]
            assert str(sqlite_file) not in health.model_dump_json()
            await asyncio.to_thread(moved.rename, sqlite_file)
            assert (await backend.health()).is_ready


async def test_the_size_of_the_log_is_told_where_there_is_one(sqlite_file: Path) -> None:
    log = sqlite_file.with_name(sqlite_file.name + "-wal")
    async with create_backend(PersistenceConfig.from_url(f"sqlite:///{sqlite_file}")) as backend:
        await backend.set_setting("limit", "1")
        assert (await backend.health()).log_bytes == log.stat().st_size > 0
    url = f"sqlite:///{sqlite_file}?wal_mode=false"
    async with create_backend(PersistenceConfig.from_url(url)) as backend:
        assert (await backend.health()).log_bytes is None
