"""Fixtures: backends with two extensions, the second of which refers to the first."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from synthorg.entities import Task
from synthorg.persistence import ManagedBackend, PersistenceConfig, create_backend
from tests.extensions.ledger import Approval, ledger
from tests.extensions.office import office

EXTENSIONS: Final = (ledger, office)

NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)


def backend_at(url: str) -> ManagedBackend:
    """Make a backend with both extensions."""
    return create_backend(PersistenceConfig.from_url(url), extensions=EXTENSIONS)


def task(id: str = "task") -> Task:  # noqa: A002 (the field's name)
    """Make a task to which approvals can refer."""
    return Task(
        id=id, title="t", description="d", type="development", project="p", created_by="agent"
    )


def approval(id: str = "approval", **values: Any) -> Approval:  # noqa: A002 (the field's name)
    """Make an approval."""
    return Approval(**{"id": id, "task_id": "task", "asked_at": NOON, **values})


@pytest.fixture
async def extended(empty_url: str) -> AsyncIterator[ManagedBackend]:
    """A connected backend whose database has all tables of both extensions."""
    async with backend_at(empty_url) as backend:
        await backend.migrate()
        yield backend


@pytest.fixture
def persistence_backend(extended: ManagedBackend) -> ManagedBackend:
    """The same, by the name that the shipped tests know."""
    return extended
