"""Which JSON is admitted, as text and as values."""

import math
from collections import UserDict
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, Final

import pytest

from synthorg.entities import (
    AgentLifecycleEvent,
    Checkpoint,
    Entity,
    ParkedContext,
    WorkflowDefinition,
    WorkflowNode,
)
from synthorg.entities.base import DEEPEST_JSON
from tests.entities.examples import END, START, Fields, complaints, each_field, make
from tests.strategies import AWKWARD_OBJECTS

CONTEXTS: Final[Fields] = {ParkedContext: "context_json", Checkpoint: "context_json"}


class Mode(StrEnum):
    """An enumeration whose str() is the value."""

    FAST = "fast"


class OldMode(str, Enum):  # noqa: UP042 (its str() is not the value, which is the point)
    """An enumeration whose str() is the name."""

    FAST = "fast"


class Level(IntEnum):
    """An enumeration of integers."""

    HIGH = 3


def _nested(levels: int) -> dict[str, object]:
    """Nest an empty list this many levels below the object itself."""
    value: object = []
    for _ in range(levels - 1):
        value = [value]
    return {"deep": value}


@pytest.mark.parametrize("text", AWKWARD_OBJECTS, ids=[text[:20] for text in AWKWARD_OBJECTS])
@each_field(CONTEXTS)
def test_a_context_is_kept_byte_for_byte(entity: type[Entity], field: str, text: str) -> None:
    assert getattr(make(entity, **{field: text}), field) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "{}}",
        "{'a': 1}",
        '{"a": 1,}',
        '{"a": 01}',
        '{"a": NaN}',
        '{"a": [Infinity]}',
        '{"a": -Infinity}',
        '{"a": "\n"}',
        "\ufeff{}",
        "// no\n{}",
        "None",
    ],
)
@each_field(CONTEXTS)
def test_a_context_that_is_not_json_is_refused(entity: type[Entity], field: str, text: str) -> None:
    assert complaints(entity, field, text) == ["Value error, must be valid JSON"]


@each_field(CONTEXTS)
def test_a_context_nested_without_end_is_refused(entity: type[Entity], field: str) -> None:
    """The parser gives up before the stack does."""
    assert complaints(entity, field, '{"a":' * 100_000) == ["Value error, is nested too deeply"]


@pytest.mark.parametrize("text", ["null", "true", "1", '"text"', "[]", "[{}]"])
def test_only_a_checkpoint_needs_an_object(text: str) -> None:
    assert make(ParkedContext, context_json=text).context_json == text
    assert complaints(Checkpoint, "context_json", text) == ["Value error, must be a JSON object"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\x00", "must not contain a NUL character"),
        ("\ud800", "must not contain a lone surrogate"),
        ({"\x00": 1}, "must not contain a NUL character"),
        (math.nan, "must not contain NaN or an infinity"),
        (-math.inf, "must not contain NaN or an infinity"),
        (2**63, "must not contain an integer beyond 64 bits"),
        (-(2**63), "must not contain an integer beyond 64 bits"),
        ({1: "a"}, "must have text as its keys"),
        ({None: "a"}, "must have text as its keys"),
        ({1}, "must be JSON, which has no set"),
        (b"a", "must be JSON, which has no bytes"),
        (Ellipsis, "must be JSON, which has no ellipsis"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("depth", [1, 2, 50])
def test_a_value_that_some_database_cannot_hold_is_refused_at_every_depth(
    value: object, reason: str, depth: int
) -> None:
    for level in range(depth):
        value = {"key": value} if level % 2 == 0 else (value,)
    config = value if isinstance(value, dict) else {"key": value}
    assert complaints(WorkflowNode, "config", config) == [f"Value error, {reason}"]


@pytest.mark.parametrize("value", [None, "{}", [], ["a"], 1, [("a", 1)]])
def test_a_configuration_that_is_no_object_is_refused(value: object) -> None:
    assert complaints(WorkflowNode, "config", value) == ["Input should be a valid dictionary"]


def test_a_configuration_without_end_is_refused() -> None:
    """A list that contains itself has no JSON."""
    endless: list[object] = []
    endless.append(endless)
    assert complaints(WorkflowNode, "config", {"a": endless}) == [
        f"Value error, must not be nested deeper than {DEEPEST_JSON} levels"
    ]


def test_the_deepest_configuration_still_travels_as_json() -> None:
    """The parsers of JSON have limits of their own, which must not be met first."""
    nodes = [{**START, "config": _nested(DEEPEST_JSON)}, END]
    definition = make(WorkflowDefinition, nodes=nodes)
    assert WorkflowDefinition.model_validate_json(definition.model_dump_json()) == definition
    assert len(complaints(WorkflowNode, "config", _nested(DEEPEST_JSON + 1))) == 1


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ((1, (2,)), [1, [2]]),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (UserDict({"a": 1}), {"a": 1}),
        (Mode.FAST, "fast"),
        (OldMode.FAST, "fast"),
        ({OldMode.FAST: 1}, {"fast": 1}),
        (Level.HIGH, 3),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (1.0, 1.0),
    ],
    ids=repr,
)
def test_a_configuration_is_held_as_plain_values(value: object, plain: object) -> None:
    """So that it equals what comes back from a database."""
    held = make(WorkflowNode, config={"a": value}).config["a"]
    assert held == plain
    assert type(held) is type(plain)
    assert all(type(key) is str for key in (held if isinstance(held, dict) else ()))


@pytest.mark.parametrize(
    ("entity", "field", "value"),
    [
        (WorkflowNode, "config", {"outer": {"inner": [1]}}),
        (AgentLifecycleEvent, "metadata", {"key": "value"}),
        (ParkedContext, "metadata", {"key": "value"}),
    ],
)
def test_an_entity_owns_its_mappings(
    entity: type[Entity], field: str, value: dict[str, Any]
) -> None:
    """What the caller does to the mapping given does not change the entity."""
    made = make(entity, **{field: value})
    before = made.model_dump()
    for inner in value.values():
        if isinstance(inner, dict):
            inner["inner"].append(2)
    value.clear()
    assert made.model_dump() == before
    assert before[field]


def test_entities_do_not_share_a_default_mapping() -> None:
    first, second = make(AgentLifecycleEvent), make(AgentLifecycleEvent)
    assert first.metadata == second.metadata == {}
    assert first.metadata is not second.metadata
