"""Asking a database for a sign of life, also when all connections of the pool are in use."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncEngine

from synthorg.persistence.sql.drivers.base import DriverStatement

SECONDS_FOR_THE_POOL: Final = 1.0
"""How long to wait for a connection of the pool, before one is made for the question alone."""

QUESTION: Final = text("SELECT 1")


class Question(DriverStatement):
    """The question, as a prepared statement."""

    sql = "SELECT 1"
    reads = True
    key_index = None
    repeatable = True
    scans = False
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


async def ask(engine: AsyncEngine) -> None:
    """Ask on a connection of the pool, or of its own if none becomes free.

    Args:
        engine: The engine.

    Raises:
        Exception: If there is no answer.
    """
    try:
        async with asyncio.timeout(SECONDS_FOR_THE_POOL):
            await _ask(engine)
    except TimeoutError:
        await _ask_beside(engine.sync_engine)


async def _ask(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(QUESTION)


async def _ask_beside(engine: Engine) -> None:
    beside = AsyncEngine(Engine(engine.pool.recreate(), engine.dialect, engine.url))
    try:
        await _ask(beside)
    finally:
        await beside.dispose()
