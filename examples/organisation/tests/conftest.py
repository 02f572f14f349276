"""Fixtures: a backend with the extension on every database, by both routes."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from organisation import Approval, organisation
from synthorg.entities import Task, TaskType
from synthorg.persistence import ManagedBackend, PersistenceConfig, create_backend

SERVERS = os.environ.get("ORGANISATION_DATABASES", "").split()
"""The URLs of databases on servers, each for these tests alone."""

DATABASES = {
    "file": "sqlite:///organisation.db",
    "memory": "sqlite:///:memory:",
    **{url.partition(":")[0]: url for url in SERVERS},
}

ROUTES = {"prepared": "true", "sqlalchemy": "false"}


@pytest.fixture(params=ROUTES)
def route(request: pytest.FixtureRequest) -> str:
    """Either route to the database in turn: prepared statements, or SQLAlchemy alone."""
    return ROUTES[request.param]


@pytest.fixture(params=DATABASES)
def url(
    request: pytest.FixtureRequest, route: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A database of every kind in turn; on servers, it has what earlier tests have left."""
    monkeypatch.chdir(tmp_path)
    url = DATABASES[request.param]
    return f"{url}{'&' if '?' in url else '?'}prepared_statements={route}"


@pytest.fixture
async def backend(url: str) -> AsyncIterator[ManagedBackend]:
    """A connected backend whose database has all tables."""
    config = PersistenceConfig.from_url(url)
    async with create_backend(config, extensions=[organisation]) as backend:
        await backend.migrate()
        yield backend


@pytest.fixture
def name() -> str:
    """A name that nothing else in the database has."""
    return str(uuid4())


@pytest.fixture
async def task(backend: ManagedBackend, name: str) -> Task:
    """A stored task, to which records may refer."""
    task = Task(
        id=name,
        title="Deploy",
        description="Deploy the release",
        type=TaskType.DEVELOPMENT,
        project=name,
        created_by="agent",
    )
    await backend.tasks.save(task)
    return task


@pytest.fixture
def approval(task: Task) -> Approval:
    """An approval of the task that is not stored."""
    return Approval(task_id=task.id, action="deploy", requested_by="agent")
