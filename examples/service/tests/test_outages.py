"""While the database is away, a client is told to come back, and then it is served again."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest
from conftest import SERVERS, serve
from httpx import AsyncClient
from sqlalchemy import make_url


class Way:
    """A way to a server that can be cut."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def open(self) -> None:
        """Let connections through, always at the same port."""
        self._listener = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break all connections, and refuse new ones."""
        assert self._listener is not None
        self._listener.close()
        for writer in [*self._open]:
            writer.transport.abort()

    async def _connect(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, forth = await asyncio.open_connection(*self._server)
        self._open |= {back, forth}
        await asyncio.gather(_pass_on(near, forth), _pass_on(far, back))
        self._open -= {back, forth}


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while read := await source.read(65536):
            sink.write(read)
            await sink.drain()
    sink.transport.abort()


@asynccontextmanager
async def way_to(url: str) -> AsyncGenerator[tuple[Way, str]]:
    """Give a way to a server, and the URL by which it is taken."""
    read = make_url(url)
    way = Way(read.host or "", read.port or 0)
    await way.open()
    try:
        led = read.set(host="127.0.0.1", port=way.port)
        yield way, led.render_as_string(hide_password=False)
    finally:
        await way.cut()


async def answers(client: AsyncClient) -> list[int]:
    """Ask for something, and send something."""
    message = {"sender": "ada", "to": "bob", "content": "Off we go"}
    read = await client.get("/tasks")
    sent = await client.post("/channels/outage/messages", json=message)
    ready = await client.get("/ready")
    for answer in (read, sent):
        if answer.status_code == 503:
            assert answer.headers["Retry-After"] == "2"
    for answer in (read, sent, ready):
        assert "127.0.0.1" not in answer.text
    return [read.status_code, sent.status_code, ready.status_code]


@pytest.mark.parametrize("url", SERVERS, ids=lambda url: url.partition(":")[0])
async def test_a_lost_database_is_told_as_an_outage_that_ends(url: str) -> None:
    async with way_to(url) as (way, led), serve(led) as client:
        assert await answers(client) == [200, 201, 200]
        await way.cut()
        assert await answers(client) == [503, 503, 503]
        await way.open()
        assert await answers(client) == [200, 201, 200]
