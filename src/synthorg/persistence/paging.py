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
