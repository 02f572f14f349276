"""The fast route of SQLite: one trip to a connection's thread runs all calls that wait."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from itertools import chain
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import aiosqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from synthorg.persistence.sql.drivers.base import (
    Call,
    DriverPool,
    DriverStatement,
    DriverTransaction,
    Executions,
    transaction_scope,
)
from synthorg.persistence.sql.drivers.batching import Batcher, Outcome
from synthorg.persistence.sql.drivers.cancellation import (
    SECONDS_BETWEEN_INTERRUPTS,
    run_to_completion,
)
from synthorg.persistence.sql.drivers.pool_state import PoolState
from synthorg.persistence.sql.drivers.sqlite_file import FileConnection, FileMovedError
from synthorg.persistence.sql.drivers.sqlite_points import Guard, PointReader, is_large, switches
from synthorg.persistence.sql.drivers.write_lock import WriteLock

if TYPE_CHECKING:
    from queue import SimpleQueue

LIST_CONNECTIONS: Final = 3
KEPT_CONNECTIONS: Final = 2 + LIST_CONNECTIONS
"""One connection that writes, one for single rows, and some for lists, which take longer."""

ROWS_OF_VALUES: Final = (500, 50)
"""How many rows a statement writes where there are as many; few, since each is prepared."""

Result = TypeVar("Result")


class ConnectionClosedError(sqlite3.OperationalError):
    """A connection was used after it was closed, or in a child that has not its thread."""

    def __init__(self) -> None:
        super().__init__("connection closed")  # by which SQLAlchemy knows it as lost


class ThreadConnection(aiosqlite.Connection):
    """A connection that runs a whole function on its thread, in one trip there and back.

    The thread is its own. The driver's is the connection itself before aiosqlite 0.22; it logs the
    repr of each call with its values, and holds each result, which may be long, until the next.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        # A process must be able to end without having closed its connections.
        self._worker = Thread(target=_work, args=(self._tx,), daemon=True)
        self._process = os.getpid()
        self._end: asyncio.Future[Any] | None = None

    def __await__(self) -> Generator[Any, None, Self]:
        self._worker.start()
        return self._open().__await__()

    async def run(
        self,
        function: Callable[..., Result],
        *arguments: Any,
        stop: bool = False,
    ) -> Result:
        """Run a function on the thread; when cancelled, return only after it has ended.

        Args:
            function: What to do; it is given the connection first.
            arguments: What else it is given.
            stop: Whether a cancellation stops the statement that is running.
        """
        try:
            result: Result = await self._execute(function, self._connection, *arguments)
        except asyncio.CancelledError:
            await run_to_completion(self._finish(stop=stop))
            raise
        return result

    def run_here(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run a function on the caller's thread, while nothing runs on that of the connection.

        Args:
            function: What to do; it is given the connection first.
            arguments: What else it is given.
        """
        if not self.is_open:
            raise ConnectionClosedError
        return function(self._connection, *arguments)

    def refuse_other_file(self) -> None:
        """Make sure that the file is at its path, as `FileConnection` does."""
        if isinstance(self._connection, FileConnection):
            self._connection.refuse_other_file()

    async def _finish(self, *, stop: bool) -> None:
        """Wait until the thread, which works in order, has done what it was given."""
        finished = asyncio.ensure_future(self._execute(_nothing))
        while not finished.done():
            if stop:
                await self.interrupt()  # again, since the statement may not have begun
            await asyncio.wait([finished], timeout=SECONDS_BETWEEN_INTERRUPTS)
        finished.exception()  # seen: it was closed meanwhile

    async def interrupt(self) -> None:
        """Stop the statement that is running, if any."""
        if self._connection is not None and not self._is_inherited:
            self._connection.interrupt()

    async def close(self) -> None:
        """Close the connection after the calls under way, unless it is the parent's."""
        end = None if self._connection is None else self.stop()
        if end is not None:
            await asyncio.shield(end)  # others may wait for it

    def stop(self) -> asyncio.Future[Any] | None:
        """Have the thread close the connection and end, unless it is the parent's."""
        if self._running and not self._is_inherited:
            self._running = False
            with suppress(RuntimeError):  # no event loop is running that could wait for it
                self._end = asyncio.get_running_loop().create_future()
            self._tx.put_nowait((self._end, self._close_there))
        return self._end

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._connection is not None and self._running and not self._is_inherited

    @property
    def _is_inherited(self) -> bool:
        return os.getpid() != self._process

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not self.is_open:
            raise ConnectionClosedError
        # In a list, so that it can be taken away from the thread, which may still hold that.
        outcome = await self._sent(lambda: [fn(*args, **kwargs)])
        return outcome.pop()

    async def _open(self) -> Self:
        try:
            await self._sent(self._open_there)
        except BaseException:
            self.stop()
            raise
        return self

    def _sent(self, call: Callable[[], Any]) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((future, call))
        return future

    def _open_there(self) -> None:
        self._connection = self._connector()

    def _close_there(self) -> object:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        return _END


_END: Final = object()
"""What the last call of a thread returns."""


def _work(calls: "SimpleQueue[tuple[asyncio.Future[Any] | None, Callable[[], Any]]]") -> None:
    """Run calls in their order, as the thread of a connection."""
    while _has_run(*calls.get()) is not _END:
        pass  # and hold nothing of a call until the next


def _has_run(future: asyncio.Future[Any] | None, call: Callable[[], Any]) -> object:
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 (it is told to who waits for the call)
        _tell(future, None, error)
        return None
    _tell(future, result, None)
    return result


def _tell(future: asyncio.Future[Any] | None, result: Any, error: BaseException | None) -> None:
    if future is not None:
        with suppress(RuntimeError):  # its event loop is closed
            future.get_loop().call_soon_threadsafe(_settle, future, result, error)


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return  # cancelled
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


async def thread_of(connection: AsyncConnection) -> ThreadConnection:
    """Give the connection behind one of SQLAlchemy's."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, ThreadConnection)
    return driver


class SQLitePool(DriverPool):
    """Prepared statements on the threads of a file database's connections.

    Args:
        engine: An engine for these connections alone, which makes `ThreadConnection`s.
        write_lock: The lock of those that write.
        points: What reads single rows without a thread; None if nothing does.
        guard: What admits steps of units without a thread; None if nothing does.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        write_lock: WriteLock,
        points: PointReader | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._engine = engine
        self._points = points
        self._guard = guard
        self._write_lock = write_lock
        self._connections: list[AsyncConnection] = []
        self._writes = Batcher([])
        self._batchers: tuple[Batcher, ...] = ()

    async def open(self) -> None:
        """Connect, as `DriverPool` says."""
        write, row, *lists = [await self._connect() for _ in range(KEPT_CONNECTIONS)]
        self._writer = write
        self._writes = Batcher([WriteConnection(write, self._write_lock)])
        self._rows = Batcher([ReadConnection(row)])
        self._lists = Batcher([ReadConnection(connection) for connection in lists])
        self._batchers = (self._writes, self._rows, self._lists)
        if self._points is not None:
            await row.run(_open_beside, self._points)

    async def close(self) -> None:
        """Close the connections, as `DriverPool` says."""
        self._stop_points()
        for batcher in self._batchers:
            await batcher.finish()
        for connection in self._connections:
            await (await thread_of(connection)).interrupt()  # of a unit that takes too long
        for connection in self._connections:
            await connection.close()
        await self._engine.dispose()

    async def abandon(self) -> None:
        """Let go of the connections, as `DriverPool` says."""
        self._stop_points()
        for connection in self._connections:
            await connection.invalidate()
        await self._engine.dispose()

    async def fetch(self, call: Call) -> Sequence[Sequence[Any]]:
        """Run a statement that reads, as `DriverPool` says."""
        statement = call.statement
        # Where a trip is under way, many read side by side, and the next one costs each less.
        if statement.finds_one and self._points is not None and not self._rows.in_use:
            rows = await self._points.read(call)
            if rows is not None:
                return statement.decode(rows)
        batcher = self._lists if statement.scans else self._rows
        return statement.decode(await batcher.run(call))

    async def execute(self, call: Call) -> int:
        """Run a statement that writes, as `DriverPool` says."""
        await self._write_lock.wait_for_own()  # before others wait behind it
        row_count: int = await self._writes.run(call)
        return row_count

    @property
    def state(self) -> PoolState:
        """How busy the connections are; a unit has the one that writes."""
        writing = self._write_lock.is_held and not self._writes.in_use
        return PoolState(
            in_use=sum([batcher.in_use for batcher in self._batchers], start=int(writing)),
            open=len(self._connections),
            limit=KEPT_CONNECTIONS,
            waiting=sum([batcher.waiting for batcher in self._batchers]),
            waiting_writes=self._writes.waiting,
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[DriverTransaction]:
        """Begin a transaction, as `DriverPool` says."""
        connection = self._connections[0]
        transaction = ThreadTransaction(connection, self._writer, "IMMEDIATE", self._guard)
        async with self._write_lock:
            try:
                async with transaction_scope(transaction):
                    yield transaction
            finally:
                if connection.in_transaction():  # in the eyes of SQLAlchemy, after own SQL
                    with suppress(SQLAlchemyError):
                        await run_to_completion(connection.rollback())

    def _stop_points(self) -> None:
        if self._points is not None:
            self._points.stop()

    async def _connect(self) -> ThreadConnection:
        connection = await self._engine.connect()
        self._connections.append(connection)
        return await thread_of(connection)


class ThreadTransaction(DriverTransaction):
    """A transaction on the thread of a connection, one trip for each step.

    Args:
        connection: The connection, which this alone uses.
        driver: The driver's own behind it.
        mode: The kind of BEGIN.
        guard: Admits steps that are done on the event loop's own thread; None for none.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        driver: ThreadConnection,
        mode: str,
        guard: Guard | None = None,
    ) -> None:
        self.connection = connection
        self._connection = driver
        self._guard = guard
        self._begin = f"BEGIN {mode}"
        self._begun = False
        self._savepoints = 0

    async def begin(self) -> None:
        """Begin it, as `DriverTransaction` says."""
        if not self._begun:
            await self._step(_run)

    async def fetch(self, call: Call) -> Sequence[Sequence[Any]]:
        """Run a statement that reads, as `DriverTransaction` says."""
        run = self._row_step if call.statement.finds_one else self._step
        return call.statement.decode(await run(_read, call))

    async def execute(self, call: Call) -> int:
        """Run a statement that writes, as `DriverTransaction` says."""
        run = self._row_step if call.statement.inserts else self._step
        row_count: int = await run(_write, call)
        return row_count

    async def execute_many(
        self, statement: DriverStatement, values: Iterable[Sequence[Any]]
    ) -> None:
        """Run a statement many times, as `DriverTransaction` says."""
        # Converted here, so that the thread, once it writes, seldom has to wait for Python.
        rows = values.every() if isinstance(values, Executions) else list(values)
        await self._step(_write_many, statement, rows)

    async def begin_savepoint(self) -> None:
        """Set a savepoint, as `DriverTransaction` says."""
        await self._step(_run, f"SAVEPOINT savepoint_{self._savepoints + 1}")
        self._savepoints += 1

    async def end_savepoint(self, *, undo: bool) -> None:
        """Release the innermost savepoint, as `DriverTransaction` says."""
        name = f"savepoint_{self._savepoints}"
        self._savepoints -= 1
        await self._step(_run, *[f"ROLLBACK TO {name}"] * undo, f"RELEASE {name}")

    async def commit(self) -> None:
        """Commit, as `DriverTransaction` says."""
        if self._begun:
            await self._connection.run(_commit)

    async def rollback(self) -> None:
        """Undo all, as `DriverTransaction` says."""
        if self._begun:
            with suppress(ConnectionClosedError):  # which has rolled back
                await self._connection.run(_roll_back)

    async def _row_step(
        self, function: Callable[[FileConnection, Call], Result], call: Call
    ) -> Result:
        """Read or write a single row, on the event loop's own thread where that is admitted.

        It neither waits for a lock, which the transaction has, nor for the disk, which is written
        when it is committed; but what it needs may have to be read from there.
        """
        guard = self._guard
        if guard is None or not self._begun or is_large(call) or not await guard.admits():
            return await self._step(function, call)
        before, began = switches(), perf_counter()
        try:
            result: Result = self._connection.run_here(_next, function, call)
            return result
        finally:
            guard.note(before, began)

    async def _step(self, function: Callable[..., Result], *arguments: Any) -> Result:
        if self._begun:
            return await self._connection.run(_next, function, *arguments, stop=True)
        self._begun = True
        return await self._connection.run(_first, self._begin, function, *arguments, stop=True)


class ReadConnection:
    """Runs queries one after the other in one trip.

    Args:
        connection: The connection, which this alone uses.
    """

    def __init__(self, connection: ThreadConnection) -> None:
        self._connection = connection

    async def run_one(self, call: Call) -> Outcome:
        """Run a query, as `BatchingConnection` says."""
        return await self._connection.run(_read_there, _read, call, stop=True)

    async def run(self, calls: Sequence[Call]) -> Sequence[Outcome]:
        """Run queries, as `BatchingConnection` says."""
        return await self._connection.run(_read_there, run_each, _read, calls, stop=True)


class WriteConnection:
    """Runs writes in one transaction and one commit; each still fails alone.

    Args:
        connection: The connection, which this alone uses.
        write_lock: The lock of those that write.
    """

    def __init__(self, connection: ThreadConnection, write_lock: WriteLock) -> None:
        self._connection = connection
        self._write_lock = write_lock

    async def run_one(self, call: Call) -> Outcome:
        """Run a write, as `BatchingConnection` says."""
        async with self._write_lock:
            return await self._connection.run(_write_durably, call)

    async def run(self, calls: Sequence[Call]) -> Sequence[Outcome]:
        """Run writes, as `BatchingConnection` says."""
        await self._write_lock.acquire(len(calls))
        try:
            if len(calls) > 1:
                with suppress(sqlite3.Error):
                    return await self._connection.run(_write_together, calls)
            # The whole transaction is gone, for which one of them may be to blame.
            return await self._connection.run(run_each, _write_durably, calls)
        finally:
            self._write_lock.release()


def _nothing() -> None:
    pass


def _open_beside(_connection: FileConnection, points: PointReader) -> None:
    points.open()


def _run(connection: FileConnection, *statements: str) -> None:
    for statement in statements:
        connection.execute(statement)


def _commit(connection: FileConnection) -> None:
    try:
        connection.refuse_other_file()
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)  # such as for a full disk, where the transaction would stay open
        raise
    connection.refuse_lost_writes()


def _roll_back(connection: FileConnection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _first(
    connection: FileConnection,
    begin: str,
    function: Callable[..., Result],
    *arguments: Any,
) -> Result:
    """Begin a transaction with its first step, in the same trip."""
    connection.refuse_other_file()
    connection.execute(begin)
    return function(connection, *arguments)


def _next(connection: FileConnection, function: Callable[..., Result], *arguments: Any) -> Result:
    """Go on in a transaction, unless it is gone: then each statement would commit by itself."""
    if not connection.in_transaction:  # https://www.sqlite.org/lang_transaction.html
        raise sqlite3.OperationalError("the transaction was rolled back")
    return function(connection, *arguments)


def _read(connection: FileConnection, call: Call) -> list[Any]:
    return connection.execute(call.statement.sql, call.values).fetchall()


def _write(connection: FileConnection, call: Call) -> int:
    return connection.execute(call.statement.sql, call.values).rowcount


def _read_there(
    connection: FileConnection, function: Callable[..., Result], *arguments: Any
) -> Result:
    """Read what is in the file at its path, and in no other."""
    connection.refuse_other_file()
    return function(connection, *arguments)


def _write_durably(connection: FileConnection, call: Call) -> int:
    """Write what whoever opens the file finds."""
    connection.refuse_other_file()
    row_count = _write(connection, call)
    connection.refuse_lost_writes()
    return row_count


def _write_many(
    connection: FileConnection, statement: DriverStatement, rows: Sequence[Sequence[Any]]
) -> None:
    connection.execute("SAVEPOINT many")
    try:
        _write_rows(connection, statement, rows)
    except BaseException:
        if connection.in_transaction:  # https://www.sqlite.org/lang_transaction.html
            _run(connection, "ROLLBACK TO many", "RELEASE many")
        raise
    connection.execute("RELEASE many")


def _write_rows(
    connection: FileConnection, statement: DriverStatement, rows: Sequence[Sequence[Any]]
) -> None:
    """Write many rows by each statement, which costs less, and holds up no other thread."""
    if statement.inserts and rows:
        values = len(rows[0])
        most = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // values
        for size in [size for size in ROWS_OF_VALUES if size <= most]:
            while len(rows) >= size and (sql := _of_rows(statement.sql, values, size)):
                connection.execute(sql, list(chain.from_iterable(rows[:size])))
                rows = rows[size:]
    connection.executemany(statement.sql, rows)


@lru_cache(maxsize=128)
def _of_rows(sql: str, values: int, rows: int) -> str | None:
    """Make of a statement that inserts one row the one that inserts several.

    None if it does more with the values than to insert them, as a type of somebody else's may ask.
    """
    row = f"({', '.join('?' * values)})"
    beginning, found, end = sql.partition(f" VALUES {row}")
    if not found:
        return None
    return f"{beginning} VALUES {', '.join([row] * rows)}{end}"


def run_each(
    connection: FileConnection,
    function: Callable[[FileConnection, Call], Outcome],
    calls: Sequence[Call],
) -> list[Outcome]:
    """Run calls one after the other, each with an outcome of its own."""
    outcomes: list[Outcome] = []
    for call in calls:
        try:
            outcomes.append(function(connection, call))
        except Exception as error:  # noqa: BLE001 (it is the outcome)
            outcomes.append(error)
    return outcomes


def _write_together(connection: FileConnection, calls: Sequence[Call]) -> list[Outcome]:
    try:
        connection.refuse_other_file()
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        return [error] * len(calls)
    outcomes: list[Outcome] = []
    try:
        for call in calls:
            try:
                outcomes.append(_write(connection, call))
            except Exception as error:  # (it is the outcome)
                if not connection.in_transaction:
                    raise  # https://www.sqlite.org/lang_transaction.html: some errors roll back
                outcomes.append(error)
    except BaseException:
        _roll_back(connection)
        raise
    try:
        _commit(connection)
    except FileMovedError as error:
        return [error] * len(calls)  # to write them again would be twice
    return outcomes
