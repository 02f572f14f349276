"""A copy takes no more memory for many records, or for large ones."""

import asyncio
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from synthorg.entities import Message
from synthorg.persistence import ManagedBackend, PersistenceConfig
from synthorg.persistence.testing.kinds import MESSAGES
from synthorg.persistence.transfer import copy_database
from tests.transfer.conftest import run

SMALL: Final = 20_000
LARGE: Final = 60
MIB: Final = 2**20
MOST_BYTES: Final = 16 * MIB


def messages() -> Iterator[Message]:
    for number in range(SMALL):
        yield MESSAGES.keyed(f"small {number}")
    for number in range(LARGE):
        yield MESSAGES.altered(MESSAGES.keyed(f"large {number}"), content="x" * MIB)


def test_the_memory_of_a_copy_does_not_grow_with_the_records(tmp_path: Path) -> None:
    source, target = (f"sqlite:///{tmp_path / name}" for name in ("source.db", "target.db"))

    async def fill(backend: ManagedBackend) -> None:
        await backend.messages.save_many(messages())

    run(source, fill)
    ends = [PersistenceConfig.from_url(url) for url in (source, target)]
    tracemalloc.start()
    try:
        report = asyncio.run(copy_database(*ends))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert report.rows == SMALL + LARGE
    assert peak < MOST_BYTES, f"{peak / MIB:.0f} MiB"
