"""SQLite needs no server: files in a temporary folder, and databases in memory."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import ClassVar

from synthorg.persistence import PersistenceConfig, create_backend
from tests.servers.base import Server


class SQLiteFiles(Server):
    """A file for each test, copied from one that was migrated once."""

    name: ClassVar[str] = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        self._template = folder / "template.db"
        asyncio.run(_migrate(f"sqlite:///{self._template}"))

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Server]:
        with tempfile.TemporaryDirectory() as folder:
            yield cls(Path(folder))

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        yield f"sqlite:///{folder / 'test.db'}"
        shutil.rmtree(folder)

    @contextmanager
    def migrated_database(self) -> Iterator[str]:
        with self.empty_database() as url:
            shutil.copy(self._template, url.removeprefix("sqlite:///"))
            yield url


class SQLiteMemory(Server):
    """A database in memory ends with its connection, so there is nothing to clean up."""

    name: ClassVar[str] = "sqlite-memory"

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Server]:
        yield cls()

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        yield "sqlite://"

    @contextmanager
    def migrated_database(self) -> Iterator[str]:
        yield "sqlite://"  # migrated by the fixture that connects


async def _migrate(url: str) -> None:
    backend = create_backend(PersistenceConfig.from_url(url))
    await backend.connect()
    try:
        await backend.migrate()
    finally:
        await backend.disconnect()
