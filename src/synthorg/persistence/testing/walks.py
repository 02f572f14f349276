"""Every list that can be walked through, by pages or as a stream."""

from collections.abc import AsyncIterator, Callable, Sequence
from itertools import islice
from random import Random
from typing import Any, Final

import pytest

from synthorg.persistence.paging import Page
from synthorg.persistence.testing.kinds import (
    AUDIT_ENTRIES,
    COLLABORATION_METRICS,
    COST_RECORDS,
    EXECUTIONS,
    LIFECYCLE_EVENTS,
    SETTINGS,
)
from synthorg.persistence.testing.listings import LISTINGS, RUNNING, Arguments, Listing
from synthorg.persistence.transactions import Stores

LIMITS: Final = (1, 2, 3, 7, 50, 1000, 2**63 - 1)


class Walk(Listing):
    """A list by the filters that `page` and `stream` take."""

    def __str__(self) -> str:
        return self.kind.repository

    def widest(self, random: Random, records: Sequence[Any]) -> dict[str, Any]:
        """Choose the arguments of a call without optional filters that lists many records."""
        calls = islice(self.calls(random, rounds=5), 5)
        return max(calls, key=lambda arguments: len(self.expected(records, arguments)))

    async def page(
        self, stores: Stores, arguments: Arguments, *, limit: int, after: str | None = None
    ) -> Page[Any]:
        """Ask for one page."""
        repository = getattr(stores, self.kind.repository)
        page: Page[Any] = await repository.page(
            *self._by_place(arguments), **self._by_name(arguments), limit=limit, after=after
        )
        assert isinstance(page.items, tuple)
        return page

    async def pages(
        self, stores: Stores, arguments: Arguments, *, limit: int
    ) -> AsyncIterator[Page[Any]]:
        """Ask for one page after the other, up to the last one."""
        page = await self.page(stores, arguments, limit=limit)
        yield page
        while page.next_cursor is not None:
            page = await self.page(stores, arguments, limit=limit, after=page.next_cursor)
            yield page

    def stream(self, stores: Stores, arguments: Arguments) -> AsyncIterator[Any]:
        """Ask for the stream."""
        repository = getattr(stores, self.kind.repository)
        stream: AsyncIterator[Any] = repository.stream(
            *self._by_place(arguments), **self._by_name(arguments)
        )
        return stream

    def rest(self, records: list[Any], arguments: Arguments, last: Any) -> list[Any]:
        """Work out what follows a record in the list, whether it is still there or not."""
        listed = self.expected(records if last in records else [*records, last], arguments)
        return listed[listed.index(last) + 1 :]

    def _by_place(self, arguments: Arguments) -> list[Any]:
        return [arguments[name] for name in self.required]

    def _by_name(self, arguments: Arguments) -> dict[str, Any]:
        return {name: value for name, value in arguments.items() if name not in self.required}


def _walk(listing: Listing) -> Walk:
    fields = {**vars(listing), "limited": False}
    if listing.kind in (COST_RECORDS, AUDIT_ENTRIES, LIFECYCLE_EVENTS, COLLABORATION_METRICS):
        fields |= {"bounds": ("since", "until")}
    if listing.kind is SETTINGS:
        fields |= {"filters": "namespace"}
    if listing.kind is EXECUTIONS:
        fields |= {"filters": "definition_id status", "required": (), "others": RUNNING}
    return Walk(**fields)


WALKS: Final = tuple(
    _walk(listing)
    for listing in LISTINGS
    if listing.method not in ("get_namespace", "list_by_status")  # one walk serves both lists
)


def walks(select: Callable[[Walk], object] = lambda _: True) -> pytest.MarkDecorator:
    """Run a test for every walk, or for some of them, as its argument `walk`."""
    return pytest.mark.parametrize("walk", [walk for walk in WALKS if select(walk)], ids=str)
