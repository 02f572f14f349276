"""A process that counts in rows that others count in as well, and says how often and what it met.

python -m tests.topologies.counting URL SECONDS TASKS
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter

from synthorg.persistence import (
    PersistenceError,
    TransactionalBackend,
    TransactionConflictError,
    UnitOfWork,
)
from synthorg.persistence.testing.kinds import TASKS
from tests.dialects.places import connected

NAMESPACE = "counters"
COUNTERS = ("a", "b", "c", "d")
SHARED = "shared"
MOMENT = "2026-01-01T00:00:00+00:00"


async def increase(backend: TransactionalBackend, key: str) -> None:
    """Add one to a counter in a unit of work, which others may have to run again."""

    async def work(unit: UnitOfWork) -> None:
        found = await unit.settings.get(NAMESPACE, key)
        number = 0 if found is None else int(found[0])
        await unit.settings.set(NAMESPACE, key, str(number + 1), MOMENT)

    await backend.run_in_transaction(work)


async def count(backend: TransactionalBackend, until: float, counted: Counter[str]) -> None:
    """Count, and save what others save as well, until a moment of the monotonic clock.

    Args:
        backend: The database.
        until: The moment.
        counted: Where what was done is counted, and what was raised.
    """
    while time.monotonic() < until:
        key = random.choice(COUNTERS)
        try:
            await increase(backend, key)
            counted[key] += 1
        except PersistenceError as error:
            counted[f"{type(error).__name__} of a unit: {error}"] += 1
        try:
            await backend.tasks.save(TASKS.make(id=SHARED, title=f"{random.random()}"))
            counted["saves"] += 1
        except TransactionConflictError:
            counted["conflicts of saves"] += 1
        except PersistenceError as error:
            counted[f"{type(error).__name__} of a save: {error}"] += 1


async def main(url: str, seconds: str, tasks: str) -> None:
    """Count with several tasks, and say what came of it."""
    counted: Counter[str] = Counter()
    async with connected(url) as backend:
        until = time.monotonic() + float(seconds)
        await asyncio.gather(*[count(backend, until, counted) for _ in range(int(tasks))])
    sys.stdout.write(json.dumps(counted))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
