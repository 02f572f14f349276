"""Databases on servers, and backends and records for tests of what servers do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import pytest

from synthorg.entities import Task, TaskType
from synthorg.persistence import PersistenceConfig, TransactionalBackend, create_backend
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL


@dataclass(frozen=True)
class Place:
    """A migrated database on a server, and who serves it.

    Attributes:
        kind: The server.
        url: The database, with the driver by which to reach it.
        driver: The driver's module.
        is_fast: Whether that driver takes the fast route, with connections that are kept.
    """

    kind: str
    url: str
    driver: str
    is_fast: bool


@dataclass(frozen=True)
class Way:
    """A kind of server, and the driver by which to reach it."""

    kind: type[PostgreSQL | MariaDB]
    parameter: str = ""

    @property
    def driver(self) -> str:
        """The driver's module."""
        return self.parameter.partition("=")[2] or self.kind.driver

    def place(self, url: str) -> Place:
        """Give a database of the server by this driver.

        Args:
            url: The database.
        """
        own = f"{url}?{self.parameter}" if self.parameter else url
        return Place(self.kind.name, own, self.driver, is_fast=not self.parameter)

    def __str__(self) -> str:
        return "-".join(filter(None, (self.kind.name, self.parameter.rpartition("=")[2])))


WAYS: Final = (Way(PostgreSQL), Way(PostgreSQL, "driver=psycopg"), Way(MariaDB))
"""The first of a server is its default."""


def on(kind: type[PostgreSQL | MariaDB]) -> pytest.MarkDecorator:
    """Run a test on one kind of server, which alone does what it is about.

    Args:
        kind: The kind.
    """
    return pytest.mark.parametrize("place", [Way(kind)], ids=[kind.name], indirect=True)


def by_fast_drivers() -> pytest.MarkDecorator:
    """Run a test on every server by the driver that takes the fast route."""
    fast = [way for way in WAYS if not way.parameter]
    return pytest.mark.parametrize("place", fast, ids=str, indirect=True)


def with_parameters(url: str, **parameters: object) -> str:
    """Add parameters to a URL, which may have others.

    Args:
        url: The URL.
        parameters: The parameters, by name.
    """
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    separator = "&" if "?" in url else "?"
    return f"{url}{separator}{query}" if query else url


@asynccontextmanager
async def connected(url: str, **parameters: object) -> AsyncIterator[TransactionalBackend]:
    backend = create_backend(PersistenceConfig.from_url(with_parameters(url, **parameters)))
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
