"""A database for the time of one command."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from synthorg.persistence.config import PersistenceConfig
from synthorg.persistence.errors import PersistenceConnectionError, QueryError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.drivers.faults import Fault
from synthorg.persistence.sql.execution.database import Database
from synthorg.persistence.sql.execution.failures import connection_failure, redacted
from synthorg.persistence.sql.migrations.runner import find_schema_problem

Result = TypeVar("Result")

ATTEMPTS: Final = 3
"""How often a database is looked at when somebody writes meanwhile."""


def config_of(url: str | None) -> PersistenceConfig:
    """Read the configuration in a URL, or in the one of the environment."""
    return PersistenceConfig.from_env() if url is None else PersistenceConfig.from_url(url)


def dialect_of(url: str | None) -> Dialect:
    """Make the dialect for a URL, or for the one in the environment."""
    return create_dialect(config_of(url))


def with_database(
    dialect: Dialect, work: Callable[[Database], Coroutine[Any, Any, Result]]
) -> Result:
    """Open the database, do something with it, and close it."""

    async def run() -> Result:
        database = Database(dialect, find_schema_problem)
        await database.open()
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


def ask(dialect: Dialect, question: Callable[[Connection], Result]) -> Result:
    """Ask an existing database something, and change nothing in it."""
    dialect.refuse_absence()
    return asyncio.run(_ask(dialect, question))


async def _ask(dialect: Dialect, question: Callable[[Connection], Result]) -> Result:
    for number in range(ATTEMPTS):
        with dialect.read_only_view(again=number > 0) as view:
            answer = await _seen(dialect, view.engine, question)
            if view.has_held():
                return answer
    raise PersistenceConnectionError(
        f"cannot read {dialect.description}: others write all the time; try again"
    )


async def _seen(
    dialect: Dialect, engine: AsyncEngine, question: Callable[[Connection], Result]
) -> Result:
    action = "connect to"
    foreign_errors: tuple[type[Exception], ...] = (
        SQLAlchemyError,
        OSError,
        *dialect.driver_errors,
    )
    try:
        async with engine.connect() as connection:
            await dialect.inspect_server(connection)
            await connection.rollback()
            action = "read"
            return await connection.run_sync(question)
    except foreign_errors as error:
        diagnosis, cause = dialect.diagnose(error), redacted(error)
    finally:
        await engine.dispose()
    failed = f"cannot {action} {dialect.description}"
    if diagnosis.fault is Fault.CONNECTION:
        raise connection_failure(diagnosis, failed) from cause
    raise QueryError(f"{failed}: {diagnosis.reason}") from cause
