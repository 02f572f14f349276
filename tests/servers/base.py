"""Where tests get databases: one class for each kind of database."""

import os
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import ClassVar, NoReturn

import pytest

from synthorg.persistence.protocol import PersistenceBackend


class Unavailable(Exception):  # noqa: N818 (it is a fact about the machine, not a failure)
    """There is no such server on this machine; the text says how to get one."""


def go_without(name: str, reason: object) -> NoReturn:
    """Skip a test for want of a server, or fail it in CI, which has to cover all.

    Args:
        name: The server.
        reason: Why there is none.
    """
    if os.environ.get("CI"):
        pytest.fail(f"{name} must be covered in CI: {reason}")
    pytest.skip(f"{name} is not available: {reason}")


class Server(ABC):
    """A place that hands out databases, each for one test alone."""

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def start(cls) -> AbstractContextManager["Server"]:
        """Find or start the server for this session.

        Raises:
            Unavailable: If there is none and none can be started.
        """

    @abstractmethod
    def empty_database(self) -> AbstractContextManager[str]:
        """Make a database without tables, and drop it afterwards; gives its URL."""

    @abstractmethod
    def migrated_database(self) -> AbstractContextManager[str]:
        """Find or make a database at the head revision without records; gives its URL."""

    @abstractmethod
    async def renew(self, url: str, backend: PersistenceBackend) -> bool:
        """Make a migrated database as it was handed out, for another test.

        Args:
            url: The database.
            backend: The one backend that is connected to it, and stays so.

        Returns:
            Whether that is so now; otherwise somebody has changed more than records.
        """

    async def migrate(self, backend: PersistenceBackend) -> None:  # noqa: B027 (most have no need)
        """Make the tables of a backend on a migrated database, where they end with it."""
