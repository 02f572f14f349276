"""Asking a database for a sign of life, also when all connections of the pool are in use."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final

from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from synthorg.persistence.errors import PersistenceConnectionError
from synthorg.persistence.sql.drivers.base import DriverStatement
from synthorg.persistence.sql.drivers.pool_state import is_without_room

SECONDS_FOR_THE_POOL: Final = 1.0
"""How long to wait for a connection of the pool, before one is made for the question alone."""

NONE_FREE: Final = "the only connection did not become free in time"

QUESTION: Final = text("SELECT 1")


class Question(DriverStatement):
    """A question without values, as a prepared statement.

    Args:
        sql: What is asked.
    """

    def __init__(self, sql: str = QUESTION.text) -> None:
        self._sql = sql

    @property
    def sql(self) -> str:
        """What the driver runs."""
        return self._sql

    reads = True
    key_index = None
    repeatable = True
    scans = False
    finds_one = False
    inserts = False

    def by_keys(self, keys: Sequence[Any]) -> tuple[DriverStatement, Sequence[Any]]:
        """Refuse, since there is no key."""
        raise NotImplementedError

    def batched(
        self,
        rows: Sequence[Sequence[Any]],  # noqa: ARG002 (there are none)
    ) -> None:
        """Give no statement for many rows."""
        return

    def decode(self, rows: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Leave the answer as it is."""
        return rows


async def ask(engine: AsyncEngine) -> float:
    """Ask on a connection of the pool, or of its own if none becomes free.

    Args:
        engine: The engine.

    Returns:
        How many seconds the answer took.

    Raises:
        Exception: If there is no answer.
    """
    async with connection_for_questions(engine) as connection:
        began = time.monotonic()
        await connection.execute(QUESTION)
        return time.monotonic() - began


@asynccontextmanager
async def connection_for_questions(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Give a connection of the pool, or one of its own if none becomes free.

    Args:
        engine: The engine.
    """
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(SECONDS_FOR_THE_POOL):
                connection = await stack.enter_async_context(engine.connect())
        except TimeoutError:
            connection = await _another(stack, engine)
        yield connection


async def _another(stack: AsyncExitStack, engine: AsyncEngine) -> AsyncConnection:
    """Have a connection of one's own, or wait for one of the pool if no other is allowed."""
    try:
        return await stack.enter_async_context(_beside(engine))
    except Exception as error:
        if not is_without_room(engine.sync_engine.pool, error):
            raise
    return await stack.enter_async_context(engine.connect())


@asynccontextmanager
async def soon(lock: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
    """Hold a lock, if it becomes free as soon as a connection of the pool has to.

    Args:
        lock: The lock.

    Raises:
        PersistenceConnectionError: If it does not.
    """
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(SECONDS_FOR_THE_POOL):
                await stack.enter_async_context(lock)
        except TimeoutError:
            raise PersistenceConnectionError(NONE_FREE) from None
        yield


@asynccontextmanager
async def _beside(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    pool = engine.sync_engine.pool.recreate()
    beside = AsyncEngine(Engine(pool, engine.sync_engine.dialect, engine.url))
    try:
        async with beside.connect() as connection:
            yield connection
    finally:
        await beside.dispose()
