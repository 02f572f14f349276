"""Messages by channel: sent, and read by pages."""

from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID, uuid4

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.dependencies import Backend, Paging
from synthorg.entities import Key, Message, MessagePriority, MessageType, NotBlankStr
from synthorg.persistence import Page

router = APIRouter(prefix="/channels/{channel}", tags=["messages"])


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


@router.post("/messages", status_code=HTTPStatus.CREATED)
async def send(channel: Key, new: NewMessage, backend: Backend) -> Message:
    """Store a message, dated now; an id that is taken is a conflict."""
    message = Message(**new.model_dump(), channel=channel, timestamp=datetime.now(UTC))
    await backend.messages.save(message)
    return message


@router.get("/messages")
async def find(channel: Key, backend: Backend, walk: Paging) -> Page[Message]:
    """List the messages of a channel, the newest first, a page at a time."""
    return await backend.messages.page(channel, limit=walk.limit, after=walk.after)
