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

from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.protocol import PersistenceBackend
from synthorg.persistence.sql.drivers.sqlite import ThreadConnection
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

    async def renew(self, url: str, backend: PersistenceBackend) -> bool:  # noqa: ARG002 (others do)
        with (
            closing(sqlite3.connect(self._template)) as template,
            closing(sqlite3.connect(url.removeprefix("sqlite:///").partition("?")[0])) as copy,
        ):
            copy.execute("PRAGMA synchronous=OFF")
            template.backup(copy)
        return True


class SQLiteMemory(Server):
    """A database in memory ends with its connection, so there is nothing to clean up."""

    name: ClassVar[str] = "sqlite-memory"

    def __init__(self, template: sqlite3.Connection) -> None:
        self._template = template

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Server]:
        with tempfile.TemporaryDirectory() as folder:
            migrated = Path(folder) / "migrated.db"
            asyncio.run(_migrate(f"sqlite:///{migrated}"))
            with closing(sqlite3.connect(migrated, check_same_thread=False)) as template:
                yield cls(template)

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        yield "sqlite://"

    @contextmanager
    def migrated_database(self) -> Iterator[str]:
        yield "sqlite://"  # there is no database yet: `migrate` makes its tables

    async def renew(self, url: str, backend: PersistenceBackend) -> bool:  # noqa: ARG002 (others do)
        await self.migrate(backend)
        return True

    async def migrate(self, backend: PersistenceBackend) -> None:
        """Copy a migrated file, much faster than Alembic makes one."""
        async with backend.get_db().connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, ThreadConnection)
            await driver.run(self._copy)

    def _copy(self, connection: sqlite3.Connection) -> None:
        self._template.backup(connection)


async def _migrate(url: str) -> None:
    backend = create_backend(PersistenceConfig.from_url(url))
    await backend.connect()
    try:
        await backend.migrate()
    finally:
        await backend.disconnect()
