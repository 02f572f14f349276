"""Cutting a long input, or a long list, into pieces of few rows and few bytes."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from types import NoneType
from typing import Final, Generic, TypeVar

from pydantic import BaseModel

from synthorg.persistence.sql.drivers.batching import BYTES_AT_ONCE

ROWS_AT_ONCE: Final = 500
"""How many rows bulk writes and streams hold; more were not faster, and take more memory."""

BYTES_OF_NODE: Final = 64  # about what an object of Python takes
NODES_AT_ONCE: Final = BYTES_AT_ONCE // BYTES_OF_NODE

_SMALL: Final = frozenset({bool, int, float, NoneType})
_MODEL_KIND: Final = type(BaseModel)

Item = TypeVar("Item")


async def chunks(
    items: Iterable[Item] | AsyncIterable[Item],
    rows: int,
    weigh: Callable[[Item], int] | None = None,
) -> AsyncIterator[list[Item]]:
    """Cut an input into lists.

    Args:
        items: The input, of any length.
        rows: How many items a list has at most.
        weigh: Tells how many bytes an item has, where a list is to have no more than
            `BYTES_AT_ONCE`, or what the last item of it has beyond that.

    Yields:
        The lists, none of them empty.
    """
    filling: _Filling[Item] = _Filling(rows, weigh)
    if isinstance(items, AsyncIterable):
        async for item in items:
            if filling.add(item):
                yield filling.take()
    else:
        for item in items:
            if filling.add(item):
                yield filling.take()
    if last := filling.take():
        yield last


class _Filling(Generic[Item]):
    """A list that is filled until it has enough."""

    def __init__(self, rows: int, weigh: Callable[[Item], int] | None) -> None:
        self._rows = rows
        self._weigh = weigh
        self._items: list[Item] = []
        self._bytes = 0

    def add(self, item: Item) -> bool:
        """Add an item, and tell whether the list is full."""
        self._items.append(item)
        if self._weigh is not None:
            self._bytes += self._weigh(item)
        return len(self._items) >= self._rows or self._bytes >= BYTES_AT_ONCE

    def take(self) -> list[Item]:
        """Give the list, and begin a new one."""
        items, self._items, self._bytes = self._items, [], 0
        return items


def bytes_of(values: list[object]) -> int:
    """Tell about how many bytes of memory values take, or at least that these are too many.

    Args:
        values: Texts and documents of any depth, whether anybody has validated them or not; the
            list is used up.
    """
    total = 0
    # What is inside is appended to what is walked: what nobody validated may be nested as deeply
    # as it likes, and an enormous document need not be walked to its end.
    for node in values:
        kind = type(node)
        if kind is str:
            total += node.__sizeof__()
            continue
        if kind in _SMALL:
            continue
        if isinstance(kind, _MODEL_KIND):  # which asks less of a model than whether it is one
            values += vars(node).values()
        elif isinstance(node, str):
            total += node.__sizeof__()
        elif isinstance(node, (tuple, list)):
            values += node
        elif isinstance(node, Mapping):
            values += node
            values += node.values()
        if len(values) > NODES_AT_ONCE:
            break
    return total + len(values) * BYTES_OF_NODE
