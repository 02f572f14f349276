"""A connection that makes and drops databases, whether or not a loop runs in the test's thread."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeVar

from asyncpg import PostgresError
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.servers.base import Unavailable

Result = TypeVar("Result")

CONNECT_SECONDS = 10


class Administrator:
    """Runs statements, each committed by itself, on a loop in a thread of its own.

    Args:
        url: The server's address, with an asynchronous driver of SQLAlchemy.
        options: Options of the driver.
    """

    def __init__(self, url: URL, options: Mapping[str, object] = MappingProxyType({})) -> None:
        self.url = url
        self._address = str(url)
        self._engine = create_async_engine(
            url,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=0,
            connect_args=dict(options),
        ).execution_options(no_parameters=True)
        self._runner = asyncio.Runner()
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.run(self._engine.dispose())
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()

    def connect(self, is_starting: Callable[[], bool]) -> None:
        """Open the connection.

        Args:
            is_starting: Whether a refusal may only mean that the server is not up yet.

        Raises:
            Unavailable: If the server cannot be reached or refuses the user.
        """
        while True:
            try:
                with refusals_of(self._address):
                    self.run(asyncio.wait_for(self._execute("SELECT 1"), CONNECT_SECONDS))
            except Unavailable:
                if not is_starting():
                    raise
                time.sleep(0.02)
            else:
                return

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements in one session, and give the rows of the last one."""
        return self.run(self._execute(*statements))

    def execute_each(self, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        """Run statements in one session and one trip, and give the rows of each.

        The driver has to be asyncmy, and allowed to do so.
        """
        return self.run(self._execute_each(statements))

    def execute_together(self, statements: Sequence[str]) -> None:
        """Run statements at the same time, each in a session of its own."""
        self.run(self._execute_together(statements))

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Wait for a coroutine that runs on the administrator's loop."""
        return self._thread.submit(self._runner.run, coroutine).result()

    async def _execute_together(self, statements: Sequence[str]) -> None:
        engine = create_async_engine(
            self._engine.url, isolation_level="AUTOCOMMIT", poolclass=NullPool
        )

        async def execute(statement: str) -> None:
            async with engine.connect() as connection:
                await connection.exec_driver_sql(statement)

        await asyncio.gather(*map(execute, statements))

    async def _execute(self, *statements: str) -> list[tuple[Any, ...]]:
        async with self._engine.connect() as connection:
            for statement in statements:
                result = await connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []

    async def _execute_each(self, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        async with self._engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            async with driver.cursor() as cursor:
                await cursor.execute("; ".join(statements))
                answers = [[*await cursor.fetchall()]]
                while await cursor.nextset():
                    answers.append([*await cursor.fetchall()])
                return answers


@contextmanager
def refusals_of(server: object) -> Iterator[None]:
    """Turn a refusal into `Unavailable`, in the words of the driver.

    Args:
        server: The server to name.
    """
    try:
        yield
    # SQLAlchemy hands on what asyncpg raises while it connects, as when the server is starting up.
    except (OSError, SQLAlchemyError, PostgresError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise Unavailable(f"{server}: {type(cause).__name__}: {cause}") from None
