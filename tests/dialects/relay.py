"""A relay between a backend and its server, which sees what is sent and can cut it off."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import make_url


class Relay:
    """Passes bytes on, in both directions.

    Args:
        host: Where the server is.
        port: Its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self.sent = bytearray()
        """What has been sent to the server."""
        self.trips = 0
        """How often something was sent after an answer."""
        self.cut_at: bytes | None = None
        """A pattern of what is sent to the server, but whose answer never arrives, nor anything
        else on that connection."""
        self.cuts_once = False
        """Whether that happens to one connection alone."""

        self.is_silent = False
        """Whether nothing is passed on any more, while all connections stay open."""
        self.attempts: list[float] = []
        """When each connection was asked for, also while this takes none."""
        self.accepted = 0
        """How many connections were opened."""
        self._passages: list[Passage] = []
        self._is_away = False
        self._writers: set[asyncio.StreamWriter] = set()

    def forget(self) -> None:
        """Pass nothing on any more on the connections that are open now."""
        for passage in self._passages:
            passage.is_forgotten = True

    def cut(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def hang_up(self) -> None:
        """End all connections, and each new one at once."""
        self._is_away = True
        self.cut()

    def come_back(self) -> None:
        """Take connections again."""
        self._is_away = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.attempts.append(time.monotonic())
        if self._is_away:
            writer.transport.abort()
            return
        remote_reader, remote_writer = await asyncio.open_connection(self._host, self._port)
        self._writers |= {writer, remote_writer}
        self.accepted += 1
        passage = Passage(self, remote_writer, writer)
        self._passages.append(passage)
        tasks = [
            asyncio.create_task(passage.send(reader)),
            asyncio.create_task(passage.answer(remote_reader)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (writer, remote_writer):
                each.close()
            await asyncio.gather(*tasks, return_exceptions=True)


class Passage:
    """One connection through a relay.

    Args:
        relay: The relay.
        server: What is written to the server.
        client: What is written to the client.
    """

    def __init__(
        self, relay: Relay, server: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        self._relay = relay
        self._server = server
        self._client = client
        self._answered = self._cut = False
        self.is_forgotten = False

    async def send(self, reader: asyncio.StreamReader) -> None:
        """Pass on what the client sends."""
        relay = self._relay
        while data := await reader.read(1 << 16):
            if relay.is_silent or self.is_forgotten:
                continue
            relay.trips += self._answered
            self._answered = False
            relay.sent += data
            self._server.write(data)
            if relay.cut_at is not None and re.search(relay.cut_at, data):
                self._cut = True
                if relay.cuts_once:
                    relay.cut_at = None

    async def answer(self, reader: asyncio.StreamReader) -> None:
        """Pass on what the server answers, until the connection is cut."""
        while data := await reader.read(1 << 16):
            if self._cut:
                return
            if not self._relay.is_silent and not self.is_forgotten:
                self._answered = True
                self._client.write(data)


@asynccontextmanager
async def relayed(url: str) -> AsyncIterator[tuple[str, Relay]]:
    """Give a URL that leads through a relay, and the relay.

    Args:
        url: The URL that leads to the server.
    """
    parsed = make_url(url)
    assert parsed.host is not None
    assert parsed.port is not None
    relay = Relay(parsed.host, parsed.port)
    async with await asyncio.start_server(relay.serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        own = parsed.set(host="127.0.0.1", port=port)
        yield own.render_as_string(hide_password=False), relay
