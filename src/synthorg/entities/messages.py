"""What agents say to each other."""

from enum import StrEnum
from typing import Self
from uuid import UUID, uuid4

from pydantic import ConfigDict, Field, model_validator

from synthorg.entities.base import (
    Amount,
    Count,
    Entity,
    Key,
    NotBlankStr,
    Text,
    UtcDatetime,
    refuse_duplicates,
)


class MessageType(StrEnum):
    """What a message is for."""

    TASK_UPDATE = "task_update"
    QUESTION = "question"
    ANNOUNCEMENT = "announcement"
    REVIEW_REQUEST = "review_request"
    APPROVAL = "approval"
    DELEGATION = "delegation"
    STATUS_REPORT = "status_report"
    ESCALATION = "escalation"
    MEETING_CONTRIBUTION = "meeting_contribution"
    HR_NOTIFICATION = "hr_notification"


class MessagePriority(StrEnum):
    """How soon a message should be read."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class AttachmentType(StrEnum):
    """What an attachment refers to."""

    ARTIFACT = "artifact"
    FILE = "file"
    LINK = "link"


class Attachment(Entity):
    """A reference that goes with a message."""

    type: AttachmentType
    ref: NotBlankStr


class MessageMetadata(Entity):
    """What a message is about and what it cost; `extra` holds pairs of unique keys and values."""

    task_id: Key | None = None
    project_id: Key | None = None
    tokens_used: Count | None = None
    cost_usd: Amount | None = None
    extra: tuple[tuple[NotBlankStr, Text], ...] = ()

    @model_validator(mode="after")
    def _refuse_a_repeated_key(self) -> Self:
        refuse_duplicates((key for key, _ in self.extra), "keys of extra")
        return self


class Message(Entity):
    """A message in a channel; its JSON calls the sender `from`, which Python reserves."""

    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    id: UUID = Field(default_factory=uuid4)
    timestamp: UtcDatetime
    # Type checkers take the name of an argument from `alias` alone, and `from` cannot be one.
    sender: Key = Field(validation_alias="from", serialization_alias="from")
    to: Key
    type: MessageType
    priority: MessagePriority = MessagePriority.NORMAL
    channel: Key
    content: NotBlankStr
    attachments: tuple[Attachment, ...] = ()
    metadata: MessageMetadata = Field(default_factory=MessageMetadata)
