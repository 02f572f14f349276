"""What writing many records costs on PostgreSQL, in runs of statements."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import pytest

from synthorg.persistence import TransactionalBackend
from synthorg.persistence.sql.drivers import idle_connections
from tests.conftest import ServerPool
from tests.dialects.places import connected, task
from tests.dialects.relay import Relay, relayed
from tests.servers.postgresql import PostgreSQL

PREPARED: Final = b"__asyncpg_stmt_"
"""What asyncpg's names of prepared statements begin with; each run sends one."""

MANY: Final = 300
"""More records than fit into what many runs of a statement would send together."""

SavesMany = Callable[[TransactionalBackend], Awaitable[object]]


@dataclass(frozen=True)
class Watched:
    """A backend, and the relay that sees what it sends."""

    backend: TransactionalBackend
    relay: Relay

    async def runs_of(self, work: SavesMany) -> int:
        """Count the runs of prepared statements, once they are prepared."""
        await work(self.backend)
        self.relay.sent.clear()
        await work(self.backend)
        return self.relay.sent.count(PREPARED)


@pytest.fixture
def url(server_pool: ServerPool) -> Iterator[str]:
    with server_pool.get(PostgreSQL).migrated_database() as url:
        yield url


@asynccontextmanager
async def watched(url: str) -> AsyncIterator[Watched]:
    async with relayed(url) as (relayed_url, relay), connected(relayed_url) as backend:
        yield Watched(backend, relay)


@pytest.fixture(autouse=True)
def no_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle_connections, "IDLE_SECONDS", math.inf)


async def test_many_records_are_stored_by_one_run_of_a_statement(url: str) -> None:
    tasks = [task(f"{number:03}", description="x" * 600) for number in range(MANY)]
    async with watched(url) as it:
        assert await it.runs_of(lambda backend: backend.tasks.save_many(tasks)) == 1
        assert await it.backend.tasks.list_tasks() == tuple(tasks)


async def test_saves_that_wait_are_stored_by_one_run_of_a_statement(url: str) -> None:
    tasks = [task(f"{number:03}") for number in range(64)]

    async def save_all(backend: TransactionalBackend) -> None:
        await asyncio.gather(*map(backend.tasks.save, tasks))

    async with watched(url) as it:
        # The first finds the connection free, and the others wait for it.
        assert await it.runs_of(save_all) == 2
        assert await it.backend.tasks.list_tasks() == tuple(tasks)


async def test_records_of_the_same_key_are_stored_one_after_the_other(url: str) -> None:
    """PostgreSQL refuses to replace a row twice in one statement."""
    tasks = [task("the same", title=str(number)) for number in range(10)]

    async def save_all(backend: TransactionalBackend) -> None:
        await asyncio.gather(*map(backend.tasks.save, tasks))

    async with watched(url) as it:
        assert await it.runs_of(lambda backend: backend.tasks.save_many(tasks)) == 10
        assert await it.backend.tasks.list_tasks() == (tasks[-1],)
        assert await it.runs_of(save_all) == 10
        assert await it.backend.tasks.list_tasks() == (tasks[-1],)


async def test_large_records_are_not_piled_up_in_memory(url: str) -> None:
    tasks = [task(str(number), description="x" * 400_000) for number in range(7)]
    async with watched(url) as it:
        # Three of them are more than what is sent together.
        assert await it.runs_of(lambda backend: backend.tasks.save_many(tasks)) == 3
        assert await it.backend.tasks.list_tasks() == tuple(tasks)
