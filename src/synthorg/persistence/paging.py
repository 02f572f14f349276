"""Pages of a list, and the cursors that lead from one to the next."""

from dataclasses import dataclass
from typing import Generic, TypeVar

Entity_co = TypeVar("Entity_co", covariant=True)


@dataclass(frozen=True)
class Page(Generic[Entity_co]):
    """One page of a list.

    Attributes:
        items: The records, in the list's order.
        next_cursor: What to give as `after` for the next page; None on the last one.
    """

    items: tuple[Entity_co, ...]
    next_cursor: str | None


@dataclass(frozen=True)
class Arrival(Generic[Entity_co]):
    """A record that is newer than a cursor.

    Attributes:
        record: The record.
        cursor: What to give to `newer_than` or `follow` to go on right after it.
    """

    record: Entity_co
    cursor: str


@dataclass(frozen=True)
class Arrivals(Generic[Entity_co]):
    """What is newer than a cursor.

    Attributes:
        arrivals: The records, each with its cursor.
        cursor: What to give to `newer_than` or `follow` to go on after all of them. It is there
            also where nothing is new, and may have moved all the same.
    """

    arrivals: tuple[Arrival[Entity_co], ...]
    cursor: str

    @property
    def items(self) -> tuple[Entity_co, ...]:
        """The records alone."""
        return tuple(each.record for each in self.arrivals)
