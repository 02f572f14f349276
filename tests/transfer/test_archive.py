"""What is pruned into an archive is in it once, whoever is killed."""

import asyncio
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from synthorg.persistence import PersistenceConfig, QueryError, create_backend
from synthorg.persistence.retention import RetentionPolicy, prune
from synthorg.persistence.testing.kinds import MESSAGES

ROUNDS = int(os.environ.get("TEST_ARCHIVE_ROUNDS", "1"))
OLD = datetime.now(UTC) - timedelta(days=100)
POLICY = RetentionPolicy.of({"messages": {"max_age": "90d"}})


def ids(number: int) -> list[str]:
    return [str(MESSAGES.key_for(f"{each}")) for each in range(number)]


async def save(url: str, number: int) -> None:
    async with create_backend(PersistenceConfig.from_url(url)) as backend:
        await backend.migrate()
        await backend.messages.save_many(
            MESSAGES.make(id=id_, timestamp=OLD, content=f"✓ {id_}") for id_ in ids(number)
        )


async def left(url: str) -> set[str]:
    async with create_backend(PersistenceConfig.from_url(url)) as backend:
        return {
            str(each.id) for each in await backend.messages.get_history(MESSAGES.example.channel)
        }


def archived(folder: Path) -> Counter[str]:
    """Count how often each message is in the archive."""
    return Counter(
        json.loads(line)["id"]
        for part in (folder / "messages").glob("*.jsonl.gz")
        for line in gzip.decompress(part.read_bytes()).splitlines()
    )


async def test_the_archive_has_what_was_removed_and_nothing_else(
    target: str, tmp_path: Path
) -> None:
    await save(target, 300)
    async with create_backend(PersistenceConfig.from_url(target)) as backend:
        report = await prune(backend, POLICY, everything=True, archive=tmp_path)
    assert report.removed == 300
    assert archived(tmp_path) == Counter(ids(300))
    part = min((tmp_path / "messages").glob("*.jsonl.gz"))
    record = json.loads(gzip.decompress(part.read_bytes()).splitlines()[0])
    assert record["content"] == f"✓ {record['id']}"
    assert datetime.fromisoformat(record["timestamp"]) == OLD
    assert record["metadata"] == MESSAGES.example.metadata.model_dump(mode="json")


async def test_a_folder_that_cannot_be_written_removes_nothing(file: str, tmp_path: Path) -> None:
    await save(file, 3)
    (tmp_path / "archive").write_text("a file")
    async with create_backend(PersistenceConfig.from_url(file)) as backend:
        with pytest.raises(QueryError, match="cannot archive in"):
            await prune(backend, POLICY, everything=True, archive=tmp_path / "archive")
    assert await left(file) == set(ids(3))


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_of_two_processes_one_is_killed_and_nothing_is_lost_or_archived_twice(
    target: str, tmp_path: Path, round_number: int
) -> None:
    asyncio.run(save(target, 3_000))
    arguments = ["prune", "--keep", "messages=90d", "--yes", "--database", target]
    command = [sys.executable, "-m", "synthorg.persistence.cli", *arguments]
    command += ["--archive", str(tmp_path)]
    choose = random.Random(round_number)
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    other = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with killed, other:
        while not [*tmp_path.glob("messages/*.jsonl.gz")]:
            time.sleep(0.001)
        time.sleep(choose.uniform(0, 0.2))
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        found = archived(tmp_path)
        assert other.wait(60) == 0
    assert set(found.values()) == {1}
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert asyncio.run(left(target)) == set()
    assert archived(tmp_path) == Counter(ids(3_000))
    assert [*tmp_path.glob("messages/*.pending")] == []
