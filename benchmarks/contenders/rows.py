"""Entities as rows, for the contenders that convert them by hand."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from synthorg.entities import CostRecord, Message, Task

Model = TypeVar("Model", bound=BaseModel)
Row = Sequence[Any]


class Layout(Generic[Model]):
    """How entities of one kind lie in their table.

    Args:
        table: The name of the table.
        entity: The kind of entity, whose fields are the columns.
        json_columns: The columns that hold JSON.
        time_columns: The columns that hold moments.
    """

    def __init__(
        self,
        table: str,
        entity: type[Model],
        *,
        json_columns: Iterable[str] = (),
        time_columns: Iterable[str] = (),
    ) -> None:
        self.table = table
        self.entity = entity
        self.columns = tuple(entity.model_fields)
        self.json_columns = frozenset(json_columns)
        self.time_columns = frozenset(time_columns)

    def values(self, entity: Model) -> dict[str, Any]:
        """Give the columns of an entity as plain Python; moments stay moments."""
        values = entity.model_dump(mode="json", by_alias=False)
        for name in self.time_columns:
            values[name] = getattr(entity, name)
        return values

    def validated(self, values: dict[str, Any]) -> Model:
        """Make the entity of its columns."""
        return self.entity.model_validate(values, by_name=True)


TASKS: Final = Layout(
    "tasks",
    Task,
    json_columns=(
        "reviewers",
        "dependencies",
        "delegation_chain",
        "artifacts_expected",
        "acceptance_criteria",
    ),
)
MESSAGES: Final = Layout(
    "messages", Message, json_columns=("attachments", "metadata"), time_columns=("timestamp",)
)
COSTS: Final = Layout("cost_records", CostRecord, time_columns=("timestamp",))


@dataclass(frozen=True)
class Times:
    """How a driver takes and gives moments.

    Attributes:
        write: From a moment in UTC to what is bound.
        read: From what is read to what the entity accepts.
    """

    write: Callable[[datetime], Any]
    read: Callable[[Any], Any]


AS_TEXT: Final = Times(lambda moment: moment.isoformat(timespec="microseconds"), lambda text: text)
AS_MOMENTS: Final = Times(lambda moment: moment, lambda moment: moment)
WITHOUT_ZONE: Final = Times(
    lambda moment: moment.replace(tzinfo=None), lambda moment: moment.replace(tzinfo=UTC)
)


class Mapper(Generic[Model]):
    """Turns entities into rows and back as most people write it.

    Args:
        layout: How they lie in the table.
        times: How the driver takes and gives moments.
    """

    def __init__(self, layout: Layout[Model], times: Times) -> None:
        self._layout = layout
        self._times = times

    def row(self, entity: Model) -> Row:
        """Give what to bind, in the order of the columns."""
        layout = self._layout
        values = layout.values(entity)
        for name in layout.json_columns:
            values[name] = json.dumps(values[name])
        for name in layout.time_columns:
            values[name] = self._times.write(values[name])
        return list(values.values())

    def entity(self, row: Row) -> Model:
        """Validate a row."""
        layout = self._layout
        values = dict(zip(layout.columns, row, strict=True))
        for name in layout.json_columns:
            values[name] = json.loads(values[name])
        for name in layout.time_columns:
            values[name] = self._times.read(values[name])
        return layout.validated(values)


class FastMapper(Mapper[Model]):
    """The same by the shortest way that was found, for the limits of what is possible."""

    def __init__(self, layout: Layout[Model], times: Times) -> None:
        super().__init__(layout, times)
        self._writers = [(name, self._writer(name)) for name in layout.columns]
        self._validate = layout.entity.__pydantic_validator__.validate_python

    def row(self, entity: Model) -> Row:
        """Give what to bind, in the order of the columns."""
        fields = entity.__dict__
        return [
            fields[name] if write is None else write(fields[name]) for name, write in self._writers
        ]

    def entity(self, row: Row) -> Model:
        """Validate a row."""
        layout = self._layout
        values = dict(zip(layout.columns, row, strict=False))
        for name in layout.json_columns:
            values[name] = from_json(values[name])
        validated: Model = self._validate(values, by_name=True)
        return validated

    def _writer(self, name: str) -> Callable[[Any], Any] | None:
        layout = self._layout
        if name in layout.json_columns:
            return lambda value: to_json(value).decode()
        if name in layout.time_columns:
            return self._times.write
        kind = layout.entity.model_fields[name].annotation
        if isinstance(kind, type) and issubclass(kind, Enum | UUID):
            return str
        return None if kind in (str, int, float) else _plain


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
