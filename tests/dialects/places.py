"""Databases on servers, and backends and records for tests of what servers do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from synthorg.entities import Task, TaskType
from synthorg.persistence import PersistenceConfig, TransactionalBackend, create_backend
from tests.servers.base import Server


@dataclass(frozen=True)
class Place:
    """A migrated database on a server, and who serves it."""

    kind: str
    url: str


def on(kind: type[Server]) -> pytest.MarkDecorator:
    """Run a test on one kind of server, which alone does what it is about.

    Args:
        kind: The kind.
    """
    return pytest.mark.parametrize("place", [kind], ids=[kind.name], indirect=True)


@asynccontextmanager
async def connected(url: str, **parameters: object) -> AsyncIterator[TransactionalBackend]:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    separator = "&" if "?" in url else "?"
    backend = create_backend(
        PersistenceConfig.from_url(f"{url}{separator}{query}" if query else url)
    )
    await backend.connect()
    try:
        yield backend
    finally:
        await backend.disconnect()


def task(id_: str, **fields: object) -> Task:
    values = {
        "id": id_,
        "title": "Count",
        "description": "Count the rows",
        "type": TaskType.ADMIN,
        "project": "p",
        "created_by": "ada",
    }
    return Task.model_validate(values | fields)
