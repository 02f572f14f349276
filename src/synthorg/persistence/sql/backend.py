"""The backend: a lifecycle around one database, and the repositories on it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from synthorg.entities import NotBlankStr
from synthorg.persistence.errors import PersistenceConnectionError
from synthorg.persistence.sql import migration
from synthorg.persistence.sql.database import Database
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.executor import Executor, Result
from synthorg.persistence.sql.repositories import Repositories
from synthorg.persistence.sql.retrying import run_again_on_conflict
from synthorg.persistence.sql.unit_of_work import SQLUnitOfWork

logger = logging.getLogger(__name__)

SYSTEM_NAMESPACE: Final = "_system"
HEALTH_CHECK_SECONDS: Final = 5.0


class SQLPersistenceBackend(Repositories):
    """`PersistenceBackend` on any SQL database.

    Args:
        dialect: The kind of database, with its configuration.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._database: Database | None = None
        self._lifecycle = asyncio.Lock()

    @property
    def is_connected(self) -> bool:
        return self._database is not None

    @property
    def backend_name(self) -> NotBlankStr:
        return self._dialect.backend_name

    async def connect(self) -> None:
        async with self._lifecycle:
            if self._database is not None:
                return
            database = Database(self._dialect, migration.find_schema_problem)
            await database.open()
            self._database = database
        logger.info("connected", extra={"backend": self.backend_name})

    async def disconnect(self) -> None:
        async with self._lifecycle:
            if self._database is None:
                return
            database, self._database = self._database, None
            await database.close()
        logger.info("disconnected", extra={"backend": self.backend_name})

    async def health_check(self) -> bool:
        if self._database is None:
            return False
        try:
            async with asyncio.timeout(HEALTH_CHECK_SECONDS):
                await self._database.ping()
        except Exception:  # noqa: BLE001 (whatever it is, the database is not healthy)
            logger.warning("health check failed", extra={"backend": self.backend_name})
            return False
        return True

    async def migrate(self) -> None:
        await migration.upgrade(self._connected("migrate()"))

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[SQLUnitOfWork]:
        database = self._connected("transaction()")
        async with database.unit(read_only=read_only) as transaction:
            yield SQLUnitOfWork(transaction)

    async def run_in_transaction(
        self, work: Callable[[SQLUnitOfWork], Awaitable[Result]]
    ) -> Result:
        async def attempt() -> Result:
            async with self.transaction() as unit:
                return await work(unit)

        return await run_again_on_conflict(attempt)

    def get_db(self) -> AsyncEngine:
        return self._connected("get_db()").engine

    async def get_setting(self, key: NotBlankStr) -> str | None:
        self._connected("get_setting()")
        setting = await self.settings.get(SYSTEM_NAMESPACE, key)
        return None if setting is None else setting[0]

    async def set_setting(self, key: NotBlankStr, value: str) -> None:
        self._connected("set_setting()")
        await self.settings.set(SYSTEM_NAMESPACE, key, value, datetime.now(UTC).isoformat())

    def executor_for(self, repository: str) -> Executor:
        return self._connected(repository)

    def _connected(self, asked_for: str) -> Database:
        if self._database is None:
            raise PersistenceConnectionError(
                f"not connected: await connect() before using {asked_for}"
            )
        return self._database
