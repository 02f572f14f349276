"""Whoever follows a channel gets each message once, also across connections and outages."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from conftest import SERVERS
from httpx import AsyncClient
from processes import Service, Writer, running
from test_outages import way_to

from synthorg.entities import Message, MessageType
from synthorg.persistence import PersistenceConfig, create_backend

COUNT = 400
A_CONNECTION = 30
"""How many messages are read before a reader connects anew."""

PATIENCE_SECONDS = 30


@dataclass
class Event:
    """An event as it is sent."""

    kind: str = "message"
    place: str = ""
    data: str = ""


async def events_of(lines: AsyncIterator[str]) -> AsyncGenerator[Event]:
    """Read events from the lines of an answer."""
    event = Event()
    async for line in lines:
        name, _, value = line.partition(": ")
        match name:
            case "event":
                event.kind = value
            case "id":
                event.place = value
            case "data":
                event.data += value
            case "" if not line:
                if event.data:
                    yield event
                event = Event()
            case _:
                pass


@asynccontextmanager
async def following(
    client: AsyncClient, channel: str, last: str | None = None
) -> AsyncGenerator[AsyncGenerator[Event]]:
    """Follow a channel, from the last event on, as a browser does."""
    headers = {} if last is None else {"Last-Event-ID": last}
    path = f"/channels/{channel}/events"
    async with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        async with aclosing(events_of(answer.aiter_lines())) as events:
            yield events


async def messages_from(events: AsyncGenerator[Event]) -> AsyncGenerator[tuple[str, str]]:
    """Give the id of each message, and the place after it."""
    async for event in events:
        if event.kind == "message":
            yield json.loads(event.data)["id"], event.place


async def test_each_message_is_sent_once_over_many_connections(url: str, name: str) -> None:
    received: list[str] = []
    with running(url, workers=2) as service:
        async with AsyncClient(base_url=service.place, timeout=PATIENCE_SECONDS) as client:
            async with following(client, name) as events:
                last = (await anext(events)).place
            writer = Writer(url, name, COUNT)
            while len(received) < COUNT:
                async with following(client, name, last) as events:
                    read = 0
                    async for message_id, place in messages_from(events):
                        received.append(message_id)
                        last = place
                        read += 1
                        if read == A_CONNECTION or len(received) == COUNT:
                            break
        saved = await asyncio.to_thread(writer.saved)
    assert len(received) == len(saved) == COUNT
    assert set(received) == {*saved}


async def test_who_connects_again_before_the_first_message_misses_none(url: str, name: str) -> None:
    message = {"sender": "ada", "to": "bob", "content": "Off we go"}
    with running(url) as service:
        async with AsyncClient(base_url=service.place, timeout=PATIENCE_SECONDS) as client:
            await client.post(f"/channels/{name}/messages", json=message)
            async with following(client, name) as events:
                begin = await anext(events)
            assert begin.kind == "begin"
            sent = await client.post(f"/channels/{name}/messages", json=message)
            async with following(client, name, begin.place) as events:
                assert (await anext(events)).kind == "begin"
                assert json.loads((await anext(events)).data) == sent.json()


async def test_a_place_of_another_channel_is_refused(client: AsyncClient, name: str) -> None:
    for wrong in ("nonsense", "", "\u00e4"):
        refused = await client.get(f"/channels/{name}/events", params={"after": wrong})
        assert refused.status_code == 400


@pytest.mark.parametrize("url", SERVERS, ids=lambda url: url.partition(":")[0])
async def test_what_is_said_while_the_database_is_away_is_sent_later(url: str, name: str) -> None:
    async with way_to(url) as (way, led), AsyncExitStack() as stack:
        service = Service(led)
        await asyncio.to_thread(service.start)  # it connects by the way, which this loop keeps open
        stack.push_async_callback(asyncio.to_thread, service.stop)
        async with AsyncClient(base_url=service.place, timeout=PATIENCE_SECONDS) as client:
            async with following(client, name) as events:
                last = (await anext(events)).place
                await way.cut()
                assert [event async for event in events] == []  # it has ended
            path = f"/channels/{name}/events"
            refused = await client.get(path, headers={"Last-Event-ID": last})
            assert refused.status_code == 503
            message = await say_directly(url, name)
            await way.open()
            async with following(client, name, last) as events:
                assert (await anext(messages_from(events)))[0] == str(message.id)


async def say_directly(url: str, channel: str) -> Message:
    """Save a message past the way that is cut."""
    message = Message(
        timestamp=datetime.now(UTC),
        sender="ada",
        to="bob",
        type=MessageType.ANNOUNCEMENT,
        channel=channel,
        content="I am still here",
    )
    async with create_backend(PersistenceConfig.from_url(url)) as backend:
        await backend.messages.save(message)
    return message
