"""Killed in the middle of units over both kinds of records: each is stored as a whole, or not."""

import asyncio
import os
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Final

from tests.conformance.test_kills import (
    BEGUN,
    COMMITTED,
    Event,
    events_until_killed,
    shared_databases,
)
from tests.extensions.conftest import approval, backend_at, task
from tests.extensions.ledger import ApprovalRepository
from tests.servers.base import Server

ROUNDS: Final = int(os.environ.get("TEST_KILL_ROUNDS", "3"))
"""How often a process is killed on each database."""


def carry_out_pairs(url: str, name: str, tell: Callable[[Event], None]) -> None:
    """Save a built-in record and one of an extension, again and again, until killed."""

    async def carry_out() -> None:
        async with backend_at(url) as backend:
            for number in count():
                pair = f"{name} {number}"
                tell((BEGUN, pair))
                async with backend.transaction() as work:
                    await work.tasks.save(task(pair))
                    await work.repository(ApprovalRepository).save(approval(pair, task_id=pair))
                tell((COMMITTED, pair))

    asyncio.run(carry_out())


@shared_databases
def test_of_a_pair_whose_process_is_killed_both_are_stored_or_neither(
    server: Server, migrated_url: str
) -> None:
    asyncio.run(_migrate(migrated_url))
    random = Random(server.name)

    events = [
        event
        for name in map(str, range(ROUNDS))
        for event in events_until_killed(carry_out_pairs, migrated_url, name, random)
    ]

    tasks, approvals = asyncio.run(_stored(migrated_url))
    assert tasks == approvals
    committed = {pair for event, pair in events if event == COMMITTED}
    assert len(committed) >= ROUNDS
    assert committed <= tasks


async def _migrate(url: str) -> None:
    async with backend_at(url) as backend:
        await backend.migrate()


async def _stored(url: str) -> tuple[set[str], set[str]]:
    # In one snapshot, as a server may be about to commit what a process has sent before its end.
    async with backend_at(url) as backend, backend.transaction(read_only=True) as work:
        return (
            {each.id async for each in work.tasks.stream()},
            {each.id async for each in work.repository(ApprovalRepository).stream()},
        )
