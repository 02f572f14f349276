"""Several hosts for a database: the first that will do is used; why others will not is told."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from sqlalchemy import make_url, text

from synthorg.persistence import PersistenceConfig, PersistenceConnectionError, create_backend
from tests.dialects.places import Place, connected, on, task, with_parameters
from tests.dialects.test_silence import ROUTES
from tests.servers.network import LOOPBACK
from tests.servers.postgresql import PostgreSQL


@contextmanager
def port_of_nobody() -> Iterator[int]:
    """A port at which nobody listens, and that nobody else gets."""
    with socket.socket() as held:
        held.bind((LOOPBACK, 0))
        yield held.getsockname()[1]


@asynccontextmanager
async def silent_port() -> AsyncIterator[tuple[int, list[asyncio.StreamWriter]]]:
    """A port where nothing is said on the connections that are taken, and those connections."""

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)

    taken: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(say_nothing, LOOPBACK, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], taken
        for writer in taken:
            writer.close()


def with_hosts(url: str, *ports: int | None, **parameters: object) -> str:
    """Write a URL with several ports of this machine; None stands for that of its server."""
    place = make_url(url)
    credentials, _, rest = url.partition(f"@{place.host}:{place.port}")
    hosts = ",".join(f"{LOOPBACK}:{place.port if port is None else port}" for port in ports)
    return with_parameters(f"{credentials}@{hosts}{rest}", **parameters)


@pytest.mark.parametrize("route", ROUTES)
async def test_a_host_where_nobody_listens_is_passed_over(place: Place, route: str) -> None:
    with port_of_nobody() as nobody:
        async with connected(with_hosts(place.url, nobody, None), **ROUTES[route]) as backend:
            await backend.tasks.save(task("one"))
            assert await backend.tasks.get("one") == task("one")


async def test_a_silent_host_is_waited_for_once(place: Place) -> None:
    async with silent_port() as (silent, taken):
        options = {"connect_timeout_seconds": 2, "prepared_statements": "false", "pool_size": 3}
        async with connected(with_hosts(place.url, silent, None, **options)) as backend:
            await asyncio.gather(*[backend.tasks.save(task(str(number))) for number in range(12)])
        assert len(taken) == 1


async def test_each_host_that_will_not_do_is_named_with_its_reason(place: Place) -> None:
    with port_of_nobody() as first, port_of_nobody() as second:
        url = with_hosts(place.url, first, second)
        backend = create_backend(PersistenceConfig.from_url(url))
        with pytest.raises(PersistenceConnectionError) as refusal:
            await backend.connect()
    assert f"{LOOPBACK}:{first}: " in str(refusal.value)
    assert f"{LOOPBACK}:{second}: " in str(refusal.value)


@on(PostgreSQL)
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_server_whose_transactions_are_read_only_is_refused_where_they_must_write(
    place: Place, driver: str
) -> None:
    name = make_url(place.url).database
    setting = f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'
    async with connected(place.url) as backend, backend.get_db().begin() as connection:
        await connection.execute(text(setting))
    for target, is_refused in (("any", False), ("primary", False), ("read-write", True)):
        url = with_parameters(place.url, driver=driver, target_session_attrs=target)
        backend = create_backend(PersistenceConfig.from_url(url))
        if is_refused:
            with pytest.raises(PersistenceConnectionError, match="default_transaction_read_only"):
                await backend.connect()
        else:
            async with connected(url) as found:
                assert await found.tasks.list_tasks() == ()
