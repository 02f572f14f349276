"""Processes that end without warning: what they were told is stored, is stored."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Final

import pytest

from synthorg.persistence import SQLiteConfig
from synthorg.persistence.sqlite import SQLitePersistenceBackend

PROCESSES: Final = 2
LONGEST_LIFE: Final = 0.1  # seconds

CONNECT: Final = """
import asyncio, sys
from synthorg.persistence import SQLiteConfig
from synthorg.persistence.sqlite import SQLitePersistenceBackend

async def connected():
    backend = SQLitePersistenceBackend(SQLiteConfig(path=sys.argv[1], **eval(sys.argv[2])))
    await backend.connect()
    return backend
"""

WRITE_FOR_EVER: Final = """
async def write(backend, writer):
    number = 0
    while True:
        await backend.settings.set(writer, str(number), "x" * 500, "now")
        print(writer, number, flush=True)
        number += 1

async def main():
    backend = await connected()
    await asyncio.gather(*(write(backend, f"writer-{n}") for n in range(8)))

asyncio.run(main())
"""

FAIL: Final = """
async def main():
    backend = await connected()
    await backend.settings.set("a", "b", "c", "d")
    await asyncio.gather(*(backend.settings.get_all() for _ in range(20)))
    raise RuntimeError("nobody disconnects")

asyncio.run(main())
"""

LEAVE_WORK_BEHIND: Final = """
async def main():
    backend = await connected()
    for number in range(50):
        asyncio.ensure_future(backend.settings.set("a", str(number), "c", "d"))
    await asyncio.sleep(0.01)
    raise SystemExit(3)

asyncio.run(main())
"""

ROUTES: Final = pytest.mark.parametrize(
    "options", ["{}", "{'prepared_statements': False}"], ids=["prepared", "sqlalchemy"]
)


@contextmanager
def running(script: str, database: Path, options: str = "{}") -> Iterator[subprocess.Popen[str]]:
    """Run a script on a database in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", CONNECT + script, str(database), options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@ROUTES
def test_what_a_killed_process_was_told_is_stored_is_stored(
    sqlite_file: Path, options: str
) -> None:
    random = Random(options)
    databases = [sqlite_file.with_name(f"{number}.db") for number in range(PROCESSES)]
    for database in databases:
        shutil.copy(sqlite_file, database)
    with ExitStack() as stack:
        processes = [
            stack.enter_context(running(WRITE_FOR_EVER, each, options)) for each in databases
        ]
        for process, database in zip(processes, databases, strict=True):
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(random.uniform(0, LONGEST_LIFE / PROCESSES))
            process.kill()
            output = first + process.stdout.read()
            whole_lines = output[: output.rfind("\n") + 1].splitlines()  # it died writing the last
            told = {tuple(line.split()) for line in whole_lines}
            assert told <= asyncio.run(stored(database)), process.stderr and process.stderr.read()


@ROUTES
@pytest.mark.parametrize(("script", "status"), [(FAIL, 1), (LEAVE_WORK_BEHIND, 3)])
def test_a_process_ends_that_never_disconnected(
    sqlite_file: Path, script: str, status: int, options: str
) -> None:
    with running(script, sqlite_file, options) as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == status, errors
    if script == FAIL:
        assert "nobody disconnects" in errors
    asyncio.run(stored(sqlite_file))


async def stored(database: Path) -> set[tuple[str, ...]]:
    """Read the settings, and write one to see that the database still works."""
    backend = SQLitePersistenceBackend(SQLiteConfig(path=str(database)))
    await backend.connect()
    settings = await backend.settings.get_all()
    await backend.settings.set("afterwards", "it", "works", "now")
    await backend.disconnect()
    return {setting[:2] for setting in settings}
