"""An entity tells whether it still is what was validated when it was made."""

import copy
import pickle
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from enum import Enum
from typing import Any, Final

import pytest
from pydantic import TypeAdapter

from synthorg.entities import Entity, WorkflowDefinition
from synthorg.entities.base import is_as_validated
from synthorg.persistence.testing.kinds import DEFINITIONS, KINDS, TASKS

COPIES: Final[dict[str, Callable[[Entity], Any]]] = {
    "model_copy": lambda entity: entity.model_copy(),
    "model_construct": lambda entity: type(entity).model_construct(**dict(entity)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda entity: pickle.loads(pickle.dumps(entity)),
    "model_validate": lambda entity: type(entity).model_validate(dict(entity), by_name=True),
    "TypeAdapter": lambda entity: TypeAdapter(type(entity)).validate_python(
        dict(entity), by_name=True
    ),
}


def made(entity: Entity) -> Entity:
    """Make an entity anew, by its class."""
    names = {
        name: info.alias or name if not entity.model_config.get("validate_by_name") else name
        for name, info in type(entity).model_fields.items()
    }
    return type(entity)(**{names[name]: value for name, value in dict(entity).items()})


ENTITIES: Final = [
    pytest.param(made(kind.example), id=str(kind))
    for kind in KINDS
    if isinstance(kind.example, Entity)
]


def parts(entity: Entity) -> Iterator[Entity]:
    """Walk through an entity and the entities in it."""
    yield entity
    for value in entity.__dict__.values():
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Entity):
                yield from parts(each)


@pytest.mark.parametrize("entity", ENTITIES)
def test_an_entity_that_was_made_by_its_class_is_known_unless_it_holds_what_can_change(
    entity: Entity,
) -> None:
    values = [value for part in parts(entity) for value in part.__dict__.values()]
    assert is_as_validated(entity) is not any(isinstance(value, Mapping) for value in values)


@pytest.mark.parametrize("entity", ENTITIES)
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES.keys())
def test_what_was_made_otherwise_is_not_known_and_is_equal(
    entity: Entity, copied: Callable[[Entity], Any]
) -> None:
    other = copied(entity)
    assert not is_as_validated(other)
    assert other == entity
    assert hash_of(other) == hash_of(entity)


def hash_of(entity: Entity) -> int | None:
    """Give the hash, if what is in it has one."""
    try:
        return hash(entity)
    except TypeError:
        return None


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_value_that_was_exchanged_at_any_depth_is_seen(entity: Entity) -> None:
    for depth, part in enumerate(parts(made(entity))):
        for name in type(part).model_fields:
            changed = made(entity)
            inside = list(parts(changed))[depth]
            object.__setattr__(inside, name, other_than(getattr(inside, name)))
            assert not is_as_validated(changed), f"{type(part).__name__}.{name}"
            assert not is_as_validated(changed)


def other_than(value: object) -> object:
    """Make another value that is often equal."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return "".join([*value, "x"])[:-1] if len(value) > 1 else value + "x"
    if isinstance(value, tuple):
        return (*value, *value) or (None,)
    if isinstance(value, bool | None | Enum):
        return object()
    if isinstance(value, int | float):
        return value + 1
    return value + timedelta(0) if hasattr(value, "tzinfo") else object()  # type: ignore[operator]


def test_what_is_taken_out_or_put_in_is_seen() -> None:
    more, less = made(TASKS.example), made(TASKS.example)
    more.__dict__["another"] = "value"
    del less.__dict__["title"]
    assert not is_as_validated(more)
    assert not is_as_validated(less)


def test_an_entity_that_holds_a_mapping_is_validated_each_time() -> None:
    definition = made(DEFINITIONS.example)
    assert isinstance(definition, WorkflowDefinition)
    assert not is_as_validated(definition)
