"""The page on testing does what it says."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.packaging.conftest import CHECKOUT

PAGE = CHECKOUT / "docs" / "testing-your-own.md"


def test_whoever_follows_the_page_has_tests_that_pass(tmp_path: Path) -> None:
    for name, text in re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        (tmp_path / name).write_text(text)
    run = [sys.executable, "-m"]
    skeleton = [*run, "synthorg.persistence.cli", "new-extension", "shop"]
    subprocess.run(skeleton, cwd=tmp_path, check=True, capture_output=True)
    shutil.rmtree(tmp_path / "tests")
    command = [*run, "pytest", "-q", "-o", "asyncio_mode=auto", "--persistence-url", "sqlite"]
    # All of a backend is run by the tests of this library; here, that one is found and passes.
    command += ["-k", "office or shop or tasks or settings"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert "offers beyond PersistenceBackend" in ended.stdout


def test_a_database_with_records_is_refused_and_keeps_them(tmp_path: Path) -> None:
    file = tmp_path / "in_use.db"
    program = f"""
import asyncio
from synthorg.entities import Project
from synthorg.persistence import PersistenceConfig, create_backend

async def main():
    async with create_backend(PersistenceConfig.from_url("sqlite:///{file}")) as backend:
        await backend.migrate()
        if not await backend.projects.list_projects():
            await backend.projects.save(Project(id="kept", name="Kept"))
        print(*[each.id for each in await backend.projects.list_projects()])

asyncio.run(main())
"""
    test = "async def test_it(persistence_backend): pass"
    (tmp_path / "test_it.py").write_text(test)
    store = [sys.executable, "-c", program]
    subprocess.run(store, check=True, capture_output=True)
    command = [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto"]
    command += ["--persistence-url", f"sqlite:///{file}", "test_it.py"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "the table projects has records before the test" in ended.stdout
    kept = subprocess.run(store, check=True, capture_output=True, text=True)
    assert kept.stdout.split() == ["kept"]
