"""Cutting a long input into pieces without holding all of it."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


async def chunks(
    items: Iterable[Item] | AsyncIterable[Item], size: int
) -> AsyncIterator[list[Item]]:
    """Cut an input into lists.

    Args:
        items: The input, of any length.
        size: How many items each list has, but for the last.

    Yields:
        The lists, none of them empty.
    """
    if not isinstance(items, AsyncIterable):
        iterator = iter(items)
        while chunk := list(islice(iterator, size)):
            yield chunk
        return
    chunk = []
    async for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
