"""Which JSON is admitted, as text and as values."""

import inspect
import json
import math
import sys
from collections import UserDict
from collections.abc import Callable
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthorg.entities import (
    AgentLifecycleEvent,
    Checkpoint,
    Entity,
    ParkedContext,
    WorkflowDefinition,
    WorkflowNode,
)
from synthorg.entities.json_text import DEEPEST_JSON, TOO_DEEP, reason_text_is_not_json
from synthorg.persistence.testing.strategies import AWKWARD_OBJECTS
from tests.entities.examples import END, START, Fields, complaints, each_field, make

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


@pytest.mark.parametrize("levels", [0, 1, DEEPEST_JSON, DEEPEST_JSON + 1, 250, 5_000, 100_000])
@pytest.mark.parametrize("innermost", ['"]}[{"', "1e999", "[]"])
@each_field(CONTEXTS)
def test_how_deep_a_context_may_nest_is_one_number(
    entity: type[Entity], field: str, innermost: str, levels: int
) -> None:
    """Whichever parser reads the innermost value, and whether brackets are in a text."""
    below = levels - innermost.count("[]")
    text = '{"a":' + '[{"b":' * (below // 2) + "[" * (below % 2)
    text += innermost + "]" * (below % 2) + "}]" * (below // 2) + "}"
    reasons = [] if levels <= DEEPEST_JSON else [f"Value error, {TOO_DEEP}"]
    assert complaints(entity, field, text) == reasons


@each_field(CONTEXTS)
def test_a_context_nested_without_end_is_refused(entity: type[Entity], field: str) -> None:
    assert complaints(entity, field, '{"a":' * 100_000) == [f"Value error, {TOO_DEEP}"]


def test_what_is_json_does_not_depend_on_where_the_caller_stands() -> None:
    """Not even a few calls before the end of the stack."""
    context = '{"a":' * DEEPEST_JSON + "[1e999]" + "}" * DEEPEST_JSON
    config = _nested(DEEPEST_JSON)
    assert _at_the_end_of_the_stack(lambda: make(Checkpoint, context_json=context))
    assert _at_the_end_of_the_stack(lambda: make(WorkflowNode, config=config))


def _at_the_end_of_the_stack(call: Callable[[], object]) -> object:
    """Call where some fifty more calls are the last ones possible."""
    room = 50
    depth = len(inspect.stack(context=0))

    def down(levels: int) -> object:
        return down(levels - 1) if levels else call()

    return down(sys.getrecursionlimit() - depth - room)


JSON_PIECES: Final = (
    *'{}[],:"01-.e ',
    *('\\"', "\\", "\\u00e9", "\\ud800", '"a":', '"b"', "true", "null", "NaN"),
    *("\n", "\t", "\x01", "\x02", "\u0661"),
)


@given(st.lists(st.sampled_from(JSON_PIECES), max_size=12).map("".join))
def test_json_is_what_the_standard_library_takes_for_it(text: str) -> None:
    assert (reason_text_is_not_json(text) is None) == _is_standard_json(text)


@given(st.recursive(st.none() | st.floats() | st.text(), st.lists))
def test_json_that_was_written_is_json(value: object) -> None:
    text = json.dumps(value)
    assert (reason_text_is_not_json(text) is None) == _is_standard_json(text)


def _is_standard_json(text: str) -> bool:
    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


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
    assert complaints(WorkflowNode, "config", {"a": endless}) == [f"Value error, {TOO_DEEP}"]


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
