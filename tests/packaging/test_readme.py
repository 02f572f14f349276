"""Whoever runs what the README lists gets what it promises."""

import os
import subprocess
import sys
from pathlib import Path

from synthorg.persistence.config import DATABASE_URL_VARIABLE
from tests.listings import CHECKOUT, listings, make_skeletons

README = CHECKOUT / "README.md"
BUSY_SECONDS = 100

TOUR = """
import asyncio
from datetime import UTC, datetime

import organisation, readme
from readme import *

MESSAGE = Message(
    timestamp=datetime.now(UTC), sender="ada", to="bob", type="announcement", channel="general",
    content="Off we go",
)

async def everything():
    async with create_backend(PersistenceConfig()) as backend:
        tasks = await backend.tasks.list_tasks()
        await tour(backend, tasks, MESSAGE)
        assert [task.assigned_to for task in await backend.tasks.list_tasks()] == ["bob"]
    await organisation.grant(PersistenceConfig(), tasks[0].id)
    extensions = [organisation.organisation]
    async with create_backend(PersistenceConfig(), extensions=extensions) as backend:
        (approval,) = await backend.repository(organisation.ApprovalRepository).find()
        assert approval.granted and approval.task_id == tasks[0].id

asyncio.run(everything())
"""


def run(folder: Path, *command: str, url: str = "") -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, DATABASE_URL_VARIABLE: url},
        capture_output=True,
        text=True,
        timeout=BUSY_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_listings_run_one_after_the_other(tmp_path: Path) -> None:
    make_skeletons(README, tmp_path)
    for listing in listings(README, "python"):
        listing.write(tmp_path)
    for revision in (tmp_path / "organisation" / "migrations" / "versions").glob("*.py"):
        revision.unlink()
    made = "sqlite:///made.db"
    run(tmp_path, "-m", "synthorg.persistence.cli", "migrate", url=made)
    revise = ("revision", "--autogenerate", "--rev-id", "0001", "--message", "approvals")
    run(tmp_path, "-m", "alembic", *revise, url=made)

    printed = run(tmp_path, "-c", TOUR)

    assert "id='task-1'" in printed  # of the first program
    assert "Off we go" in printed
