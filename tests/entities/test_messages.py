"""The two names of a message's sender."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from synthorg.entities import Message
from synthorg.persistence.testing.kinds import MOMENT
from tests.entities.examples import MINIMAL


def _without_sender() -> dict[str, Any]:
    return {name: value for name, value in MINIMAL[Message].items() if name != "sender"}


@pytest.mark.parametrize("name", ["sender", "from"])
def test_a_sender_is_given_by_either_name(name: str) -> None:
    """As Python values and as JSON."""
    given = {**_without_sender(), name: "ada"}
    message = Message.model_validate(given)
    assert message.sender == "ada"
    text = json.dumps({**given, "id": str(message.id), "timestamp": MOMENT.isoformat()})
    assert Message.model_validate_json(text) == message


def test_a_sender_is_called_from_in_json() -> None:
    """And `sender` where a program asks for the names of the fields."""
    message = Message.model_validate(MINIMAL[Message])
    assert json.loads(message.model_dump_json())["from"] == message.sender
    assert "sender" not in message.model_dump()
    assert message.model_dump(by_alias=False)["sender"] == message.sender


def test_a_message_has_one_sender() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Message.model_validate({**_without_sender(), "sender": "ada", "from": "bob"})


def test_a_message_needs_a_sender() -> None:
    with pytest.raises(ValidationError, match="Field required"):
        Message.model_validate(_without_sender())
