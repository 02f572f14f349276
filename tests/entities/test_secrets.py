"""What must never be shown."""

from collections.abc import Callable
from typing import Final

import pytest
from pydantic import ValidationError

from synthorg.entities import ApiKey, Entity, User
from tests.entities.examples import MINIMAL, Fields, each_field, make

SECRET: Final = "correct-horse-battery-staple"
SECRETS: Final[Fields] = {User: "password_hash", ApiKey: "key_hash"}


@pytest.mark.parametrize("show", [repr, str, "{}".format, lambda made: repr([made])])
@each_field(SECRETS)
def test_a_hash_is_not_shown(entity: type[Entity], field: str, show: Callable[..., str]) -> None:
    """It is there all the same, for whoever asks for it by name."""
    made = make(entity, **{field: SECRET})
    assert SECRET not in show(made)
    assert getattr(made, field) == SECRET
    assert SECRET in made.model_dump_json()


@each_field({entity: " ".join(entity.model_fields) for entity in MINIMAL})
def test_a_refusal_does_not_repeat_the_value(entity: type[Entity], field: str) -> None:
    """No field admits this text, which no database could hold."""
    with pytest.raises(ValidationError) as refusal:
        make(entity, **{field: f"{SECRET}\x00"})
    assert refusal.value.errors()[0]["loc"][0] in {field, entity.model_fields[field].alias}
    assert SECRET not in str(refusal.value)
    assert SECRET not in repr(refusal.value)


@each_field(SECRETS)
def test_a_refused_entity_does_not_show_its_hash(entity: type[Entity], field: str) -> None:
    """Another field is at fault, and the error is about the entity as a whole."""
    with pytest.raises(ValidationError) as refusal:
        make(entity, **{field: SECRET}, role="king", unknown_field=SECRET)
    assert SECRET not in str(refusal.value)
    assert "king" not in str(refusal.value)
