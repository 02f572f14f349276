"""What every entity shares: the base model and the rules for text, numbers and times."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from math import isfinite
from operator import is_
from types import NoneType
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from synthorg.entities.json_text import DEEPEST_JSON, TOO_DEEP, reason_text_is_not_json

LARGEST_INTEGER: Final = 2**63 - 1
"""The largest integer that every supported database stores exactly."""

LONGEST_SUMMARY: Final = 4096
"""The most characters in a summary."""

LONGEST_KEY: Final = 255
"""The most characters in a key or an indexed text; MariaDB indexes at most 768 together."""

EARLIEST_TIME: Final = datetime(1, 1, 2, tzinfo=UTC)
LATEST_TIME: Final = datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=UTC)
"""A day inside Python's range, so that a shift to any time zone stays representable."""


_immutable: Final[set[type]] = {str, int, float, bool, NoneType, datetime, UUID}
"""Kinds of values that cannot be changed; enumerations are added as they are met."""


class Entity(BaseModel):
    """A frozen record; its errors name fields and never repeat the values given.

    Its repr shows ids alone, as it ends up in logs; `model_dump()` has all values.
    An entity inside another is validated with it, since `model_copy` and `model_construct` may
    have made it, which validate nothing.
    """

    __slots__ = ("_validated",)

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        revalidate_instances="always",
    )

    def __init__(self, /, **data: Any) -> None:
        super().__init__(**data)
        object.__setattr__(self, "_validated", _content(self))

    # By this, Pydantic knows an `__init__` that it need not call where it validates rows.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            if name is not None and (name == "id" or name.endswith("_id")) and value is not None:
                yield name, value

    def __repr_str__(self, join_str: str) -> str:
        ids = [f"{name}={value!r}" for name, value in self.__repr_args__()]
        return join_str.join([*ids, "..."])


def is_as_validated(entity: Entity) -> bool:
    """Tell whether an entity was validated when it was made, and has not changed since.

    Args:
        entity: The entity. What `model_construct`, a copy or a validator made is none for certain,
            and neither is one that holds what can be changed.
    """
    validated: Sequence[object] | None = getattr(entity, "_validated", None)
    if validated is None:
        return False
    content = _content(entity)
    return (
        content is not None and len(content) == len(validated) and all(map(is_, content, validated))
    )


def _content(entity: Entity) -> Sequence[object] | None:
    """List all that is in an entity, to any depth; None if something of it can be changed."""
    content = [*entity.__dict__.values()]
    for each in content:
        kind = type(each)
        if kind in _immutable:
            continue
        if kind is tuple:
            content += each
        elif isinstance(each, Entity):
            content += each.__dict__.values()
        elif issubclass(kind, Enum):
            _immutable.add(kind)
        else:
            return None
    return content


def reason_text_is_unstorable(value: str) -> str | None:
    """Say why no database holds this text exactly, or None when every one does."""
    if "\x00" in value:
        return "must not contain a NUL character"
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return "must not contain a lone surrogate"
    return None


def reason_time_is_unstorable(value: datetime) -> str | None:
    """Say why no database holds this time exactly, or None when every one does."""
    if value.tzinfo is None or value.utcoffset() is None:
        return "must have a time zone"
    if not EARLIEST_TIME <= value <= LATEST_TIME:
        return "must lie between 0001-01-02 and 9999-12-30"
    return None


def _refuse_unstorable_text(value: str) -> str:
    # Nearly all text is plain ASCII, which needs no closer look.
    if not value.isascii() or "\x00" in value:
        reason = reason_text_is_unstorable(value)
        if reason is not None:
            raise ValueError(reason)
    return value


def _refuse_blank_or_unstorable(value: str) -> str:
    """Apply both rules, by one call instead of two for most fields of each row that is read."""
    if not value.isascii() or "\x00" in value:
        _refuse_unstorable_text(value)
    if not value or value.isspace():
        raise ValueError("must not be blank")
    return value


def _to_utc(value: datetime) -> datetime:
    if (reason := reason_time_is_unstorable(value)) is not None:
        raise ValueError(reason)
    return value.astimezone(UTC)


def _refuse_unparsable_time(value: str) -> str:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be an ISO 8601 date or time") from None
    return value


def _refuse_invalid_json(value: str) -> str:
    reason = reason_text_is_not_json(value)
    if reason is not None:
        raise ValueError(reason)
    return value


def _refuse_other_json_than_object(value: str) -> str:
    _refuse_invalid_json(value)
    if not value.lstrip().startswith("{"):
        raise ValueError("must be a JSON object")
    return value


def _plain_text(value: str) -> str:
    """Take the characters alone, since str() of an enumeration's member may be its name."""
    return _refuse_unstorable_text(str.__str__(value))


def _plain_json(value: object) -> object:
    """Copy a JSON value into plain dicts and lists, refusing what no database stores.

    It calls itself nowhere, since how deep calls may nest depends on who calls.
    """
    whole = [value]
    waiting: list[tuple[Any, int]] = [(whole, -1)]
    while waiting:
        holder, depth = waiting.pop()
        for place, item in holder.items() if isinstance(holder, dict) else enumerate(holder):
            holder[place] = copy = _plain_outside(item)
            if isinstance(copy, dict | list):
                if depth == DEEPEST_JSON:
                    raise ValueError(TOO_DEEP)
                waiting.append((copy, depth + 1))
    return whole[0]


def _plain_outside(value: object) -> object:
    """Copy a JSON value, but not the values in it."""
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("must have text as its keys")
        return {_plain_text(key): item for key, item in value.items()}
    return list(value) if isinstance(value, list | tuple) else _plain_scalar(value)


def _plain_scalar(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _plain_text(value)
    if isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise ValueError("must not contain an integer beyond 64 bits")
        return int(value)
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError("must not contain NaN or an infinity")
        return float(value)
    raise ValueError(f"must be JSON, which has no {type(value).__name__}")


def random_id() -> str:
    """Make a fresh random identifier."""
    return str(uuid4())


def now() -> datetime:
    """Tell the present time in UTC."""
    return datetime.now(UTC)


def refuse_duplicates(values: Iterable[object], what: str) -> None:
    """Raise ValueError when a value occurs twice.

    Args:
        values: What must be unique.
        what: The plural that the message names, such as "reviewers".

    Raises:
        ValueError: If any value occurs more than once.
    """
    listed = values if type(values) is tuple else tuple(values)
    if len(listed) > 1 and len(set(listed)) < len(listed):
        raise ValueError(f"{what} must be unique")


Text = Annotated[str, AfterValidator(_refuse_unstorable_text)]
"""Text that every database stores exactly: no NUL, no lone surrogate."""

NotBlankStr = Annotated[str, AfterValidator(_refuse_blank_or_unstorable)]
"""Text with at least one character that is not white space; never stripped."""

Label = Annotated[str, Field(max_length=LONGEST_KEY), AfterValidator(_refuse_unstorable_text)]
"""Text short enough to be indexed; may be blank."""

Key = Annotated[str, Field(max_length=LONGEST_KEY), AfterValidator(_refuse_blank_or_unstorable)]
"""An identifier: not blank and short enough to be indexed; compared exactly."""

Summary = Annotated[
    str,
    Field(max_length=LONGEST_SUMMARY),
    AfterValidator(_refuse_blank_or_unstorable),
]
"""A short account of something: not blank, and its length is limited."""

IsoTime = Annotated[Text, AfterValidator(_refuse_unparsable_time)]
"""A date or time as ISO 8601 text, kept exactly as given."""

JsonText = Annotated[Text, AfterValidator(_refuse_invalid_json)]
"""A JSON document as text, kept byte for byte."""

JsonObjectText = Annotated[Text, AfterValidator(_refuse_other_json_than_object)]
"""A JSON object as text, kept byte for byte."""

JsonObject = Annotated[Mapping[str, object], BeforeValidator(_plain_json)]
"""A JSON object as a mapping, with the text and number rules applied at every depth."""

UtcDatetime = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""A moment, given with any UTC offset and held in UTC to the microsecond."""

Count = Annotated[int, Field(strict=True, ge=0, le=LARGEST_INTEGER)]
"""A whole number of things, within 64 bits."""

Version = Annotated[int, Field(strict=True, ge=1, le=LARGEST_INTEGER)]
"""The version of a record under optimistic concurrency, counted from 1."""

Amount = Annotated[float, Field(ge=0)]
"""A finite quantity that is never negative, such as a cost or a duration."""

Fraction = Annotated[float, Field(ge=0, le=1)]
"""A score between 0 and 1."""
