import asyncio
import gc
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from synthorg.persistence.filesystem_artifact_storage import FileSystemArtifactStorage
from tests.artifact_storage.helpers import contents

fcntl = pytest.importorskip("fcntl")

REWRITE_FOR_EVER = """
import asyncio, itertools, sys
from synthorg.persistence.filesystem_artifact_storage import FileSystemArtifactStorage

async def main():
    storage = FileSystemArtifactStorage(sys.argv[1])
    for round in itertools.count():
        await storage.store("a1", bytes([round % 256]) * (2_000_000 + round % 256))
        if round == 0:
            print("ready", flush=True)

asyncio.run(main())
"""


def rewrite_until_killed(data_dir: Path, seconds: float) -> None:
    """Let a process write one artifact over and over, and kill it after a while."""
    with subprocess.Popen(
        [sys.executable, "-c", REWRITE_FOR_EVER, str(data_dir)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(seconds)
        process.kill()


@contextmanager
def writers_kept_waiting(data_dir: Path) -> Iterator[threading.Event]:
    """Hold the lock of a storage in another thread until the event is set."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with (data_dir / "artifacts" / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            held.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(30)
        yield release
    finally:
        release.set()
        thread.join()


@pytest.mark.parametrize("seed", range(4))
async def test_a_killed_process_leaves_the_old_or_the_new_content_whole(
    storage: FileSystemArtifactStorage, data_dir: Path, seed: int
) -> None:
    rewrite_until_killed(data_dir, random.Random(seed).uniform(0.02, 0.12))
    content = await storage.retrieve("a1")
    assert content == content[:1] * (2_000_000 + content[0])
    assert await storage.total_size() == len(content)
    await storage.store("a1", b"after")
    assert contents(data_dir) == [b"after"]


async def test_a_write_that_is_cancelled_after_it_began_is_completed_first(
    storage: FileSystemArtifactStorage, data_dir: Path
) -> None:
    await storage.store("a1", b"old")
    with writers_kept_waiting(data_dir) as release:
        write = asyncio.create_task(storage.store("a1", b"new"))
        await asyncio.sleep(0.1)
        for _ in range(3):
            write.cancel()
            await asyncio.sleep(0.02)
        assert not write.done()
        assert await storage.retrieve("a1") == b"old"
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await write
    assert await storage.retrieve("a1") == b"new"
    assert await storage.total_size() == len(b"new")


async def test_a_write_that_is_cancelled_while_it_waits_for_its_turn_never_begins(
    storage: FileSystemArtifactStorage, data_dir: Path
) -> None:
    await storage.store("a1", b"old")
    with writers_kept_waiting(data_dir) as release:
        first = asyncio.create_task(storage.store("a2", b"first"))
        await asyncio.sleep(0.1)
        write = asyncio.create_task(storage.store("a1", b"new"))
        await asyncio.sleep(0.02)
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(write, 5)
        release.set()
        await first
    assert await storage.retrieve("a1") == b"old"


async def test_the_event_loop_and_readers_go_on_while_many_writers_wait(
    storage: FileSystemArtifactStorage, data_dir: Path
) -> None:
    await storage.store("a1", b"report")
    with writers_kept_waiting(data_dir) as release:
        writes = [asyncio.create_task(storage.store(f"b{number}", b"x")) for number in range(50)]
        await asyncio.sleep(0.05)
        assert await asyncio.wait_for(storage.retrieve("a1"), 5) == b"report"
        assert await asyncio.wait_for(storage.total_size(), 5) == len(b"report")
        release.set()
        await asyncio.gather(*writes)
    assert await storage.total_size() == len(b"report") + 50


async def test_a_failed_write_that_was_cancelled_fails_in_silence(
    data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = FileSystemArtifactStorage(data_dir, max_total_bytes=1)
    await storage.store("a1", b"1")
    with writers_kept_waiting(data_dir) as release:
        write = asyncio.create_task(storage.store("a2", b"2"))
        await asyncio.sleep(0.1)
        write.cancel()
        await asyncio.sleep(0.02)
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await write
    del write
    await asyncio.sleep(0)
    gc.collect()
    assert caplog.records == []
    assert not await storage.exists("a2")
