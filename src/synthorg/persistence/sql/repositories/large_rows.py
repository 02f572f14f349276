"""Rows of a list from which large values were left out: read again, few at a time."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from synthorg.persistence.sql.drivers.batching import BYTES_AT_ONCE
from synthorg.persistence.sql.execution.executor import Rows

Key = tuple[Any, ...]


class LargeRows:
    """Gives the large rows of one lean list, as `ListQuery.lean` says, in their order.

    Args:
        rows: The list.
        key_of: Finds the key in a row.
        fetch: Reads the whole rows with some keys, in any order.
    """

    def __init__(
        self,
        rows: Rows,
        key_of: Callable[[Sequence[Any]], Key],
        fetch: Callable[[Sequence[Key]], Awaitable[Rows]],
    ) -> None:
        self._key_of = key_of
        self._fetch = fetch
        self._to_come = deque((key_of(row), row[-1]) for row in rows if row[-1])
        self._asked_for: Sequence[Key] = ()
        self._found: dict[Key, Sequence[Any]] = {}

    async def take(self, row: Sequence[Any]) -> Sequence[Any] | None:
        """Give the next large row.

        Args:
            row: What there is of it in the list.

        Returns:
            The whole row, or None if it was deleted meanwhile.
        """
        key = self._key_of(row)
        if key not in self._asked_for:
            self._found = {}  # before the next ones come
            self._asked_for = self._next_keys()
            self._found = {self._key_of(each): each for each in await self._fetch(self._asked_for)}
        return self._found.pop(key, None)

    def _next_keys(self) -> Sequence[Key]:
        key, size = self._to_come.popleft()
        keys = [key]
        while self._to_come and size + self._to_come[0][1] <= BYTES_AT_ONCE:
            key, more = self._to_come.popleft()
            keys.append(key)
            size += more
        return keys
