"""Tables derived from models: a column for each field, as the tables of this library have them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin
from uuid import UUID

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

from synthorg.entities.base import LARGEST_INTEGER, LONGEST_KEY
from synthorg.persistence.errors import UsageError
from synthorg.persistence.sql.tables import APPEND_ONLY, TABLE_OPTIONS
from synthorg.persistence.sql.types import (
    JsonDocument,
    LongText,
    ShortText,
    flag,
    utc_datetime,
)

LONGEST_CHOICE: Final = 32
"""The length of a column for an enumeration, unless a member is longer."""

LENGTH_OF_UUID: Final = 36

_COMPARISONS: Final = {Ge: ("ge", ">="), Gt: ("gt", ">"), Le: ("le", "<="), Lt: ("lt", "<")}

_TYPES: Final[Mapping[Any, Callable[[str], TypeEngine[Any]]]] = {
    bool: flag,
    int: lambda _: BigInteger(),
    float: lambda _: Double(),
    datetime: lambda _: utc_datetime(),
    AwareDatetime: lambda _: utc_datetime(),
    UUID: lambda _: ShortText(LENGTH_OF_UUID),
}
"""By the type of a field: that of its column, by the name of both."""

_REMEDIES: Final[Mapping[type, str]] = {
    bytes: "keep bytes in an artifact storage, or as text in base64",
    date: "use UtcDatetime for a moment, or IsoTime for text",
    time: "use IsoTime, which keeps the text",
    timedelta: "use a number of seconds",
    Decimal: "use Amount, or an int in the smallest unit",
}


def table_of(
    metadata: MetaData,
    name: str,
    model: type[BaseModel],
    *,
    key: Sequence[str],
    indexes: Iterable[Sequence[str]] = (),
    unique: Iterable[Sequence[str]] = (),
    references: Mapping[str, Column[Any]] | None = None,
    append_only: bool = False,
) -> Table:
    """Derive a table from a model.

    Args:
        metadata: Where the table belongs.
        name: Its name.
        model: The model, each of whose fields becomes a column.
        key: The fields of its primary key.
        indexes: The fields of each index, in their order.
        unique: The fields of each unique constraint.
        references: By field: the column of another table that it refers to.
        append_only: Whether the database itself protects its rows from change.

    Raises:
        UsageError: If a field has a type for which there is no column, or cannot be a key.
    """
    indexes, unique = [tuple(each) for each in indexes], [tuple(each) for each in unique]
    references = references or {}
    short = {*key, *references, *(each for group in (*indexes, *unique) for each in group)}
    _refuse_unknown(model, short)
    items: list[SchemaItem] = []
    for field, info in model.model_fields.items():
        items += _Field(model, field, info).items(is_key=field in key, is_short=field in short)
    items += [UniqueConstraint(*group) for group in unique]
    items += [Index(None, *group) for group in indexes]
    items += [ForeignKeyConstraint([field], [column]) for field, column in references.items()]
    options: dict[str, Any] = {**TABLE_OPTIONS, "info": {APPEND_ONLY: True} if append_only else {}}
    return Table(name, metadata, *items, **options)


def _refuse_unknown(model: type[BaseModel], named: Iterable[str]) -> None:
    unknown = sorted(set(named) - model.model_fields.keys())
    if unknown:
        raise UsageError(f"{model.__name__} has no field {', '.join(unknown)}")


class _Field:
    """A field of a model, on its way to a column."""

    def __init__(self, model: type[BaseModel], name: str, info: FieldInfo) -> None:
        self._subject = f"the field {name} of {model.__name__}"
        config = model.model_config
        is_named = config.get("populate_by_name") or config.get("validate_by_name")
        if info.validation_alias is not None and not is_named:
            raise UsageError(
                f"{self._subject} has an alias, so that a row, which names it by its field, could "
                "not be read: set validate_by_name=True in the model_config"
            )
        self._name = name
        kinds = _alternatives(info.annotation)
        self._is_optional = NoneType in kinds
        self._kinds = [kind for kind in kinds if kind is not NoneType]
        self._limits = [*info.metadata, *_limits_inside(info.annotation)]

    def items(self, *, is_key: bool, is_short: bool) -> list[SchemaItem]:
        """Make the column, and the CHECK constraint on its values, if they have limits.

        Args:
            is_key: Whether it belongs to the primary key.
            is_short: Whether it is compared or ordered, so that it has to be short.
        """
        if is_key and self._is_optional:
            raise UsageError(f"{self._subject} may be None, so it cannot be of the primary key")
        type_ = self._type(is_short=is_short)
        column: Column[Any] = Column(
            self._name,
            type_,
            primary_key=is_key,
            nullable=self._is_optional,
            autoincrement=False if is_key else "auto",
        )
        condition = self._condition() if isinstance(type_, BigInteger | Double) else ""
        return [column, CheckConstraint(condition, name=self._name)] if condition else [column]

    def _type(self, *, is_short: bool) -> TypeEngine[Any]:
        members = self._members()
        if members is not None:
            longest = max(map(len, members))
            return ShortText(LONGEST_CHOICE if longest <= LONGEST_CHOICE else LONGEST_KEY)
        kind = self._kinds[0] if len(self._kinds) == 1 else None
        if kind is str:
            return self._text(is_short=is_short)
        if kind in _TYPES:
            return _TYPES[kind](self._name)
        if is_short:
            raise UsageError(f"{self._subject} is stored as JSON, so it cannot be indexed")
        return self._document()

    def _text(self, *, is_short: bool) -> TypeEngine[Any]:
        lengths = [each.max_length for each in self._limits if isinstance(each, MaxLen)]
        length = min(lengths, default=None)
        if length is not None and length <= LONGEST_KEY:
            return ShortText(length)
        if is_short:
            raise UsageError(
                f"{self._subject} is a key or indexed, so it must be at most {LONGEST_KEY} "
                "characters long: annotate it with Key or Label, or with a max_length"
            )
        return LongText()

    def _document(self) -> TypeEngine[Any]:
        for kind in self._kinds:
            for unfit, remedy in _REMEDIES.items():
                if isinstance(kind, type) and issubclass(kind, unfit):
                    raise UsageError(
                        f"{self._subject} is of type {kind.__name__}, for which there is no "
                        f"column: {remedy}"
                    )
        if self._is_optional:
            raise UsageError(
                f"{self._subject} is stored as JSON, where None would be ambiguous: give it an "
                "empty value as its default instead of None"
            )
        return JsonDocument()

    def _members(self) -> tuple[str, ...] | None:
        """Find the texts that the field may be, if they are few."""
        found: list[object] = []
        for kind in self._kinds:
            if isinstance(kind, type) and issubclass(kind, StrEnum):
                found += [member.value for member in kind]
            elif get_origin(kind) is Literal:
                found += get_args(kind)
            else:
                return None
        texts = tuple(text for text in found if isinstance(text, str))
        return texts if texts and len(texts) == len(found) else None

    def _condition(self) -> str:
        conditions = []
        for limit in self._limits:
            for kind, (attribute, operator) in _COMPARISONS.items():
                if isinstance(limit, kind):
                    bound = getattr(limit, attribute)
                    if bound != LARGEST_INTEGER:
                        conditions.append(f"{self._name} {operator} {bound}")
        return " AND ".join(conditions)


def _alternatives(annotation: Any) -> list[Any]:
    """Give the types of a union, without what annotates them."""
    if get_origin(annotation) in (Union, UnionType):
        return [kind for each in get_args(annotation) for kind in _alternatives(each)]
    return [_bare(annotation)]


def _bare(annotation: Any) -> Any:
    return _bare(annotation.__origin__) if hasattr(annotation, "__metadata__") else annotation


def _limits_inside(annotation: Any) -> list[Any]:
    """Collect the limits that are on a member of a union, as in `Key | None`."""
    if get_origin(annotation) in (Union, UnionType):
        return [limit for each in get_args(annotation) for limit in _limits_inside(each)]
    found: list[Any] = []
    for each in getattr(annotation, "__metadata__", ()):
        found += each.metadata if isinstance(each, FieldInfo) else [each]
    return found
