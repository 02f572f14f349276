"""Lists: order, filters, limits and what they refuse, for every list there is."""

from datetime import timedelta

import pytest

from synthorg.persistence import PersistenceBackend, QueryError
from synthorg.persistence.testing.backend.lists import both_bounds, listings
from synthorg.persistence.testing.kinds import MOMENT
from synthorg.persistence.testing.listings import Listing


@listings(lambda listing: listing.limited)
@pytest.mark.parametrize("limit", [0, -1])
async def test_a_limit_below_one_is_refused_unsent(
    unmigrated: PersistenceBackend, listing: Listing, limit: int
) -> None:
    required = dict.fromkeys(listing.required, "bob")
    with pytest.raises(QueryError, match=rf"{listing.kind.repository}: limit must be .*at least 1"):
        await listing(unmigrated, {"limit": limit, **required})


@listings(both_bounds)
async def test_a_range_that_ends_before_it_begins_is_refused_unsent(
    unmigrated: PersistenceBackend, listing: Listing
) -> None:
    until = MOMENT - timedelta(microseconds=1)
    with pytest.raises(QueryError, match=r"until must not be before since"):
        await listing(unmigrated, {"since": MOMENT, "until": until})
