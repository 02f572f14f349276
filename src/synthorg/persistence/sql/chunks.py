"""Cutting a long input into pieces without holding all of it."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable
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
    chunk: list[Item] = []
    async for item in _each(items):
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def _each(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
