"""Connections that are kept: shared by many calls, forgotten on the way, grown old."""

import asyncio
from typing import Final

import pytest

from synthorg.persistence import DuplicateRecordError
from synthorg.persistence.sql.drivers import answer_timeout
from synthorg.persistence.testing.kinds import COST_RECORDS, MESSAGES
from tests.dialects.places import Place, by_fast_drivers, connected
from tests.dialects.relay import relayed

CHANNEL: Final = MESSAGES.example.channel


@by_fast_drivers()
async def test_what_shared_a_trip_with_a_refused_record_is_seen_by_others_at_once(
    place: Place,
) -> None:
    async with connected(place.url) as backend, connected(place.url) as other:
        await backend.messages.save(MESSAGES.example)
        messages = [MESSAGES.keyed(str(number)) for number in range(8)]
        messages.insert(4, MESSAGES.example)
        results = await asyncio.gather(
            *map(backend.messages.save, messages), return_exceptions=True
        )
        assert [type(each) for each in results if each is not None] == [DuplicateRecordError]
        assert len(await other.messages.get_history(CHANNEL)) == len(messages)


@by_fast_drivers()
async def test_what_cannot_be_sent_twice_is_not_sent_on_a_connection_that_was_forgotten(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a firewall, which drops what is sent on connections that were idle for long."""
    monkeypatch.setattr(answer_timeout, "MARGIN_SECONDS", 0.2)
    limits = {"statement_timeout_seconds": 0.5, "connect_timeout_seconds": 2}
    async with relayed(place.url) as (url, relay), connected(url, **limits) as backend:
        await backend.cost_records.save(COST_RECORDS.example)
        relay.forget()
        await asyncio.sleep(0.05)  # who was used a moment ago is not asked
        await backend.cost_records.save(COST_RECORDS.example)
        assert len(await backend.cost_records.query()) == 2


@by_fast_drivers()
async def test_an_old_connection_is_replaced(place: Place) -> None:
    async with (
        relayed(place.url) as (url, relay),
        connected(url, pool_recycle_seconds=0.2) as backend,
    ):
        await backend.cost_records.save(COST_RECORDS.example)
        await asyncio.sleep(0.3)
        before = relay.accepted
        await backend.cost_records.save(COST_RECORDS.example)
        assert relay.accepted == before + 1
        await backend.cost_records.save(COST_RECORDS.example)
        assert relay.accepted == before + 1
