"""Databases on servers, and backends and records for tests of what servers do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from synthorg.entities import Task, TaskType
from synthorg.persistence import PersistenceConfig, TransactionalBackend, create_backend


@dataclass(frozen=True)
class Place:
    """A migrated database on a server, and who serves it."""

    kind: str
    url: str


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
