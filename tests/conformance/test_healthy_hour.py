"""What is logged while all goes well: starts and stops, and nothing else."""

import asyncio
import logging

import pytest

from synthorg.persistence import UnitOfWork
from synthorg.persistence.retention import RetentionPolicy, prune
from synthorg.persistence.testing.kinds import KINDS, TASKS
from synthorg.persistence.testing.units import repositories
from tests.conformance.conftest import ROUTES
from tests.conformance.observer import arguments, called, methods_of, observed
from tests.servers.base import Server


@pytest.mark.parametrize("route", ROUTES)
async def test_a_healthy_hour_logs_starts_and_stops_alone(
    server: Server, route: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="synthorg")
    async with observed(server, route, slow_call_seconds="1000") as backend:

        async def work(unit: UnitOfWork) -> None:
            for kind in KINDS:
                await kind.store(repositories(unit), kind.example)

        await backend.run_in_transaction(work)
        for kind in KINDS:
            repository = getattr(backend, kind.repository)
            for method in methods_of(repository):
                if not method.startswith(("delete", "save")):
                    await called(repository, method, *arguments(kind, repository, method))

        async def contended(number: int) -> None:
            async def change(unit: UnitOfWork) -> None:
                found = await unit.tasks.get("contended")
                await asyncio.sleep(0)
                await unit.tasks.save(TASKS.make(id="contended", title=f"{found and number}"))

            await backend.run_in_transaction(change)

        await asyncio.gather(*map(contended, range(8)))
        assert await backend.health_check()
        assert (await backend.health()).is_ready
        await prune(backend, RetentionPolicy.of({"messages": {"max_age": "90d"}}), everything=True)
    told = [record for record in caplog.records if record.name.startswith("synthorg")]
    assert {vars(record)["event"] for record in told} == {"connected", "disconnected"}
