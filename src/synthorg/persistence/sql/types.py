"""Column types that mean the same on every database, and what each refuses to store."""

from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from typing import Any, Final
from uuid import UUID

from pydantic_core import PydanticSerializationError, from_json, to_json
from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Double,
    Integer,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects.mysql import DATETIME, LONGTEXT
from sqlalchemy.types import TypeEngine

from synthorg.entities.base import (
    LARGEST_INTEGER,
    LONGEST_KEY,
    reason_text_is_unstorable,
    reason_time_is_unstorable,
)

MYSQL_FAMILY: Final = ("mysql", "mariadb")
"""SQLAlchemy names the two separately, so every variant has to be given for both."""


class ShortText(TypeDecorator[str]):
    """Indexable text, compared and ordered by code point; holds keys, enumerations and UUIDs.

    PostgreSQL orders by the locale of the database unless told otherwise; SQLite does by default,
    and the tables of the MySQL family state a binary collation.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int = LONGEST_KEY) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        by_code_point = String(self.length, collation="C")
        return dialect.type_descriptor(
            String(self.length).with_variant(by_code_point, "postgresql")
        )

    def coerce(self, value: object) -> str:
        """Return the text to store, or raise ValueError with the reason against it."""
        # As in `_coerce_text`, without the call: this runs for most values of each row.
        text = value if type(value) is str else _characters(value)
        if not text.isascii() or "\x00" in text:
            _refuse_unstorable_text(text)
        if len(text) > self.length:
            raise ValueError(f"must have at most {self.length} characters")
        return text


class Choice(ShortText):
    """Short text to compare with, which is one of a few.

    The columns themselves accept others, since a newer release may have stored them.
    """

    cache_ok = True

    def __init__(self, length: int, members: tuple[str, ...]) -> None:
        super().__init__(length)
        self.members = members

    def coerce(self, value: object) -> str:
        """Return the text to compare with, or raise ValueError with the reason against it."""
        if not isinstance(value, str) or value not in self.members:
            raise ValueError(f"must be one of {', '.join(self.members)}")
        return str.__str__(value)


class LongText(TypeDecorator[str]):
    """Text of any length; the TEXT of the MySQL family would end at 64 KiB."""

    impl = Text().with_variant(LONGTEXT(), *MYSQL_FAMILY)
    cache_ok = True


class JsonDocument(TypeDecorator[object]):
    """A JSON document as text, since native JSON types reorder keys and change numbers."""

    impl = LongText
    cache_ok = True

    def coerce(self, value: object) -> str:
        """Return the document to store, or raise ValueError with the reason against it."""
        if value is None:
            raise ValueError("must not be None")
        try:
            document = to_json(value, inf_nan_mode="constants").decode()
        except (PydanticSerializationError, UnicodeError):
            raise ValueError("must be storable as JSON") from None
        if "NaN" in document or "Infinity" in document or "\\u0000" in document:
            _refuse_unstorable_json(from_json(document))
        return document

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002 (the signature is SQLAlchemy's)
        # Not by `process_result_value`, around which a call would go through two more.
        return _parsed


def _parsed(document: str | None) -> object:
    if document is None:
        return None
    try:
        return from_json(document, allow_inf_nan=False)
    except ValueError:
        return document  # text where structure belongs: the entity refuses it, naming the field


NOT_A_TIME: Final = object()
"""Read instead of nonsense: the entity refuses it, but might take a text of digits for a time."""


def _moment(text: Any) -> object:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return NOT_A_TIME


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC to the microsecond; this one for databases that store time zones."""

    impl: Any = DateTime(timezone=True)
    cache_ok = True

    def coerce(self, value: object) -> datetime:
        """Return the moment to store, or raise ValueError with the reason against it."""
        if not isinstance(value, datetime):
            raise ValueError("must be a time")  # noqa: TRY004 (one error for every refusal)
        if (reason := reason_time_is_unstorable(value)) is not None:
            raise ValueError(reason)
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 (the signature is SQLAlchemy's)
        try:
            return value.astimezone(UTC) if isinstance(value, datetime) else value
        except (OverflowError, ValueError):  # as PostgreSQL's infinities may be read
            return NOT_A_TIME


class UtcDateTimeText(UtcDateTime):
    """The same where there is no time type: ISO 8601 text of one width, so that it sorts."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002 (the signature is SQLAlchemy's)
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002 (the signature is SQLAlchemy's)
        return _moment  # for the same reason as in `JsonDocument`


class UtcDateTimeNaive(UtcDateTime):
    """The same where times carry no zone and lose their microseconds unless asked to keep them."""

    impl = DATETIME(fsp=6)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (the signature is SQLAlchemy's)
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 (the signature is SQLAlchemy's)
        return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def utc_datetime() -> TypeEngine[datetime]:
    """Make the column type of every moment."""
    return (
        UtcDateTime()
        .with_variant(UtcDateTimeText(), "sqlite")
        .with_variant(UtcDateTimeNaive(), *MYSQL_FAMILY)
    )


def serial_number() -> TypeEngine[int]:
    """Make the type of a key counted up by the database; SQLite does so for INTEGER alone."""
    return BigInteger().with_variant(Integer(), "sqlite")


def flag(name: str) -> Boolean:
    """Make the type of a truth value, checked where the database has no such type.

    Args:
        name: The column, after which the CHECK constraint is named.
    """
    return Boolean(create_constraint=True, name=name)


def coercion(type_: TypeEngine[Any]) -> Callable[[Any], Any]:
    """Find what a value has to pass before it is bound to a parameter of this type.

    Args:
        type_: The type of the parameter.

    Returns:
        A function from the value to what is bound; it raises ValueError with the reason when some
        database could not hold the value exactly.
    """
    if isinstance(type_, ShortText | JsonDocument | UtcDateTime):
        return type_.coerce
    for kind, coerce in _COERCIONS:
        if isinstance(type_, kind):
            return coerce
    raise TypeError(f"no rule says which values {type_!r} takes")


def _coerce_text(value: object) -> str:
    text = value if type(value) is str else _characters(value)
    # Nearly all text is plain ASCII, and this runs for each of every row.
    if not text.isascii() or "\x00" in text:
        _refuse_unstorable_text(text)
    return text


def _characters(value: object) -> str:
    if isinstance(value, str):
        return str.__str__(value)  # an enumeration's member, which drivers would not all take
    if isinstance(value, UUID):
        return str(value)
    raise ValueError("must be text")


def _refuse_unstorable_text(text: str) -> None:
    if (reason := reason_text_is_unstorable(text)) is not None:
        raise ValueError(reason)


def _coerce_integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 (one error for every refusal)
    if abs(value) > LARGEST_INTEGER:
        raise ValueError("must fit into 64 bits")
    return value


def _coerce_float(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 (one error for every refusal)
    try:
        number = float(value)
    except OverflowError:
        number = inf
    if number - number != 0.0:  # only NaN and the infinities differ from themselves
        raise ValueError("must be a finite number")
    return number


def _coerce_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 (one error for every refusal)
    return value


def _refuse_unstorable_json(document: object) -> None:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            _coerce_text(value)
        elif isinstance(value, float):
            _coerce_float(value)


_COERCIONS: Final[tuple[tuple[type[TypeEngine[Any]], Callable[[Any], Any]], ...]] = (
    (LongText, _coerce_text),
    (Boolean, _coerce_flag),
    (Double, _coerce_float),
    (Integer, _coerce_integer),
)
