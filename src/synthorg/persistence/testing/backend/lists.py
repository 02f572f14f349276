"""Lists: order, filters, limits and what they refuse, for every list there is."""

from collections.abc import Callable
from random import Random

import pytest

from synthorg.persistence import InvalidArgumentError, PersistenceBackend
from synthorg.persistence.testing.awkward import FIRST_TIME_ROUND, SECOND_TIME_ROUND
from synthorg.persistence.testing.listings import LISTINGS, Listing
from synthorg.persistence.testing.needs import needs
from synthorg.persistence.transactions import TransactionalBackend

ROUNDS = 4


def listings(select: Callable[[Listing], object] = lambda _: True) -> pytest.MarkDecorator:
    """Run a test for every list, or for some of them, as its argument `listing`."""
    chosen = [listing for listing in LISTINGS if select(listing)]
    return pytest.mark.parametrize("listing", chosen, ids=str)


def both_bounds(listing: Listing) -> bool:
    return {"since", "until"} <= set(listing.bounds)


class Lists:
    """Lists: order, filters, limits and what they refuse, for every list there is."""

    @needs(TransactionalBackend)
    @listings()
    async def test_every_set_of_filters_lists_what_matches_in_order(
        self, backend: TransactionalBackend, listing: Listing
    ) -> None:
        random = Random(str(listing))
        records = listing.population(random)
        await listing.fill(backend, records)
        for arguments in listing.calls(random, ROUNDS):
            expected = listing.expected(records, arguments)
            assert await listing(backend, arguments) == expected, arguments

    @listings()
    async def test_a_list_of_nothing_is_empty(
        self, backend: PersistenceBackend, listing: Listing
    ) -> None:
        for arguments in listing.calls(Random(0), rounds=1):
            assert await listing(backend, arguments) == []

    @needs(TransactionalBackend)
    @listings(both_bounds)
    async def test_a_range_over_a_clock_change_goes_by_time_and_not_by_the_clock(
        self, backend: TransactionalBackend, listing: Listing
    ) -> None:
        assert listing.time is not None
        records = [
            listing.kind.altered(listing.kind.keyed(str(number)), **{listing.time: time})
            for number, time in enumerate((FIRST_TIME_ROUND, SECOND_TIME_ROUND))
        ]
        await listing.fill(backend, records)
        since_until = {"since": FIRST_TIME_ROUND, "until": SECOND_TIME_ROUND}
        assert await listing(backend, since_until) == records[::-1]
        with pytest.raises(InvalidArgumentError, match=r"until must not be before since"):
            await listing(backend, {"since": SECOND_TIME_ROUND, "until": FIRST_TIME_ROUND})
