"""Executions that wait for a human."""

from pydantic import Field

from synthorg.entities.base import Entity, JsonText, Key, Text, UtcDatetime, random_id


class ParkedContext(Entity):
    """An execution parked until a human approves; its context is kept byte for byte."""

    id: Key = Field(default_factory=random_id)
    execution_id: Key
    agent_id: Key
    approval_id: Key
    task_id: Key | None = None
    parked_at: UtcDatetime
    context_json: JsonText
    metadata: dict[Text, Text] = Field(default_factory=dict)
