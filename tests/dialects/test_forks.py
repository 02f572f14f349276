"""Children that end, and children that write into a file which their parent has open."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from synthorg.persistence import PersistenceConfig, PersistenceConnectionError, create_backend
from tests.conformance.children import in_child
from tests.dialects.places import Place, connected, task, with_parameters

WHERE: Final = ("outside", "inside")


def run_forking(where: str, *urls: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.dialects.forking", where, *urls]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("where", WHERE)
def test_a_child_that_ends_leaves_what_it_inherited_alone(place: Place, where: str) -> None:
    routes = [with_parameters(place.url, prepared_statements=route) for route in ("true", "false")]
    ended = run_forking(where, *routes)
    # Inside, the child leaves a unit without an event loop, and says so.
    assert (ended.returncode, ended.stderr * (where == "outside")) == (0, "")


@pytest.mark.parametrize("where", WHERE)
def test_a_child_that_ends_leaves_the_file_it_inherited_alone(
    sqlite_file: Path, where: str
) -> None:
    ended = run_forking(where, f"sqlite:///{sqlite_file}")
    assert (ended.returncode, ended.stderr * (where == "outside")) == (0, "")


async def test_what_a_child_saved_is_there_after_its_parent_has_closed_the_file(
    sqlite_file: Path,
) -> None:
    url = f"sqlite:///{sqlite_file}"
    closed = sqlite_file.with_suffix(".closed")

    async def save() -> None:
        backend = create_backend(PersistenceConfig.from_url(url))
        await backend.connect()
        await backend.tasks.save(task("while both have it open"))
        closed.with_suffix(".begun").touch()
        while not closed.exists():  # noqa: ASYNC110 (another process makes it)
            await asyncio.sleep(0.01)
        await backend.tasks.save(task("after the parent"))
        await backend.disconnect()

    async def disconnect() -> None:
        while not closed.with_suffix(".begun").exists():  # noqa: ASYNC110 (likewise)
            await asyncio.sleep(0.01)
        await parent.__aexit__(None, None, None)
        with closing(sqlite3.connect(sqlite_file)) as another:
            another.execute("SELECT count(*) FROM tasks").fetchall()
        closed.touch()

    parent = connected(url)
    await (await parent.__aenter__()).tasks.save(task("1"))
    told, _ = await asyncio.gather(in_child(save), disconnect())
    assert told == "None"
    with closing(sqlite3.connect(sqlite_file)) as reader:
        stored = reader.execute("SELECT id FROM tasks ORDER BY id").fetchall()
        assert stored == [("1",), ("after the parent",), ("while both have it open",)]
        assert reader.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_child_is_refused_a_file_that_its_parent_has_closed_meanwhile(
    sqlite_file: Path,
) -> None:
    url = f"sqlite:///{sqlite_file}"
    closed = sqlite_file.with_suffix(".closed")

    async def connect() -> None:
        while not closed.exists():  # noqa: ASYNC110 (another process makes it)
            await asyncio.sleep(0.01)
        await create_backend(PersistenceConfig.from_url(url)).connect()

    async def disconnect() -> None:
        await parent.__aexit__(None, None, None)
        closed.touch()

    parent = connected(url)
    await (await parent.__aenter__()).tasks.save(task("1"))
    told, _ = await asyncio.gather(in_child(connect), disconnect())
    assert told.startswith(PersistenceConnectionError.__name__)
    assert "spawn" in told


async def test_connecting_once_more_drops_no_lock_on_the_file(sqlite_file: Path) -> None:
    url = f"sqlite:///{sqlite_file}"
    async with connected(url) as first:
        await first.tasks.save(task("1"))
        async with connected(url):
            pass
        # Who has the file last removes its log, unless another has it locked.
        last = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT 1 FROM tasks')"
        subprocess.run([sys.executable, "-c", last, sqlite_file], check=True)  # noqa: ASYNC221
        await first.tasks.save(task("2"))
        with closing(sqlite3.connect(sqlite_file)) as another:
            assert another.execute("SELECT count(*) FROM tasks").fetchall() == [(2,)]
