"""Fewer connections than a pool would like: whose limit it is, and what goes on all the same."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import pytest
from sqlalchemy import make_url, text

from synthorg.persistence import (
    PersistenceConnectionError,
    TooManyConnectionsError,
    TransactionalBackend,
)
from tests.dialects.places import connected, task, with_parameters
from tests.servers.administrator import Administrator
from tests.servers.base import go_without
from tests.servers.mariadb import MariaDB
from tests.servers.network import NetworkServer
from tests.servers.postgresql import PostgreSQL

MOST: Final = 16
"""How many connections each server allows to those without privileges."""

SERVERS: Final[dict[type[NetworkServer], tuple[str, ...]]] = {
    PostgreSQL: (f"max_connections={MOST + 3}", "superuser_reserved_connections=3"),
    MariaDB: (f"--max-connections={MOST}",),
}
WAYS: Final[dict[str, type[NetworkServer]]] = {
    "postgresql": PostgreSQL,
    "postgresql?prepared_statements=false": PostgreSQL,
    "postgresql?driver=psycopg": PostgreSQL,
    "mariadb": MariaDB,
    "mariadb?prepared_statements=false": MariaDB,
}
FAST_WAYS: Final = ("postgresql", "mariadb")


@dataclass
class Limited:
    """A migrated database on a server of its own, for a user who may have few connections.

    Attributes:
        kind: The server.
        parameters: By which driver and route to reach it.
        administrator: Whoever may do everything there.
        database: Its name.
        allow: Has the server allow the user so many connections, and gives the URL.
    """

    kind: type[NetworkServer]
    parameters: str
    administrator: Administrator
    database: str
    allow: Callable[[int], str]

    def sessions(self) -> Sequence[int]:
        """Number the sessions of the user."""
        where = "WHERE {} = '{}' AND {} = 'app'"
        if self.kind is PostgreSQL:
            question = "SELECT pid FROM pg_stat_activity " + where.format(
                "datname", self.database, "usename"
            )
        else:
            question = "SELECT id FROM information_schema.processlist " + where.format(
                "db", self.database, "user"
            )
        return [number for (number,) in self.administrator.execute(question)]

    def end(self, session: int) -> None:
        """End a session."""
        kill = "SELECT pg_terminate_backend({})" if self.kind is PostgreSQL else "KILL {}"
        self.administrator.execute(kill.format(session))

    @property
    def own_number(self) -> str:
        """The question for the number of one's own session."""
        return "SELECT pg_backend_pid()" if self.kind is PostgreSQL else "SELECT CONNECTION_ID()"


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[type[NetworkServer], NetworkServer]]:
    """Servers that allow few connections."""
    with ExitStack() as stack:
        started: dict[type[NetworkServer], NetworkServer] = {}
        for kind, settings in SERVERS.items():
            way = next(kind.private_ways(*settings), None)
            if way is None:
                go_without(kind.name, kind.advice)
            started[kind] = stack.enter_context(way)
        yield started


@pytest.fixture(params=WAYS)
def limited(
    request: pytest.FixtureRequest, servers: dict[type[NetworkServer], NetworkServer]
) -> Iterator[Limited]:
    """A database with a limit, by each driver and route."""
    kind, parameters = WAYS[request.param], request.param.partition("?")[2]
    server = servers[kind]
    with server.migrated_database() as url, ExitStack() as stack:
        there, password = make_url(url), secrets.token_hex(8)
        here = there.set(username="app", password=password).render_as_string(hide_password=False)
        name = str(there.database)
        if kind is PostgreSQL:
            entrance = there.set(drivername="postgresql+asyncpg")
            inside = stack.enter_context(Administrator(entrance))
            inside.execute(
                f"CREATE ROLE app LOGIN PASSWORD '{password}'",
                "GRANT ALL ON SCHEMA public TO app",
                "GRANT ALL ON ALL TABLES IN SCHEMA public TO app",
            )
            stack.callback(inside.execute, "DROP OWNED BY app", "DROP ROLE app")
        else:
            inside = server.administrator
            inside.execute(
                f"CREATE USER app@'127.0.0.1' IDENTIFIED BY '{password}'",
                f"GRANT ALL ON {name}.* TO app@'127.0.0.1'",
            )
            stack.callback(inside.execute, "DROP USER app@'127.0.0.1'")

        def allow(number: int) -> str:
            inside.execute(
                f"ALTER ROLE app CONNECTION LIMIT {number}"
                if kind is PostgreSQL
                else f"ALTER USER app@'127.0.0.1' WITH MAX_USER_CONNECTIONS {number}"
            )
            return f"{here}?{parameters}" if parameters else here

        yield Limited(kind, parameters, server.administrator, name, allow)


by_fast_ways = pytest.mark.parametrize("limited", FAST_WAYS, indirect=True)


async def use(backend: TransactionalBackend, name: str, rounds: int = 3) -> None:
    """Do something of each kind."""
    for number in range(rounds):
        key = f"{name} {number}"
        await backend.tasks.save(task(key))
        assert await backend.tasks.get(key) == task(key)
        await backend.tasks.save_many([task(f"{key} many {each}") for each in range(3)])
        await backend.tasks.list_tasks(project="nobody's")
        async with backend.transaction() as unit:
            await unit.tasks.save(task(f"{key} unit"))
        async with backend.transaction(read_only=True) as unit:
            assert await unit.tasks.get(f"{key} unit") is not None


async def use_at_once(backend: TransactionalBackend, callers: int = 8) -> None:
    await asyncio.gather(*[use(backend, f"caller {each}") for each in range(callers)])


@asynccontextmanager
async def occupied(url: str, number: int) -> AsyncIterator[None]:
    """Have others hold connections."""
    async with AsyncExitStack() as stack:
        for _ in range(number):
            await stack.enter_async_context(connected(url, pool_size=1))
        yield


@pytest.mark.parametrize("number", [1, 2, 5])
async def test_all_calls_are_served_by_the_connections_that_there_may_be(
    limited: Limited, number: int
) -> None:
    async with connected(limited.allow(number), pool_timeout_seconds=20) as backend:
        await use_at_once(backend)
        assert await backend.health_check()
        assert len(limited.sessions()) <= number


async def test_whoever_cannot_connect_is_told_whose_limit_it_is_and_what_to_change(
    limited: Limited,
) -> None:
    url = limited.allow(1)
    async with connected(url, pool_size=1):
        with pytest.raises(TooManyConnectionsError) as raised:
            await connected(url).__aenter__()
    limit = "CONNECTION LIMIT of the role" if limited.kind is PostgreSQL else "max_user_connections"
    assert "cannot connect to" in str(raised.value)
    assert limit in str(raised.value)
    assert "pool_size" in str(raised.value)
    assert isinstance(raised.value, PersistenceConnectionError)


async def test_the_limit_of_the_server_itself_is_told(limited: Limited) -> None:
    url = limited.allow(0 if limited.kind is MariaDB else -1)

    async def connect_too_often(stack: AsyncExitStack) -> None:
        for _ in range(MOST + 1):
            await stack.enter_async_context(connected(url, pool_size=1))

    async with AsyncExitStack() as stack:
        with pytest.raises(TooManyConnectionsError, match="max_connections"):
            await connect_too_often(stack)


@pytest.mark.parametrize("limited", [way for way in WAYS if "postgresql" in way], indirect=True)
async def test_the_limit_of_a_database_is_told(limited: Limited) -> None:
    url = limited.allow(-1)
    limited.administrator.execute(f"ALTER DATABASE {limited.database} CONNECTION LIMIT 1")
    try:
        # One of the tests themselves is there.
        with pytest.raises(TooManyConnectionsError, match="the database has as many"):
            await connected(url).__aenter__()
    finally:
        limited.administrator.execute(f"ALTER DATABASE {limited.database} CONNECTION LIMIT -1")


async def test_whoever_waits_for_a_failover_waits_for_room_as_well(limited: Limited) -> None:
    url = limited.allow(1)
    async with AsyncExitStack() as first:
        await first.enter_async_context(connected(url, pool_size=1))

        async def wait() -> None:
            async with connected(url, failover_timeout_seconds=20) as backend:
                await use(backend, "late")

        waiting = asyncio.create_task(wait())
        await asyncio.wait([waiting], timeout=0.3)
        assert not waiting.done()
        await first.aclose()
        await waiting


async def test_a_pool_grows_when_there_is_room_again(limited: Limited) -> None:
    url = limited.allow(4)
    async with connected(url, pool_timeout_seconds=20) as backend:
        async with occupied(url, 3):
            await use_at_once(backend)
            assert len(limited.sessions()) == 4
        async with asyncio.timeout(20):
            while len(await asyncio.to_thread(limited.sessions)) < 3:
                await use_at_once(backend)


async def test_a_health_check_waits_for_the_only_connection_there_may_be(limited: Limited) -> None:
    async with connected(limited.allow(1)) as backend:
        async with backend.transaction() as unit:
            await unit.tasks.get("any")
            check = asyncio.create_task(backend.health_check())
            await asyncio.wait([check], timeout=1.5)
            assert not check.done()
        assert await check


@by_fast_ways
async def test_a_unit_takes_the_place_of_a_connection_that_is_kept(limited: Limited) -> None:
    url = limited.allow(4)
    async with connected(url, pool_timeout_seconds=20) as backend, AsyncExitStack() as others:
        await use_at_once(backend)
        async with backend.transaction() as unit:
            connection = await unit.connection()
            shared = (await connection.execute(text(limited.own_number))).scalar_one()
        kept = {*limited.sessions()} - {shared}
        if len(kept) < 2:
            pytest.skip("no connection is kept")
        limited.end(shared)
        async with asyncio.timeout(20):  # until somebody else has it
            while True:
                with suppress(TooManyConnectionsError):
                    await others.enter_async_context(connected(url, pool_size=1))
                    break
        await use_at_once(backend)


@pytest.mark.parametrize("overflow", [0, 2])
async def test_a_backend_opens_no_more_connections_than_it_says(
    limited: Limited, overflow: int
) -> None:
    most = 6 + overflow
    url = with_parameters(limited.allow(MOST - 2), pool_size=6, max_overflow=overflow)
    async with connected(url, pool_timeout_seconds=20) as backend:
        load = asyncio.create_task(use_at_once(backend, 24))
        seen = []
        while not load.done():
            seen.append({*await asyncio.to_thread(limited.sessions)})
        await load
        # One that was closed may be there for a moment longer, but not when asked again.
        assert 1 < max(len(before & after) for before, after in pairwise(seen)) <= most
