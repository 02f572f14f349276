"""The connections of one database: checked out, in a transaction, committed, given back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from synthorg.persistence.errors import OutcomeUnknownError, PersistenceConnectionError
from synthorg.persistence.sql.dialects.base import Dialect, Sharing
from synthorg.persistence.sql.drivers.cancellation import (
    begin_to_completion,
    run_in_place,
    run_to_completion,
)
from synthorg.persistence.sql.drivers.observation import waiting_for_connection
from synthorg.persistence.sql.drivers.pool_state import has_open
from synthorg.persistence.sql.drivers.returning import has_ended
from synthorg.persistence.sql.drivers.single_connection import holding_lock
from synthorg.persistence.sql.drivers.write_lock import DISCONNECTED, WriteLock
from synthorg.persistence.sql.execution.affinity import Affinity
from synthorg.persistence.sql.execution.error_translator import ErrorTranslator
from synthorg.persistence.sql.execution.failures import redacted
from synthorg.persistence.sql.execution.own_sql import LIBRARY
from synthorg.persistence.sql.execution.retrying import pauses, pauses_for

Options = Mapping[str, Any]
"""SQLAlchemy's execution options of a connection."""

CONNECTION_LOST: Final = "the connection was lost while committing"
EXCHANGE_ATTEMPTS: Final = 8
"""How often a connection is asked for where one has just been closed, within some two seconds."""

COMMIT_UNKNOWN: Final = (
    f"{CONNECTION_LOST}, so that the changes may or may not be stored; read before writing again"
)


class Connections:
    """Hands out the connections of an engine, in the event loop and the process that made it.

    Args:
        engine: The engine.
        dialect: The kind of database.
        errors: What its errors mean.
        write_lock: The lock of those that write.
    """

    def __init__(
        self, engine: AsyncEngine, dialect: Dialect, errors: ErrorTranslator, write_lock: WriteLock
    ) -> None:
        self.engine = engine.execution_options(**{LIBRARY: True})
        self.affinity = Affinity()
        self.is_closed = False
        self._dialect = dialect
        self._errors = errors
        self._write_lock = write_lock
        self._users: set[object] = set()
        self._left = asyncio.Event()
        self._room = asyncio.Lock()
        self.make_room: Callable[[], Awaitable[bool]] | None = None
        """Closes a connection of this process that is no part of the engine's, or tells that there
        is none."""

    def check_usable(self) -> None:
        """Refuse whoever cannot use them.

        Raises:
            UsageError: If the caller is in another process or event loop.
            PersistenceConnectionError: If they are closed.
        """
        self.affinity.check()
        if self.is_closed:
            raise PersistenceConnectionError(DISCONNECTED)

    async def wait_until_unused(self) -> None:
        """Wait until none is in use, as long as those who wait for a lock would."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._dialect.lock_timeout_seconds):
                while self._users:
                    self._left.clear()
                    await self._left.wait()

    async def cut_off(self) -> None:
        """End those that are in use."""
        for user in list(self._users):
            if isinstance(user, AsyncConnection):
                with suppress(*self._errors.foreign_errors):
                    await user.invalidate()

    @contextmanager
    def in_use_by(self, user: object) -> Iterator[None]:
        """Have `wait_until_unused` wait for somebody.

        Args:
            user: Who it is.
        """
        self._users.add(user)
        try:
            yield
        finally:
            self._users.discard(user)
            self._left.set()

    @asynccontextmanager
    async def in_transaction(
        self, options: Options, *, write: bool
    ) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction, committed when it wrote and nothing failed.

        Args:
            options: How the transaction begins, and how isolated it is from others.
            write: Whether it may write.

        Raises:
            OutcomeUnknownError: If the answer to the commit was lost.
        """
        async with (
            self.idle(write=write) as connection,
            self.begun(connection, options, write=write),
        ):
            yield connection

    @asynccontextmanager
    async def idle(self, *, write: bool) -> AsyncIterator[AsyncConnection]:
        """Give a connection with no transaction begun, once the caller may use it.

        Args:
            write: Whether it is for writing.
        """
        self.check_usable()
        async with self.locked(write=write), self.checked_out() as connection:
            try:
                self.check_usable()  # it may have been closed while this waited
                yield connection
            finally:
                if self.is_closed:
                    # Its pool is gone, and would be no place to give it back to.
                    await run_to_completion(connection.invalidate())

    @asynccontextmanager
    async def checked_out(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection with no transaction begun, whoever holds the write lock."""
        connection = await self._opened()
        with self.in_use_by(connection):
            try:
                yield connection
            finally:
                # With nothing to undo, it goes back without waiting for anybody.
                run = begin_to_completion if has_ended(connection) else run_to_completion
                await run(self._give_back(connection))

    async def _opened(self) -> AsyncConnection:
        """Check a connection out; while none can be had for the moment, try again for a time."""
        for pause in pauses_for(self._dialect.failover_timeout_seconds):
            try:
                return await self._opened_or_exchanged()
            except self._errors.foreign_errors as error:
                if pause is None or not self._errors.diagnose(error).may_pass:
                    raise
            await asyncio.sleep(pause)
            self.check_usable()
        raise AssertionError("the last pause is None")

    async def _opened_or_exchanged(self) -> AsyncConnection:
        """Check a connection out, if need be in the place of one that is no part of the engine's.

        The engine's own serve everything, so there has to be one as long as there is any.
        """
        try:
            return await self._opened_at_once()
        except self._errors.foreign_errors as error:
            if self.make_room is None or not self._is_without_room(error):
                raise
            async with self._room:
                has_others = has_open(self.engine.sync_engine.pool)
                if not has_others and not await self.make_room():
                    raise
                if not has_others:
                    return await self._opened_soon()
        return await self._opened_at_once()

    async def _opened_soon(self) -> AsyncConnection:
        """Check a connection out once the server has noticed that there is room."""
        for pause in pauses(EXCHANGE_ATTEMPTS):
            try:
                return await self._opened_at_once()
            except self._errors.foreign_errors as error:
                if pause is None or not self._is_without_room(error):
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("the last pause is None")

    def _is_without_room(self, error: Exception) -> bool:
        diagnosis = self._errors.diagnose(error)
        return diagnosis.is_crowd and diagnosis.may_pass

    async def _opened_at_once(self) -> AsyncConnection:
        connection = self.engine.connect()
        with holding_lock(), waiting_for_connection():
            await connection.start()
        return connection

    @asynccontextmanager
    async def begun(
        self, connection: AsyncConnection, options: Options, *, write: bool
    ) -> AsyncIterator[None]:
        """Have the first statement begin a transaction, committed as `in_transaction` says.

        Args:
            connection: The connection.
            options: How the transaction begins.
            write: Whether it is committed.
        """
        # As options of the engine, they would be sent to the server before there is something to
        # close, so that a cancellation meanwhile would leave the connection checked out.
        await connection.execution_options(**options)
        yield
        if not write:
            return
        try:
            await self.commit(connection, connection.commit())
        except BaseException:
            # SQLAlchemy takes a transaction whose COMMIT failed for ended, and would hand it on to
            # the next user; without it, the pool rolls back whatever is open on the connection.
            await run_to_completion(connection.rollback())
            raise

    async def commit(
        self,
        connection: AsyncConnection,
        commit: Coroutine[Any, Any, None],
        *,
        in_place: bool = False,
    ) -> None:
        """Commit, also when the caller is cancelled meanwhile.

        Args:
            connection: The connection.
            commit: What commits.
            in_place: Whether that limits how long it waits, so that `run_in_place` is enough.

        Raises:
            OutcomeUnknownError: If the answer was lost.
        """
        try:
            if in_place:
                await run_in_place(commit)
            else:
                with self._dialect.answer_timeout(connection):
                    await run_to_completion(commit)
        except self._errors.foreign_errors as error:
            if not self._errors.diagnose(error).answer_is_lost:
                raise
            cause = redacted(error)
        else:
            return
        raise OutcomeUnknownError(COMMIT_UNKNOWN) from cause

    def locked(self, *, write: bool) -> AbstractAsyncContextManager[None]:
        """Hold the write lock, where the database needs one.

        Args:
            write: Whether it is for writing.
        """
        sharing = self._dialect.sharing
        if sharing is Sharing.ONE or (write and sharing is Sharing.ONE_WRITER):
            return self._write_lock
        return nullcontext()

    async def _give_back(self, connection: AsyncConnection) -> None:
        """Roll back what was not committed; a cancelled caller must not leave that undone."""
        # What is lost now says nothing of what was done before.
        with suppress(*self._errors.foreign_errors):
            try:
                with self._dialect.answer_timeout(connection):
                    await connection.close()
            except BaseException:
                await connection.invalidate()
                raise
