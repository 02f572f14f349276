"""In an outage and after it, many backends open connections: none asks for all of them at once."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from synthorg.persistence import PersistenceConnectionError, TransactionalBackend
from tests.dialects.places import Place, connected, task
from tests.dialects.relay import relayed

BACKENDS: Final = 6
CALLERS: Final = 8
OUTAGE_SECONDS: Final = 1.0
RECOVERY_SECONDS: Final = 10.0
WINDOW_SECONDS: Final = 0.1


def most_within(moments: Sequence[float], seconds: float) -> int:
    """Count how many of some moments, in their order, lie within any span of time."""
    return max(
        bisect_left(moments, moment + seconds) - place for place, moment in enumerate(moments)
    )


async def test_connections_are_opened_few_at_once_in_an_outage_and_after_it(place: Place) -> None:
    async with AsyncExitStack() as stack:
        url, relay = await stack.enter_async_context(relayed(place.url))
        backends = [
            await stack.enter_async_context(connected(url, pool_size=8)) for _ in range(BACKENDS)
        ]
        began: dict[tuple[int, int], float] = {}
        is_over, succeeded = asyncio.Event(), asyncio.Event()

        async def call(backend: TransactionalBackend, key: tuple[int, int]) -> None:
            while not is_over.is_set():
                moment = time.monotonic()
                try:
                    await backend.tasks.save(task(f"{key}"))
                    await backend.tasks.get(f"{key}")
                    async with backend.transaction() as unit:
                        await unit.tasks.list_tasks(project="nobody's")
                except PersistenceConnectionError:
                    await asyncio.sleep(0)
                else:
                    began[key] = moment
                    succeeded.set()

        async def all_began_after(moment: float) -> None:
            while len(began) < BACKENDS * CALLERS or min(began.values()) < moment:
                succeeded.clear()
                await succeeded.wait()

        async with asyncio.TaskGroup() as group:
            for number, backend in enumerate(backends):
                for each in range(CALLERS):
                    group.create_task(call(backend, (number, each)))
            await all_began_after(0)
            relay.attempts.clear()
            relay.hang_up()
            await asyncio.sleep(OUTAGE_SECONDS)
            relay.come_back()
            async with asyncio.timeout(RECOVERY_SECONDS):
                await all_began_after(time.monotonic())
            is_over.set()
        assert len(relay.attempts) > BACKENDS
        assert most_within(relay.attempts, WINDOW_SECONDS) <= 4 * BACKENDS
