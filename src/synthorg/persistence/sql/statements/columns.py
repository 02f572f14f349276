"""Checking and converting many rows column by column, which costs a third of doing so by value.

What needs a closer look is left to be bound value by value, which also tells what is wrong.
"""

from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, Final

from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy.types import TypeEngine

from synthorg.persistence.sql.dialects.joined_text import JoinedText
from synthorg.persistence.sql.types import JsonDocument, LongText, ShortText

Convert = Callable[[Sequence[Any]], Any]
"""From the values of a column, None for NULL, to what is bound; or it raises a ValueError."""

Take = Callable[[Sequence[Any]], tuple[Any, str]]
"""From the texts of a column to what is bound, and to all their characters, to look for some."""

_PLAIN: Final = frozenset({str, NoneType})
_NO_JSON: Final = ("NaN", "Infinity", "\\u0000")
"""What may stand for what JSON has not, or no database holds; or is part of a text."""


def column_conversion(
    sent_as: TypeEngine[Any], stored_as: TypeEngine[Any], convert_one: Callable[[Any], Any]
) -> Convert:
    """Find what converts the values of a column.

    Args:
        sent_as: The type of the parameter that takes them.
        stored_as: The type of the column.
        convert_one: What converts a value that is not None, for types of which no more is known.
    """
    take = _joined if isinstance(sent_as, JoinedText) else _apart
    if type(stored_as) is JsonDocument:
        return lambda values: _documents(values, take)
    limit = stored_as.length if isinstance(stored_as, ShortText) else None
    if type(stored_as) in (ShortText, LongText):
        return lambda values: _texts(values, convert_one, limit, take)
    if take is _joined:
        return lambda values: _joined(_each(values, convert_one))[0]
    return lambda values: _each(values, convert_one)


def _each(values: Sequence[Any], convert_one: Callable[[Any], Any]) -> list[Any]:
    return [None if value is None else convert_one(value) for value in values]


def _texts(
    values: Sequence[Any], convert_one: Callable[[Any], Any], limit: int | None, take: Take
) -> Any:
    if not _PLAIN.issuperset(map(type, values)):
        values = _each(values, convert_one)
    taken, joined = take(values)
    if "\x00" in joined:
        raise ValueError("must not contain a NUL character")
    if not joined.isascii():
        joined.encode()  # it raises one of its own for a lone surrogate
    if limit is not None and max(map(len, filter(None, values)), default=0) > limit:
        raise ValueError(f"must have at most {limit} characters")
    return taken


def _documents(values: Sequence[Any], take: Take) -> Any:
    try:
        taken, joined = take(
            [
                None if value is None else to_json(value, inf_nan_mode="constants").decode()
                for value in values
            ]
        )
    except PydanticSerializationError:
        raise ValueError("must be storable as JSON") from None
    if any(mark in joined for mark in _NO_JSON):
        raise ValueError("may hold what JSON has not")
    return taken


def _joined(texts: Sequence[str | None]) -> tuple[str, str]:
    joined = JoinedText().join(texts)
    if joined is None:
        raise ValueError("would not come apart as what it was")
    return joined, joined


def _apart(values: Sequence[Any]) -> tuple[Sequence[Any], str]:
    return values, "".join(filter(None, values))
