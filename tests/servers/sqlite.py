"""SQLite needs no server: files in a temporary folder, and databases in memory."""

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import ClassVar

import aiosqlite

from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.protocol import PersistenceBackend
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

    def __init__(self, migrated: Path) -> None:
        with closing(sqlite3.connect(migrated)) as connection:
            self._schema = "\n".join(connection.iterdump())

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Server]:
        with tempfile.TemporaryDirectory() as folder:
            migrated = Path(folder) / "migrated.db"
            asyncio.run(_migrate(f"sqlite:///{migrated}"))
            yield cls(migrated)

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        yield "sqlite://"

    @contextmanager
    def migrated_database(self) -> Iterator[str]:
        yield "sqlite://"  # there is no database yet: `migrate` makes its tables

    async def migrate(self, backend: PersistenceBackend) -> None:
        """Run the DDL of a migrated file, much faster than Alembic."""
        async with backend.get_db().connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, aiosqlite.Connection)
            await driver.executescript(self._schema)


async def _migrate(url: str) -> None:
    backend = create_backend(PersistenceConfig.from_url(url))
    await backend.connect()
    try:
        await backend.migrate()
    finally:
        await backend.disconnect()
