"""SQLite through aiosqlite: pragmas, explicit BEGIN, error codes."""

import asyncio
import logging
import os
import re
import sqlite3
import stat
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

import aiosqlite
from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Executable,
    LargeBinary,
    String,
    Table,
    TypeDecorator,
    UnaryExpression,
    cast,
    event,
    func,
    literal_column,
    text,
    type_coerce,
)
from sqlalchemy import Dialect as SQLAlchemyDialect
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.operators import custom_op

from synthorg.persistence.config import SQLiteConfig
from synthorg.persistence.errors import MigrationError, PersistenceConnectionError
from synthorg.persistence.log_events import LogEvent, log_event
from synthorg.persistence.observing import ObservedDatabase
from synthorg.persistence.sql.dialects.base import (
    Dialect,
    ReadOnlyView,
    Sharing,
    held_too_long,
    insert_values,
    replacing_on_conflict,
)
from synthorg.persistence.sql.dialects.findings import Finding
from synthorg.persistence.sql.dialects.inspection import Inspection
from synthorg.persistence.sql.dialects.prefixing import write_prefix
from synthorg.persistence.sql.dialects.sqlite_compaction import compact_file
from synthorg.persistence.sql.dialects.sqlite_examination import examine
from synthorg.persistence.sql.dialects.sqlite_inspection import SQLiteInspection
from synthorg.persistence.sql.dialects.sqlite_triggers import triggers_of
from synthorg.persistence.sql.dialects.sqlite_view import view_of
from synthorg.persistence.sql.dialects.triggered import Triggered
from synthorg.persistence.sql.drivers.base import DriverPool, DriverTransaction
from synthorg.persistence.sql.drivers.cancellation import Result, run_to_completion
from synthorg.persistence.sql.drivers.faults import (
    APPEND_ONLY,
    BROKEN_CHECK,
    BROKEN_REFERENCE,
    DUPLICATE,
    LOCKED,
    MISSING_VALUE,
    OUT_OF_RANGE,
    SCHEMA_MISFIT,
    Diagnosis,
    Fault,
    damaged,
    lost,
    unusable,
)
from synthorg.persistence.sql.drivers.forks import protect_connections
from synthorg.persistence.sql.drivers.pool_state import CountingPool
from synthorg.persistence.sql.drivers.single_connection import SingleConnectionPool
from synthorg.persistence.sql.drivers.sqlite import (
    KEPT_CONNECTIONS,
    ConnectionClosedError,
    SQLitePool,
    ThreadConnection,
    ThreadTransaction,
    thread_of,
)
from synthorg.persistence.sql.drivers.sqlite_file import (
    LOG_SUFFIX,
    FileConnection,
    FileIdentity,
    FileMovedError,
)
from synthorg.persistence.sql.drivers.sqlite_forks import (
    InheritedFileClosedError,
    about_to_open,
)
from synthorg.persistence.sql.drivers.sqlite_memory import MemoryPool
from synthorg.persistence.sql.drivers.sqlite_points import Guard, PointReader, Turns
from synthorg.persistence.sql.drivers.write_lock import WriteLock

logger = logging.getLogger(__name__)

MEMORY: Final = ":memory:"
WAL: Final = "wal"
BEGIN_OPTION: Final = "synthorg_begin"
"""The execution option that names the kind of BEGIN, or suppresses it with None."""

READERS: Final = 5
PAGES_BETWEEN_CHECKPOINTS: Final = 4000
"""How long the log grows, where SQLite's 1,000 pages would have bursts of saves wait for the disk
a third longer. More would make readers search several of its indexes, of 4,062 pages each.
https://www.sqlite.org/walformat.html#the_wal_index_file_format"""

CACHED_STATEMENTS: Final = 512  # all that the repositories have, so that each is parsed once
PRIMARY_CODE: Final = 0xFF  # extended result codes keep the primary one in the lowest byte

_MOVED: Final = (
    "the database file was deleted, moved or replaced while it was open; disconnect and connect "
    "again to use what is at its path"
)

_DIAGNOSES: Final = {
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: DUPLICATE,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: DUPLICATE,
    sqlite3.SQLITE_CONSTRAINT_ROWID: DUPLICATE,
    sqlite3.SQLITE_CONSTRAINT_TRIGGER: APPEND_ONLY,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: BROKEN_REFERENCE,
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: MISSING_VALUE,
    sqlite3.SQLITE_CONSTRAINT_CHECK: BROKEN_CHECK,
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_PERM: unusable("access to the database file is denied"),
    sqlite3.SQLITE_READONLY: unusable("the database file is read-only"),
    sqlite3.SQLITE_READONLY_DBMOVED: unusable(_MOVED),
    sqlite3.SQLITE_READONLY_ROLLBACK: unusable(
        "a process that crashed has left a journal, which only who may write can roll back"
    ),
    sqlite3.SQLITE_IOERR: unusable("the database file could not be read or written"),
    sqlite3.SQLITE_CORRUPT: damaged("the database file is damaged"),
    sqlite3.SQLITE_FULL: unusable("the disk is full"),
    sqlite3.SQLITE_CANTOPEN: unusable("the database file cannot be opened"),
    sqlite3.SQLITE_AUTH: unusable("access to the database file is denied"),
    sqlite3.SQLITE_NOTADB: unusable("the file is not a SQLite database"),
}
"""By extended result code, or by the primary one. https://www.sqlite.org/rescode.html"""

_DIAGNOSES_OF_ERROR: Final = {
    re.compile(pattern): diagnosis
    for pattern, diagnosis in {
        r"no such (table|column)": SCHEMA_MISFIT,
        r"has no column named": SCHEMA_MISFIT,
        r"does not match any PRIMARY KEY or UNIQUE constraint": SCHEMA_MISFIT,
        r"cannot (modify|UPSERT|INSERT into|UPDATE) .*(view|generated column)": SCHEMA_MISFIT,
        r"integer overflow": OUT_OF_RANGE,
        r"cannot start a transaction within a transaction": Diagnosis(
            Fault.REFUSED,
            "a transaction is open on the same connection, such as one of the application's own",
        ),
    }.items()
}
"""By its text, since SQLITE_ERROR is the one code for all that has no code of its own."""


class SumOfHalves(TypeDecorator[int]):
    """A sum of whole numbers as text: that of their upper halves, a blank, that of the lower."""

    impl = String
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: SQLAlchemyDialect) -> int | None:  # noqa: ARG002 (the signature is SQLAlchemy's)
        if value is None:
            return None
        upper, lower = map(int, value.split())
        return (upper << 32) + lower


_NOT_UTF8: Final = Diagnosis(Fault.REFUSED, "a stored text is not UTF-8; mend it")
_CLOSED: Final = unusable("the connection is closed")
_CLOSED_BY_PARENT: Final = unusable(
    "this process was forked while the file was open in its parent, which has closed it meanwhile; "
    "start such processes by spawn, or disconnect before the fork"
)


class SQLiteDialect(Dialect):
    """A SQLite file, or a database in memory that ends with its connection."""

    backend_name: ClassVar[str] = "sqlite"
    inspection: Inspection = SQLiteInspection()
    rebuilds_tables: ClassVar[bool] = True
    # https://www.sqlite.org/lang_altertable.html#otheralter
    around_rebuilding: ClassVar[tuple[str, ...]] = (
        "PRAGMA legacy_alter_table = ON",
        "PRAGMA legacy_alter_table = OFF",
    )
    unnoticed_seconds: ClassVar[float] = 0.0025  # all other writers wait for it
    adopts_predecessors: ClassVar[bool] = True
    driver_errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    _config: SQLiteConfig

    def __init__(self, config: SQLiteConfig) -> None:
        self._config = config
        self._in_memory = config.path == MEMORY
        self._guard: Guard | None = None
        self.sharing = Sharing.ONE if self._in_memory else Sharing.ONE_WRITER
        self.readers_block_writers = not self._in_memory and not config.wal_mode

    @property
    def description(self) -> str:
        return f"SQLite database {self._config.path}"

    @property
    def observed(self) -> ObservedDatabase:
        return ObservedDatabase(self.backend_name, self._config.path)

    @property
    def place(self) -> str | None:
        return None if self._in_memory else os.path.realpath(self._config.path)

    @property
    def file(self) -> Path | None:
        return None if self._in_memory else _path_of(self._config.path)

    @property
    def log_bytes(self) -> int | None:
        if self._in_memory or not self._config.wal_mode:
            return None
        try:
            return Path(self._identity.path + LOG_SUFFIX).stat().st_size
        except OSError:
            return 0  # it is gone with the last connection

    @property
    def lock_timeout_seconds(self) -> float:
        return self._config.busy_timeout_seconds

    async def plan(self, connection: AsyncConnection, expression: Executable) -> Sequence[str]:
        compiled = expression.compile(dialect=connection.dialect)  # type: ignore[attr-defined]
        unknown = (None,) * len(compiled.positiontup or ())
        rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", unknown)
        return [row.detail for row in rows]

    def create_engine(self) -> AsyncEngine:
        self._identity = FileIdentity(str(_path_of(self._config.path)))
        if self._in_memory:
            pool: dict[str, Any] = {"poolclass": SingleConnectionPool}
        else:
            pool = self._file_pool(READERS + 1)
        return self._engine_with(**pool)

    def driver_pool(self, engine: AsyncEngine, write_lock: WriteLock) -> DriverPool | None:
        if not self._config.prepared_statements:
            return None
        # Of one event loop, as the engines are.
        self._guard = Guard() if self._config.unit_steps == "adaptive" else None
        reads_on_loop = self._config.point_reads == "adaptive"
        if self._in_memory:
            return MemoryPool(engine, write_lock, Turns() if reads_on_loop else None)
        points = None
        if reads_on_loop:
            points = PointReader(partial(self._open_file, check_same_thread=False))
            self.connections.add(points)
        engine = self._engine_with(**self._file_pool(KEPT_CONNECTIONS))
        return SQLitePool(engine, write_lock, points, self._guard)

    async def abandon(self, *, loop_is_closed: bool) -> None:  # noqa: ARG002 (it does not matter)
        # Their threads go on without the event loop.
        stopped = [each.stop() for each in self.connections if each.is_open]
        ends = [end for end in stopped if end is not None]
        if ends:
            await asyncio.wait(ends, timeout=self.lock_timeout_seconds)

    async def driver_transaction(
        self, connection: AsyncConnection, options: Mapping[str, Any]
    ) -> DriverTransaction | None:
        if not self._config.prepared_statements:
            return None
        thread = await thread_of(connection)
        return ThreadTransaction(connection, thread, options[BEGIN_OPTION], self._guard)

    @contextmanager
    def read_only_view(self, *, again: bool = False) -> Iterator[ReadOnlyView]:
        if self._in_memory:
            yield ReadOnlyView(self.create_engine())
            return
        path = _path_of(self._config.path)
        _refuse_unusable(path, writable=False)
        with view_of(path, again=again) as file:
            engine = create_async_engine(
                URL.create("sqlite+aiosqlite", database=str(path)),
                async_creator=lambda: ThreadConnection(file.connect),
                hide_parameters=True,
                poolclass=NullPool,
            )
            write_prefix(engine, self.table_prefix)
            event.listen(engine.sync_engine, "begin", _begin)
            yield ReadOnlyView(engine, file.has_held)

    def _engine_with(self, **pool: Any) -> AsyncEngine:
        path = MEMORY if self._in_memory else self._identity.path
        if not self._in_memory:
            _refuse_unusable(Path(path))
        connect = self._open_memory if self._in_memory else self._open_for_steps
        engine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=path),
            async_creator=lambda: ThreadConnection(connect),
            hide_parameters=True,
            **pool,
        )
        write_prefix(engine, self.table_prefix)
        protect_connections(engine, self.connections)
        event.listen(engine.sync_engine, "connect", self._configure)
        event.listen(engine.sync_engine, "begin", _begin)
        return engine

    def _open_file(self, *, check_same_thread: bool = True) -> FileConnection:
        self._identity.refuse_other_file()  # SQLite would make a new one
        about_to_open(self._identity.path)
        connection = self._connect(self._identity.path, check_same_thread=check_same_thread)
        self._identity.refuse_other_file()
        connection.identity = self._identity
        return connection

    def _open_for_steps(self) -> FileConnection:
        return self._open_file(check_same_thread=self._guard is None)

    def _open_memory(self) -> FileConnection:
        return self._connect(MEMORY, check_same_thread=False)  # the event loop's may read, too

    def _connect(self, path: str, *, check_same_thread: bool = True) -> FileConnection:
        # The driver's own transaction control would leave DDL outside, so BEGIN is sent by events.
        return sqlite3.connect(
            path,
            timeout=self.lock_timeout_seconds,
            isolation_level=None,
            check_same_thread=check_same_thread,
            cached_statements=CACHED_STATEMENTS,
            factory=FileConnection,
        )

    def _file_pool(self, size: int) -> dict[str, Any]:
        return {
            "poolclass": CountingPool,
            "pool_size": size,
            "max_overflow": 0,
            "pool_timeout": self.lock_timeout_seconds,
            # Who calls one after the other gets the same connection, which has parsed its queries.
            "pool_use_lifo": True,
        }

    async def ask_in_between(self) -> None:
        (connection,) = (each for each in self.connections if each.is_open)
        await connection.run(_ask)  # stopped, it would stop whatever others run there

    async def inspect_server(self, connection: AsyncConnection) -> None:
        # Opening is lazy: only a read finds out that the file is damaged.
        await connection.execute(text("SELECT count(*) FROM sqlite_master"))

    def upsert(
        self, table: Table, kept: Collection[str], added: Collection[str] = ()
    ) -> Executable:
        statement = insert(table).values(insert_values(table))
        return replacing_on_conflict(statement, table, kept, added)

    def examine(self, connection: Connection, tables: Collection[str]) -> Iterator[Finding]:  # noqa: ARG002 (as for the others)
        return examine(connection, self.file, self._config.synchronous)

    def utc_day(self, moment: ColumnElement[Any]) -> ColumnElement[str]:
        return func.substr(moment, 1, len("2026-03-01"), type_=String())

    def bytes_of(self, text: ColumnElement[Any]) -> ColumnElement[int]:
        return func.length(cast(text, LargeBinary))  # octet_length() is of version 3.43

    async def give_space_back(self, connection: AsyncConnection, tables: Sequence[Table]) -> None:  # noqa: ARG002 (all of a file is compacted)
        assert self.file is not None
        await connection.run_sync(compact_file, self.file)

    def unindexed(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        # https://www.sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_
        return UnaryExpression(column, operator=custom_op("+"), type_=column.type)

    def sum_of_counts(self, count: ColumnElement[Any]) -> ColumnElement[int]:
        # The sum itself ends at 64 bits, so that the upper halves are added up on their own.
        upper = func.sum(count.bitwise_rshift(literal_column("32")))
        lower = func.sum(count.bitwise_and(literal_column(str(2**32 - 1))))
        return type_coerce(upper.op("||")(literal_column("' '")).op("||")(lower), SumOfHalves())

    def diagnose_driver_error(self, error: BaseException) -> Diagnosis | None:
        if isinstance(error, ConnectionClosedError):
            return _CLOSED
        if isinstance(error, InheritedFileClosedError):
            return _CLOSED_BY_PARENT
        if isinstance(error, FileMovedError):
            return lost(_MOVED) if error.is_late else unusable(_MOVED)
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:  # then the error is of Python's module, which quotes the text
            return _NOT_UTF8 if str(error).startswith("Could not decode to UTF-8") else None
        if code == sqlite3.SQLITE_ERROR:
            found = (each for text, each in _DIAGNOSES_OF_ERROR.items() if text.search(str(error)))
            return next(found, Diagnosis(Fault.REFUSED, "the database refused it (SQLITE_ERROR)"))
        return _DIAGNOSES.get(code, _DIAGNOSES.get(code & PRIMARY_CODE))

    def begin_options(self, *, write: bool) -> Mapping[str, Any]:
        # A deferred transaction that turns into a write can meet a newer snapshot and fail.
        return {BEGIN_OPTION: "IMMEDIATE" if write else "DEFERRED"}

    def unit_options(self) -> Mapping[str, Any]:
        return self.begin_options(write=True)  # there is only one writer

    def joining_options(self) -> Mapping[str, Any]:
        return {BEGIN_OPTION: None}

    def snapshot_options(self) -> Mapping[str, Any]:
        return self.begin_options(write=False)  # its first read fixes what it sees

    async def carry_out(self, connection: AsyncConnection, step: Awaitable[Result]) -> Result:
        # SQLAlchemy drops a connection in the midst of which it is cancelled, and with it the whole
        # database in memory; and the statement's thread knows nothing of asyncio's cancellation.
        return await run_to_completion(step, interrupt=partial(_interrupt, connection))

    @contextmanager
    def migration_transaction(self, connection: Connection) -> Iterator[None]:
        # Rebuilding a table drops it, which would cascade to the rows that refer to it; and the
        # pragma is ignored inside a transaction. https://www.sqlite.org/lang_altertable.html
        _outside_transaction(connection, "PRAGMA foreign_keys=OFF")
        _wait_for_others(connection, self.migration_lock_timeout_seconds)
        held = False
        try:
            connection.execution_options(**{BEGIN_OPTION: "IMMEDIATE"})
            with connection.begin():
                held = True
                yield
                dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                if dangling:
                    tables = ", ".join(sorted({str(row[0]) for row in dangling}))
                    raise MigrationError(
                        f"the migration would leave rows without the record they refer to, in "
                        f"{tables}; nothing was changed"
                    )
        except DBAPIError as error:
            if held or self.diagnose(error) is not LOCKED:
                raise
            raise held_too_long(self.migration_lock_timeout_seconds) from None
        finally:
            _wait_for_others(connection, self.lock_timeout_seconds)
            _outside_transaction(connection, "PRAGMA foreign_keys=ON")

    def create_triggers(self, what: Triggered) -> tuple[str, ...]:
        return tuple(triggers_of(what).values())

    def drop_triggers(self, what: Triggered) -> tuple[str, ...]:
        return tuple(f"DROP TRIGGER IF EXISTS {name}" for name in self.trigger_names(what))

    def trigger_names(self, what: Triggered) -> tuple[str, ...]:
        return tuple(triggers_of(what))

    @property
    def is_there(self) -> bool:
        return self._in_memory or Path(self._config.path).exists()

    def _configure(self, connection: DBAPIConnection, _record: object) -> None:
        # https://docs.sqlalchemy.org/en/21/orm/extensions/asyncio.html#using-events-with-the-asyncio-extension
        connection.run_async(self._begin_session)

    async def _begin_session(self, connection: ThreadConnection) -> None:
        try:
            await connection.run(_set_pragmas, self._pragmas)
        except BaseException:
            await connection.close()  # the pool forgets a connection that it could not set up
            raise

    @property
    def _pragmas(self) -> Iterator[str]:
        # Before anything else, since it is not remembered in the file.
        yield "foreign_keys=ON"
        if not self._in_memory:
            # A limit for the WAL file, which otherwise stays as large as it ever was.
            yield f"journal_size_limit={self._config.journal_size_limit}"
            yield f"wal_autocheckpoint={PAGES_BETWEEN_CHECKPOINTS}"
            # FULL syncs the WAL at every commit: no acknowledged write is lost in a power cut.
            yield f"synchronous={self._config.synchronous}"

    async def adjust_storage(
        self, connection: AsyncConnection, is_current: Callable[[], Awaitable[bool]]
    ) -> None:
        if self._in_memory:
            return
        driver = await thread_of(connection)
        is_wal = await _journal_mode(driver, "") == WAL
        if is_wal is not self._config.wal_mode and await is_current():
            await (self._leave_wal_mode(driver) if is_wal else self._enter_wal_mode(driver))
            await driver.run(_open_log)

    async def _leave_wal_mode(self, connection: ThreadConnection) -> None:
        """Switch the file back to a journal that is rolled back, unless others have it open."""
        await connection.execute("PRAGMA busy_timeout=0")  # they may have it for any time
        try:
            mode = await _journal_mode(connection, "=DELETE")
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
            mode = WAL
        finally:
            await connection.execute(
                f"PRAGMA busy_timeout={round(self.lock_timeout_seconds * 1000)}"
            )
        if mode == WAL:
            log_event(logger, LogEvent.WAL_NOT_LEFT)

    async def _enter_wal_mode(self, connection: ThreadConnection) -> None:
        """Switch the file to WAL, waiting for others, as the busy timeout does not apply to it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.lock_timeout_seconds
        while True:
            try:
                mode = await _journal_mode(connection, "=WAL")
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or loop.time() > deadline:
                    raise
                await asyncio.sleep(0.01)
                continue
            if mode != WAL:
                log_event(logger, LogEvent.WAL_NOT_SUPPORTED)
            return


async def _journal_mode(connection: ThreadConnection, change: str) -> str:
    """Give the journal mode of the file, after a change of it if one is written."""
    async with connection.execute(f"PRAGMA journal_mode{change}") as cursor:
        row = await cursor.fetchone()
    return "" if row is None else str(row[0])


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & PRIMARY_CODE == sqlite3.SQLITE_BUSY


def _set_pragmas(connection: sqlite3.Connection, pragmas: Iterable[str]) -> None:
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")
    _open_log(connection)


def _open_log(connection: sqlite3.Connection) -> None:
    """Have a connection open the log, if there is one, and remember it."""
    assert isinstance(connection, FileConnection)
    connection.execute("PRAGMA schema_version")  # any read does
    connection.note_log()


async def _interrupt(connection: AsyncConnection) -> None:
    driver = (await connection.get_raw_connection()).driver_connection
    if isinstance(driver, aiosqlite.Connection):
        await driver.interrupt()


def _ask(connection: sqlite3.Connection) -> None:
    connection.execute("SELECT 1").fetchall()


def _begin(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    if isinstance(driver, ThreadConnection):
        driver.refuse_other_file()
    mode = connection.get_execution_options().get(BEGIN_OPTION, "DEFERRED")
    if mode is not None:
        connection.exec_driver_sql(f"BEGIN {mode}")


def _outside_transaction(connection: Connection, statement: str) -> None:
    connection.execution_options(**{BEGIN_OPTION: None})
    connection.exec_driver_sql(statement)
    connection.commit()


def _wait_for_others(connection: Connection, seconds: float) -> None:
    """Set how long this connection waits for a lock of another process."""
    _outside_transaction(connection, f"PRAGMA busy_timeout={round(seconds * 1000)}")


def _path_of(given: str) -> Path:
    return Path(os.path.abspath(given))  # noqa: PTH100 (resolve() would replace symbolic links)


def _refuse_unusable(path: Path, *, writable: bool = True) -> None:
    """Refuse a path that SQLite would misread, or at which it would create a file by mistake."""

    def refused(reason: str) -> PersistenceConnectionError:
        return PersistenceConnectionError(f"cannot open the SQLite database {path}: {reason}")

    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise refused("it is a folder" if path.is_dir() else "it is not a regular file")
        may_write = status.st_mode & 0o222 and os.access(path, os.W_OK)
        if (writable and not may_write) or not os.access(path, os.R_OK):
            raise refused("the file is read-only or not readable")
        # Its content is for SQLite to judge: if this process has the file open already, closing it
        # here would drop the locks. https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
    except FileNotFoundError:
        if path.is_symlink():
            raise refused("it is a symbolic link to a file that does not exist") from None
        if not path.parent.is_dir():
            raise refused(f"the folder {path.parent} does not exist") from None
    except OSError as error:
        raise refused(error.strerror or type(error).__name__) from None
    if writable and not os.access(path.parent, os.W_OK | os.X_OK):
        raise refused(f"the folder {path.parent} is not writable, which the journal needs")
