"""Where the contenders get their databases: each one its own, with the same rows in it."""

import asyncio
import os
import secrets
import shutil
import sqlite3
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.data import Volume
from synthorg.persistence import PersistenceConfig, PostgreSQLConfig, create_backend

Rows = Sequence[Sequence[Any]]

TABLES: Final = ("tasks", "messages", "cost_records")
CONNECT_SECONDS: Final = 10
PIECE_BYTES: Final = 1 << 20
STATEMENT_SECONDS: Final = PostgreSQLConfig(database="any").statement_timeout_seconds
UNREACHABLE: Final = (DBAPIError, OSError, TimeoutError)


class Unavailable(Exception):  # noqa: N818 (it is a fact about the machine, not a failure)
    """There is no such database on this machine; the text says why."""


class Site(ABC):
    """A place with room for the databases of all contenders.

    Args:
        volume: What each database holds from the start.
    """

    backend: ClassVar[str]

    def __init__(self, volume: Volume) -> None:
        self.volume = volume

    @classmethod
    @abstractmethod
    def open(cls, volume: Volume, folder: Path) -> AbstractContextManager[Self]:
        """Prepare a first database to copy, and remove all in the end.

        Args:
            volume: What each database holds from the start.
            folder: Where files go.

        Raises:
            Unavailable: If there is no such database here.
        """

    @abstractmethod
    def copy(self) -> str:
        """Make a database for one contender, and give its URL."""

    def warm(self, url: str) -> None:  # noqa: B027 (a server has memory of its own)
        """See to it that the system has a database in memory.

        Args:
            url: What `copy` gave.
        """

    @abstractmethod
    def settings(self) -> Mapping[str, str]:
        """Tell the version and what decides about durability."""


class SQLiteSite(Site):
    """Files in a folder.

    Args:
        volume: What each database holds from the start.
        folder: The folder.
    """

    backend: ClassVar[str] = "sqlite"
    synchronous: ClassVar[str] = "full"

    def __init__(self, volume: Volume, folder: Path) -> None:
        super().__init__(volume)
        self._folder = folder
        self._template = folder / "template.db"
        asyncio.run(fill(f"sqlite:///{self._template}", volume))
        with closing(sqlite3.connect(self._template)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @classmethod
    @contextmanager
    def open(cls, volume: Volume, folder: Path) -> Iterator[Self]:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as own:
            yield cls(volume, Path(own).resolve())

    def copy(self) -> str:
        file = self._folder / f"{secrets.token_hex(4)}.db"
        shutil.copy(self._template, file)
        return f"sqlite:///{file}?synchronous={self.synchronous}"

    def warm(self, url: str) -> None:
        with Path(make_url(url).database or "").open("rb") as file:
            while file.read(PIECE_BYTES):
                pass

    def settings(self) -> Mapping[str, str]:
        return {
            "version": sqlite3.sqlite_version,
            "journal_mode": "wal",
            "synchronous": self.synchronous,
        }


class SQLiteNormalSite(SQLiteSite):
    """The same with a log that is synced at checkpoints alone."""

    synchronous: ClassVar[str] = "normal"


class ServerSite(Site):
    """Databases on a server.

    Args:
        volume: What each database holds from the start.
        url: The server, and a user who may make databases there.
    """

    driver: ClassVar[str]
    url_variable: ClassVar[str]
    usual_url: ClassVar[str]
    questions: ClassVar[Mapping[str, str]]
    """What `settings` asks, as SQL."""

    def __init__(self, volume: Volume, url: URL) -> None:
        super().__init__(volume)
        self._url = url
        self._names: list[str] = []
        self._template = self._new_name()

    @classmethod
    @contextmanager
    def open(cls, volume: Volume, folder: Path) -> Iterator[Self]:  # noqa: ARG003 (see Site)
        given = os.environ.get(cls.url_variable, "")
        site = cls(volume, make_url(given if given != "" else cls.usual_url))
        try:
            site.settings()
        except UNREACHABLE as error:
            raise Unavailable(
                f"{cls.url_variable if given else cls.usual_url}: {type(error).__name__}"
            ) from error
        with ExitStack() as stack:
            stack.callback(site.drop_all)
            site.prepare()
            yield site

    @abstractmethod
    def prepare(self) -> None:
        """Make and fill the database that is copied."""

    @abstractmethod
    def drop(self, name: str) -> str:
        """Write the statement that drops a database."""

    def drop_all(self) -> None:
        """Drop every database that was made here."""
        for name in self._names:
            self._execute(self.drop(name))

    def settings(self) -> Mapping[str, str]:
        return {
            name: str(self._execute(question)[0][0]) for name, question in self.questions.items()
        }

    def _new_name(self) -> str:
        name = f"synthorg_bench_{secrets.token_hex(6)}"
        self._names.append(name)
        return name

    def _url_of(self, database: str) -> str:
        return self._url.set(database=database).render_as_string(hide_password=False)

    def _execute(self, *statements: str, database: str | None = None) -> Rows:
        return asyncio.run(self._run(statements, database))

    async def _run(
        self, statements: Sequence[str], database: str | None
    ) -> Sequence[Sequence[Any]]:
        url = self._url.set(drivername=f"{self.backend}+{self.driver}")
        if database is not None:
            url = url.set(database=database)
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
        connection = engine.connect()
        rows: Rows = ()
        try:
            await asyncio.wait_for(connection.start(), CONNECT_SECONDS)
            for statement in statements:
                result = await connection.execute(text(statement))
                rows = [tuple(row) for row in result] if result.returns_rows else ()
        finally:
            await connection.close()
            await engine.dispose()
        return rows


class PostgreSQLSite(ServerSite):
    """Databases on PostgreSQL."""

    backend: ClassVar[str] = "postgresql"
    driver: ClassVar[str] = "asyncpg"
    url_variable: ClassVar[str] = "TEST_POSTGRESQL_URL"
    usual_url: ClassVar[str] = "postgresql://postgres@127.0.0.1:5432/postgres"
    questions: ClassVar[Mapping[str, str]] = {
        "version": "SHOW server_version",
        "fsync": "SHOW fsync",
        "synchronous_commit": "SHOW synchronous_commit",
    }

    def prepare(self) -> None:
        self._execute(f"CREATE DATABASE {self._template}")
        asyncio.run(fill(self._url_of(self._template), self.volume))
        self._execute("VACUUM ANALYZE", database=self._template)

    def copy(self) -> str:
        name = self._new_name()
        self._execute(
            f"CREATE DATABASE {name} TEMPLATE {self._template}",
            # The library limits its statements, which is not for free; so all shall be limited.
            f"ALTER DATABASE {name} SET statement_timeout = '{STATEMENT_SECONDS:g}s'",
        )
        return self._url_of(name)

    def drop(self, name: str) -> str:
        return f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"


class MariaDBSite(ServerSite):
    """Databases on MariaDB."""

    backend: ClassVar[str] = "mariadb"
    driver: ClassVar[str] = "asyncmy"
    url_variable: ClassVar[str] = "TEST_MARIADB_URL"
    usual_url: ClassVar[str] = "mariadb://root@127.0.0.1:3306"
    questions: ClassVar[Mapping[str, str]] = {
        "version": "SELECT @@version",
        "innodb_flush_log_at_trx_commit": "SELECT @@innodb_flush_log_at_trx_commit",
        "sync_binlog": "SELECT IF(@@log_bin, @@sync_binlog, 'no binary log')",
    }

    def prepare(self) -> None:
        self._execute(f"CREATE DATABASE {self._template}")
        asyncio.run(fill(self._url_of(self._template), self.volume))

    def copy(self) -> str:
        name = self._new_name()
        self._execute(f"CREATE DATABASE {name}")
        asyncio.run(fill(self._url_of(name), Volume(0)))
        fillings = [f"INSERT INTO {name}.{t} SELECT * FROM {self._template}.{t}" for t in TABLES]
        self._execute(*fillings, *[f"ANALYZE TABLE {name}.{table}" for table in TABLES])
        return self._url_of(name)

    def drop(self, name: str) -> str:
        return f"DROP DATABASE IF EXISTS {name}"


SITES: Final[Mapping[str, type[Site]]] = {
    "sqlite-full": SQLiteSite,
    "sqlite-normal": SQLiteNormalSite,
    "postgresql": PostgreSQLSite,
    "mariadb": MariaDBSite,
}


async def fill(url: str, volume: Volume) -> None:
    """Migrate a database with the library, and store what is there from the start.

    Args:
        url: An empty database.
        volume: What to store.
    """
    backend = create_backend(PersistenceConfig.from_url(url))
    await backend.connect()
    try:
        await backend.migrate()
        await backend.tasks.save_many(volume.tasks())
        await backend.messages.save_many(volume.messages())
        await backend.cost_records.save_many(volume.costs())
    finally:
        await backend.disconnect()
