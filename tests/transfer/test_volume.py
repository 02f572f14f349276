"""A copy takes no more memory for many records, or for large ones."""

import asyncio
import tracemalloc
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from synthorg.entities import Message
from synthorg.persistence import ManagedBackend, PersistenceConfig
from synthorg.persistence.testing.kinds import MESSAGES
from synthorg.persistence.transfer import (
    FileFormat,
    copy_database,
    export_database,
    import_database,
)
from tests.transfer.conftest import run

SMALL: Final = 20_000
LARGE: Final = 60
MIB: Final = 2**20
MOST_BYTES: Final = 16 * MIB
MOST_BYTES_OF_FILES: Final = 48 * MIB
"""More, since a batch is held as lines, as rows and as what Arrow makes of them."""

Result = TypeVar("Result")


def messages() -> Iterator[Message]:
    for number in range(SMALL):
        yield MESSAGES.keyed(f"small {number}")
    for number in range(LARGE):
        yield MESSAGES.altered(MESSAGES.keyed(f"large {number}"), content="x" * MIB)


async def fill(backend: ManagedBackend) -> None:
    await backend.messages.save_many(messages())


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_the_memory_of_an_export_and_an_import_does_not_grow_with_the_records(
    tmp_path: Path, file_format: FileFormat
) -> None:
    source, target = (f"sqlite:///{tmp_path / name}" for name in ("source.db", "target.db"))
    run(source, fill)
    export = export_database(
        PersistenceConfig.from_url(source), tmp_path / "export", file_format=file_format
    )
    exported, peak_of_export = traced(export)
    import_ = import_database(tmp_path / "export", PersistenceConfig.from_url(target))
    imported, peak_of_import = traced(import_)

    assert exported.rows == imported.added == SMALL + LARGE
    peak = max(peak_of_export, peak_of_import)
    assert peak < MOST_BYTES_OF_FILES, f"{peak / MIB:.0f} MiB"


def traced(work: Coroutine[Any, Any, Result]) -> tuple[Result, int]:
    """Do something, and tell how much memory of Python it took at most."""
    tracemalloc.start()
    try:
        result = asyncio.run(work)
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_memory_of_a_copy_does_not_grow_with_the_records(tmp_path: Path) -> None:
    source, target = (f"sqlite:///{tmp_path / name}" for name in ("source.db", "target.db"))
    run(source, fill)
    ends = [PersistenceConfig.from_url(url) for url in (source, target)]
    report, peak = traced(copy_database(*ends))

    assert report.rows == SMALL + LARGE
    assert peak < MOST_BYTES, f"{peak / MIB:.0f} MiB"
