"""Messages by channel: sent, read by pages, and followed as they come in."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field

from service.dependencies import Backend, Paging, Stopping
from synthorg.entities import Key, Message, MessagePriority, MessageType, NotBlankStr
from synthorg.persistence import Page, PersistenceConnectionError

POLL_SECONDS: Final = 0.25
TOGETHER: Final = 100
RECONNECT_MILLISECONDS: Final = 1000

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/channels", tags=["messages"])


class NewMessage(BaseModel):
    """What an agent says.

    Attributes:
        id: Chosen by the sender, who can then send it again without its being stored twice.
        sender: Who says it.
        to: To whom.
        type: What it is for.
        priority: How soon it should be read.
        content: What is said.
    """

    id: UUID = Field(default_factory=uuid4)
    sender: Key
    to: Key
    type: MessageType = MessageType.STATUS_REPORT
    priority: MessagePriority = MessagePriority.NORMAL
    content: NotBlankStr


@router.post("/{channel}/messages", status_code=HTTPStatus.CREATED)
async def send(channel: Key, new: NewMessage, backend: Backend) -> Message:
    """Store a message, dated now; an id that is taken is a conflict."""
    message = Message(**new.model_dump(), channel=channel, timestamp=datetime.now(UTC))
    await backend.messages.save(message)
    return message


@router.get("/{channel}/messages")
async def find(channel: Key, backend: Backend, walk: Paging) -> Page[Message]:
    """List the messages of a channel, the newest first, a page at a time."""
    return await backend.messages.page(channel, limit=walk.limit, after=walk.after)


async def where_to_begin(
    channel: Key,
    backend: Backend,
    after: str | None = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> str:
    """Find the place after which a client wants to know of messages: without one, it is now.

    A browser that connects again tells by itself which event was its last. It is looked at before
    the answer begins, so that a bad one, or a lost database, is told by the status of the answer.
    """
    cursor = after if last_event_id is None else last_event_id
    if cursor is None:
        return await backend.messages.latest_cursor(channel=channel)
    await backend.messages.newer_than(cursor, channel=channel, limit=1)
    return cursor


@router.get("/{channel}/events", response_class=EventSourceResponse)
async def follow(
    channel: Key,
    backend: Backend,
    stopping: Stopping,
    begin: Annotated[str, Depends(where_to_begin)],
) -> AsyncGenerator[ServerSentEvent]:
    """Send each message as it comes in, with the place from which to go on after it.

    Whichever process has saved it, and whichever process a client is connected to next, no
    message is missed and none is sent twice.
    """
    yield ServerSentEvent(event="begin", data=begin, id=begin, retry=RECONNECT_MILLISECONDS)
    place = begin
    try:
        while not stopping.is_set():
            new = await backend.messages.newer_than(place, channel=channel, limit=TOGETHER)
            for arrival in new.arrivals:
                yield ServerSentEvent(data=arrival.record, id=arrival.cursor)
            place = new.cursor
            if len(new.arrivals) < TOGETHER:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), POLL_SECONDS)
    except PersistenceConnectionError as error:
        # The answer has begun, so that all that is left is to end it: the client comes back.
        logger.warning("A stream of messages has ended", exc_info=error)
