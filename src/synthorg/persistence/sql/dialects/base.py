"""What a dialect answers: everything in which one database differs from another."""

import enum
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Final, final
from weakref import WeakSet

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Executable,
    Select,
    Table,
    Update,
    bindparam,
    func,
    select,
    tuple_,
)
from sqlalchemy.exc import DBAPIError, ResourceClosedError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from synthorg.persistence.config import Reads, ServerConfig, SQLiteConfig
from synthorg.persistence.errors import MigrationError, PersistenceConnectionError
from synthorg.persistence.observing import ObservedDatabase
from synthorg.persistence.sql.dialects.findings import Finding
from synthorg.persistence.sql.dialects.inspection import Inspection
from synthorg.persistence.sql.dialects.positions import Position
from synthorg.persistence.sql.dialects.triggered import Triggered
from synthorg.persistence.sql.drivers.answer_timeout import (
    AnswerTimeout,
    driver_connection,
    hang_up,
)
from synthorg.persistence.sql.drivers.base import DriverPool, DriverTransaction, NotWritten
from synthorg.persistence.sql.drivers.cancellation import Result, run_to_completion
from synthorg.persistence.sql.drivers.faults import (
    SILENT,
    Diagnosis,
    Fault,
    UnusableError,
    lost,
    unusable,
)
from synthorg.persistence.sql.drivers.pool_state import CountingPool
from synthorg.persistence.sql.drivers.server_driver import ServerDriver
from synthorg.persistence.sql.drivers.sockets import close_without_loop
from synthorg.persistence.sql.drivers.write_lock import WriteLock
from synthorg.persistence.sql.tables import record_key

ISOLATION_LEVEL: Final = "READ COMMITTED"
"""That of transactions on servers that ask for no other."""

READ_ONLY_OPTION: Final = "synthorg_read_only"
"""The execution option of a transaction that writes nothing."""

LARGE_LOG: Final = 256 * 2**20
"""From how many bytes on a write-ahead log is worth a look."""

SOMEBODY: Final = "another process"
"""The holder of a lock when the database does not tell."""


_OF_ANY_DIALECT: Final = {
    PoolTimeoutError: replace(
        unusable(
            "no connection of the pool became free in time; end units of work sooner, or have a "
            "larger pool_size or pool_timeout_seconds"
        ),
        is_crowd=True,
    ),
    ResourceClosedError: unusable("the connection is closed"),
}
"""By SQLAlchemy's own class."""


class Sharing(enum.Enum):
    """How many transactions of one process may run at the same time."""

    ANY = enum.auto()
    """The server sorts them out."""

    ONE_WRITER = enum.auto()
    """One that writes, beside any number that read."""

    ONE = enum.auto()
    """One at a time, since all share one connection."""


def _always() -> bool:
    return True


@dataclass(frozen=True)
class ReadOnlyView:
    """A way to look at a database that changes nothing.

    Attributes:
        engine: The engine for it.
        has_held: Tells afterwards whether what was seen was one state of the database.
    """

    engine: AsyncEngine
    has_held: Callable[[], bool] = _always


class Dialect(ABC):
    """One kind of database. A difference that shows elsewhere belongs into a method here."""

    backend_name: ClassVar[str]
    """The backend name in the configuration."""

    inspection: Inspection
    """The questions that an operator can ask."""

    sharing: Sharing = Sharing.ANY

    readers_block_writers: bool = False
    """Whether a commit waits until all transactions that have read are over."""

    driver_errors: tuple[type[Exception], ...] = ()
    """What the driver raises where SQLAlchemy does not wrap it, as in a connect hook."""

    _config: SQLiteConfig | ServerConfig

    @property
    def description(self) -> str:
        """The database in words, without secrets, for messages."""
        return self._config.description

    @property
    def reads(self) -> Reads:
        """Where reads go that may be answered by a replica."""
        return "primary"

    @property
    def replica_wait_seconds(self) -> float:
        """How long a replica is waited for that is not as far as it has to be."""
        return 0

    @property
    @abstractmethod
    def observed(self) -> ObservedDatabase:
        """The database, for those who observe what is done on it."""

    @property
    @abstractmethod
    def place(self) -> str | None:
        """Where the database is, for whoever asks; None if it ends with its connection."""

    @property
    @abstractmethod
    def lock_timeout_seconds(self) -> float:
        """How long a call waits for a lock or a connection that others hold."""

    @property
    def table_prefix(self) -> str:
        """What the names of this library's tables begin with in the database."""
        return self._config.table_prefix

    @property
    def skips_unreadable(self) -> bool:
        """Whether lists leave out stored records that cannot be read."""
        return self._config.unreadable_records == "skip"

    @property
    def slow_call_seconds(self) -> float | None:
        """From how long on a call is slow; None for never."""
        return self._config.slow_call_seconds

    @property
    def explains_slow_calls(self) -> bool:
        """Whether to ask for the plans of slow calls."""
        return self._config.explain_slow_calls

    @abstractmethod
    async def plan(self, connection: AsyncConnection, expression: Executable) -> Sequence[str]:
        """Ask how a statement would be carried out, without carrying it out.

        Args:
            connection: A connection, in a transaction that is rolled back.
            expression: The statement; the values of its parameters are not known.

        Returns:
            The plan in the words of the database, line by line.
        """

    @abstractmethod
    def create_engine(self) -> AsyncEngine:
        """Make the engine, without connecting.

        Raises:
            PersistenceConnectionError: If the configuration cannot lead to a database.
        """

    @cached_property
    def connections(self) -> WeakSet[Any]:
        """The connections of the driver that were made, as long as they are used."""
        return WeakSet()

    async def abandon(self, *, loop_is_closed: bool) -> None:
        """End the sessions of connections whose event loop no longer runs.

        Args:
            loop_is_closed: Whether it never will again.
        """
        for connection in list(self.connections):
            hang_up(connection)
            if loop_is_closed:
                close_without_loop(connection)

    def driver_pool(self, engine: AsyncEngine, write_lock: WriteLock) -> DriverPool | None:  # noqa: ARG002 (used where there is one)
        """Make the fast route, unless it is switched off or does not pay for this driver.

        Args:
            engine: The database's own, which the fast route shares where it has one connection.
            write_lock: The lock of those that write.
        """
        return None

    async def driver_transaction(
        self,
        connection: AsyncConnection,  # noqa: ARG002 (used where there is one)
        options: Mapping[str, Any],  # noqa: ARG002 (likewise)
    ) -> DriverTransaction | None:
        """Make a transaction past SQLAlchemy, unless that is switched off or does not pay.

        Args:
            connection: The connection, with no transaction begun.
            options: The execution options under which it would begin through SQLAlchemy.
        """
        return None

    async def ask_in_between(self) -> None:
        """Ask for a sign of life on the only connection, whoever has the write lock.

        Raises:
            Exception: If there is no answer.
        """
        raise NotImplementedError(f"{self.backend_name} has more than one connection")

    async def inspect_server(self, connection: AsyncConnection) -> None:  # noqa: B027 (most dialects have nothing to check)
        """Check on the first connection that the database can keep the library's promises.

        Raises:
            PersistenceConnectionError: If it cannot.
        """

    @abstractmethod
    def upsert(
        self, table: Table, kept: Collection[str], added: Collection[str] = ()
    ) -> Executable:
        """Build the statement that inserts a row, or replaces the one with its primary key.

        Args:
            table: The table; the statement has a bind parameter for each insertable column.
            kept: Columns that keep the value of an existing row.
            added: Columns whose new value is added to that of an existing row.

        Returns:
            A statement that never touches a row which owns another unique key.
        """

    def insert_arrays(self, table: Table) -> Executable:
        """Build the statement that inserts many rows, where the driver can send arrays.

        Args:
            table: The table; the statement has a bind parameter for each insertable column, which
                takes the values of all rows in that column: an array, or texts that are joined.
        """
        raise NotImplementedError(f"{self.backend_name} has no arrays to send")

    def upsert_arrays(self, table: Table, kept: Collection[str]) -> Executable:
        """Build the statement that inserts or replaces many rows, where the driver sends arrays.

        Args:
            table: The table, as for `insert_arrays`.
            kept: As for `upsert`.

        Returns:
            A statement that fails when two of the rows have the same key.
        """
        raise NotImplementedError(f"{self.backend_name} has no arrays to send")

    def after_position(
        self,
        columns: Sequence[ColumnElement[Any]],
        position: Sequence[ColumnElement[Any]],
        *,
        descending: bool,
    ) -> ColumnElement[bool]:
        """Build the condition for the rows after a position in an order (keyset paging).

        Args:
            columns: The columns that order the rows.
            position: The values of a row in those columns.
            descending: Whether the order is from last to first.
        """
        row, last = tuple_(*columns), tuple_(*position)
        return row < last if descending else row > last

    def in_order(
        self,
        expression: Select[Any],
        table: Table,  # noqa: ARG002 (used where the optimizer needs to be told)
        order_by: Sequence[str],  # noqa: ARG002 (likewise)
    ) -> Select[Any]:
        """Have a list that goes on after a position find it by an index in the order of the list.

        Args:
            expression: The list.
            table: Its table.
            order_by: The columns that order it.
        """
        return expression

    @abstractmethod
    def utc_day(self, moment: ColumnElement[Any]) -> ColumnElement[str]:
        """Build the date of a moment in UTC, as in 2026-03-01.

        Args:
            moment: The column of the moment.
        """

    def bytes_of(self, text: ColumnElement[Any]) -> ColumnElement[int]:
        """Build the number of bytes of a text.

        Args:
            text: The column of the text.
        """
        return func.octet_length(text)

    def sum_of_counts(self, count: ColumnElement[Any]) -> ColumnElement[int]:
        """Build the sum of whole numbers, exact also beyond 64 bits.

        Args:
            count: The column of the numbers, none of which is negative.
        """
        return func.sum(count)

    def sum_of_amounts(self, amount: ColumnElement[Any]) -> ColumnElement[float]:
        """Build the sum of floating-point numbers.

        Args:
            amount: The column of the numbers, none of which is negative.

        Returns:
            An expression that fails, or is infinite, where the sum is beyond the largest of them.
        """
        return func.sum(amount)

    @abstractmethod
    def diagnose_driver_error(self, error: BaseException) -> Diagnosis | None:
        """Tell by its code what an error of the driver means, or None for an unknown code."""

    duplicate_may_pass: ClassVar[bool] = False
    """Whether an upsert may collide on another unique key with one of the same row, and succeed
    when it is run again."""

    failure_ends_transaction: ClassVar[bool] = False
    """Whether a statement that fails leaves a transaction in which no other can succeed."""

    largest_payload: int | None = None
    """The most bytes that one statement may have with its values, where the server has a limit."""

    def begin_options(self, *, write: bool) -> Mapping[str, Any]:  # noqa: ARG002 (used by dialects whose BEGIN differs)
        """Give the execution options under which a transaction begins."""
        return {}

    def unit_options(self) -> Mapping[str, Any]:
        """Give the execution options of a unit of work, in which no update may be lost.

        A unit reads and then writes what follows from it. Below SERIALIZABLE another one could
        write in between, which some databases do not even report.
        """
        return {"isolation_level": "SERIALIZABLE"}

    @property
    def ordering(self) -> Update | None:
        """What a unit of work that writes ends with, where its isolation level is not enough."""
        return None

    @property
    def bookkeeping(self) -> Collection[str]:
        """The names of tables that the dialect keeps for itself."""
        return ()

    def joining_options(self) -> Mapping[str, Any]:
        """Give the execution options under which SQLAlchemy begins no transaction of its own."""
        return {}

    def snapshot_options(self) -> Mapping[str, Any]:
        """Give the execution options of a transaction that sees one state and writes nothing."""
        return {"isolation_level": "REPEATABLE READ", READ_ONLY_OPTION: True}

    def replicas(self) -> "Sequence[Dialect]":
        """Give a dialect for each replica that may answer, which has no fast route of its own."""
        return ()

    position_question: ClassVar[str] = ""
    """Asks a server how far it has come, where there may be replicas."""

    def position(self, answer: Sequence[Any]) -> Position | None:
        """Read the answer to the question for a server's position; None where it has none.

        Args:
            answer: The one row of it.
        """
        raise NotImplementedError(f"{self.backend_name} has no replicas")

    @property
    def keeps_sessions(self) -> bool:
        """Whether what was found out on a connection holds for its next transaction."""
        return True

    async def driver(self, connection: AsyncConnection) -> ServerDriver | None:  # noqa: ARG002 (used where there is one)
        """Give the driver's own connection, for one statement past SQLAlchemy, where that pays.

        Args:
            connection: The connection, with no transaction begun.
        """
        return None

    answer_timeout_seconds: float | None = None
    """How long to wait for the answer to one statement; None for any time."""

    failover_timeout_seconds: float = 0
    """How long to go on trying to open a connection, where that may pass."""

    @property
    def survives_failover(self) -> bool:
        """Whether whatever is safe to repeat is run again on another connection."""
        return self.failover_timeout_seconds > 0

    fit_since: float = 0.0
    """By the monotonic clock: when connections must have been opened to be used again."""

    def give_up_connections(self) -> None:
        """Have all connections replaced before they are used again."""
        self.fit_since = time.monotonic()

    def answer_timeout(self, connection: AsyncConnection) -> AnswerTimeout:
        """Limit how long a step on a connection is waited for.

        Args:
            connection: The connection.
        """
        return AnswerTimeout(driver_connection(connection), self.answer_timeout_seconds)

    @final
    async def step(self, connection: AsyncConnection, step: Awaitable[Result]) -> Result:
        """Await a step on a connection as `carry_out` does, for as long as an answer may take."""
        with self.answer_timeout(connection):
            return await self.carry_out(connection, step)

    async def carry_out(
        self,
        connection: AsyncConnection,  # noqa: ARG002 (used where there is one)
        step: Awaitable[Result],
    ) -> Result:
        """Await a step on a connection; a cancelled caller no longer waits for what runs there."""
        return await step

    migration_lock_timeout_seconds: float = 300
    """How long a migration waits for another one to end."""

    transactional_ddl: ClassVar[bool] = True
    """Whether a migration is one transaction, so that nothing of it remains when it fails."""

    rebuilds_tables: ClassVar[bool] = False
    """Whether most changes of a table mean to build it anew, for want of an ALTER TABLE."""

    around_rebuilding: ClassVar[tuple[str, ...]] = ()
    """What comes before and after that, so that triggers of others may name the table."""

    adopts_predecessors: ClassVar[bool] = False
    """Whether the predecessor could keep its data in such a database."""

    @contextmanager
    def read_only_view(self, *, again: bool = False) -> Iterator[ReadOnlyView]:  # noqa: ARG002 (used where looking takes no lock)
        """Find a way to look at an existing database without changing it or its files.

        Args:
            again: Whether an earlier view has not held.

        Raises:
            PersistenceConnectionError: If the configuration cannot lead to a database.
        """
        yield ReadOnlyView(self.create_engine())

    async def adjust_storage(  # noqa: B027 (most dialects have nothing to adjust)
        self,
        connection: AsyncConnection,
        is_current: Callable[[], Awaitable[bool]],
    ) -> None:
        """Have the storage as configured, where that changes what others find as well.

        Args:
            connection: A connection with no transaction begun.
            is_current: Tells whether the schema is this version's; any other is left alone.
        """

    @property
    def file(self) -> Path | None:
        """The file that is the whole database, where it is one."""
        return None

    @property
    def log_bytes(self) -> int | None:
        """The size of the write-ahead log, where that is a file beside the database."""
        return None

    @property
    def is_there(self) -> bool:
        """Whether there is a database, where connecting would silently make a new one."""
        return True

    def refuse_absence(self) -> None:
        """Refuse to go on where connecting would silently make a new database.

        Raises:
            PersistenceConnectionError: If there is no database yet.
        """
        if not self.is_there:
            raise PersistenceConnectionError(f"cannot open the {self.description}: no such file")

    @abstractmethod
    def migration_transaction(self, connection: Connection) -> AbstractContextManager[None]:
        """Hold the migration lock, in one transaction where DDL is transactional.

        Args:
            connection: The connection on which Alembic runs, with no transaction begun.

        Raises:
            MigrationError: If somebody else has held the lock for `migration_lock_timeout_seconds`.
        """

    def refuse_half_a_migration(self, connection: Connection) -> None:  # noqa: B027 (where DDL is transactional, nothing is left halfway)
        """Refuse to begin what could not be ended, before the first table is made.

        Args:
            connection: The connection on which Alembic will run.

        Raises:
            MigrationError: If the user or the server lacks something that a migration needs.
        """

    @abstractmethod
    def trigger_names(self, what: Triggered) -> tuple[str, ...]:
        """Name the triggers that `create_triggers` creates.

        Args:
            what: What they see to.
        """

    @abstractmethod
    def create_triggers(self, what: Triggered) -> tuple[str, ...]:
        """Write the DDL after which the database sees to something by triggers.

        Args:
            what: What they see to.
        """

    @abstractmethod
    def drop_triggers(self, what: Triggered) -> tuple[str, ...]:
        """Write the DDL that takes these triggers away again.

        Args:
            what: What they have seen to.
        """

    def scripted(self, statement: str) -> str:
        """Write a statement as it stands in a script, with what ends it.

        Args:
            statement: The statement, which may have others in it.
        """
        return f"{statement};"

    def guard_every_session(self, table: str) -> tuple[str, ...]:  # noqa: ARG002 (used where sessions can opt out of triggers)
        """Write the DDL after which a session cannot set itself apart from these triggers."""
        return ()

    def guard_usual_sessions(self, table: str) -> tuple[str, ...]:  # noqa: ARG002 (likewise)
        """Write the DDL that takes `guard_every_session` back."""
        return ()

    def count_by_identity(
        self,
        table: str,  # noqa: ARG002 (used where there is a difference)
        column: str,  # noqa: ARG002 (likewise)
    ) -> tuple[str, ...]:
        """Write the DDL after which an identity counts the column up, and no longer a sequence."""
        return ()

    def count_by_sequence(
        self,
        table: str,  # noqa: ARG002 (used where there is a difference)
        column: str,  # noqa: ARG002 (likewise)
    ) -> tuple[str, ...]:
        """Write the DDL after which a sequence counts the column up again."""
        return ()

    def number_rows(
        self, table: str, time: str, without: Sequence[str], by_id: str, *, is_ordered: bool
    ) -> Iterator[str]:
        """Write the DDL that numbers the rows of a table in the order of time and id.

        No trigger is lifted for it: the rows are put in that order first, and a column that the
        database fills is added then. Where tables are built anew, that is done elsewhere.

        Args:
            table: The table, with `id` as its primary key.
            time: The column of the time.
            without: The indexes that go.
            by_id: The unique index of the id, which comes.
            is_ordered: Whether the rows are in that order already.
        """
        raise NotImplementedError(f"{self.backend_name} builds tables anew")

    def drop_numbers(self, table: str, without: Sequence[str]) -> Iterator[str]:
        """Write the DDL that takes `number_rows` back.

        Args:
            table: The table.
            without: The indexes that go.
        """
        raise NotImplementedError(f"{self.backend_name} builds tables anew")

    def continue_counting(self, column: Column[Any]) -> Executable | None:  # noqa: ARG002 (used where there is a difference)
        """Build the statement after which a counted column goes on after its largest number.

        Most databases do so by themselves when a row brings a number.

        Args:
            column: The column.
        """
        return None

    @abstractmethod
    async def give_space_back(self, connection: AsyncConnection, tables: Sequence[Table]) -> None:
        """Give the space of removed rows back to the file system, or have it used again.

        Args:
            connection: A connection that is used for nothing else.
            tables: Whose rows were removed.
        """

    unnoticed_seconds: ClassVar[float] = 0.01
    """How long a transaction may go on writing in the background before others notice much."""

    def unindexed(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Give a column as something for which no index is chosen, where one would be wrongly.

        Args:
            column: The column.
        """
        return column

    @abstractmethod
    def examine(self, connection: Connection, tables: Collection[str]) -> Iterator[Finding]:
        """Look at a database as its operator would, and change nothing.

        Args:
            connection: A connection to it.
            tables: The tables in question.
        """

    def lock_against_writing(self, table: str) -> Sequence[str]:  # noqa: ARG002 (used where there is a difference)
        """Write what waits for the transactions that write a table, and keeps others from it.

        Databases of one writer need none of it: a transaction for writing is all that it takes.

        Args:
            table: The table, as it is written in statements.
        """
        return ()

    unlocking: ClassVar[Sequence[str]] = ()
    """What gives back such a lock, where the end of the transaction does not."""

    async def find_settled(self, connection: AsyncConnection, number: Column[Any]) -> int:
        """Find up to which number no transaction is left that could still write a row.

        Args:
            connection: A connection with no transaction begun.
            number: A column that the database counts.
        """
        name = connection.dialect.identifier_preparer.format_table(number.table)
        await connection.execution_options(**self.begin_options(write=True))
        largest = select(func.coalesce(func.max(number), 0))
        try:
            for statement in self.lock_against_writing(name):
                await self.step(connection, connection.exec_driver_sql(statement))
            found = await self.step(connection, connection.execute(largest))
        finally:
            for statement in self.unlocking:
                await run_to_completion(connection.exec_driver_sql(statement))
            await connection.rollback()
        return int(found.scalar_one())

    def refuse_to_follow(self, table: str) -> None:  # noqa: B027 (most servers number alone)
        """Refuse to follow the rows of a table where others number them, too.

        Args:
            table: The table.

        Raises:
            QueryError: If that is so.
        """

    async def find_writers(
        self, connection: AsyncConnection, table: Table, *, patiently: bool
    ) -> Collection[str] | None:
        """Find the transactions under way that write a table, where there may be several.

        Args:
            connection: A connection with no transaction begun.
            table: The table.
            patiently: Whether to wait for them, or to have others wait, for a moment.

        Returns:
            Their names; None where there may be some that cannot be told apart.
        """
        raise NotImplementedError(f"{self.backend_name} has one writer")

    @final
    def diagnose(self, error: BaseException) -> Diagnosis:
        """Tell what any error means that came out of an engine of this dialect."""
        if isinstance(error, NotWritten):
            return replace(self.diagnose(error.reason), answer_is_lost=False)
        for kind, diagnosis in _OF_ANY_DIALECT.items():
            if isinstance(error, kind):
                return diagnosis
        driver_error = error.orig if isinstance(error, StatementError) else error
        if driver_error is not None:
            known = self.diagnose_driver_error(driver_error)
            if known is not None:
                return known
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return lost("the connection to the database was lost")
        if isinstance(driver_error, OSError):
            return _of_the_system(driver_error)
        return Diagnosis(Fault.REFUSED, f"the database refused it ({type(driver_error).__name__})")


def _of_the_system(error: OSError) -> Diagnosis:
    if isinstance(error, UnusableError):
        diagnosis = unusable(error.reason, may_pass=error.may_pass)
        return replace(diagnosis, is_silence=error.is_silence, is_crowd=error.is_crowd)
    return SILENT if isinstance(error, TimeoutError) else lost("the database could not be reached")


def held_too_long(seconds: float, holder: str = SOMEBODY) -> MigrationError:
    """Make the error for a migration lock that did not become free in time.

    Args:
        seconds: How long was waited.
        holder: Who has it, as far as the database tells.
    """
    return MigrationError(
        f"waited {seconds:g} s for {holder}, which is migrating the same database or has it "
        "locked; wait until it has ended, or end it if it hangs"
    )


def pool_options(config: ServerConfig, connections: int) -> dict[str, Any]:
    """Give the arguments of `create_async_engine` that are the same for every server.

    Args:
        config: The configuration.
        connections: How many connections are kept open.
    """
    return {
        "poolclass": CountingPool,
        "pool_size": connections,
        "max_overflow": config.max_overflow,
        "pool_timeout": config.pool_timeout_seconds,
        "pool_recycle": config.pool_recycle_seconds,
        # Who calls one after the other gets the same connection, which then need not be pinged.
        "pool_use_lifo": True,
        # One meaning everywhere; what needs more is a compare-and-swap or a constraint.
        "isolation_level": ISOLATION_LEVEL,
        "hide_parameters": True,
    }


def import_driver(module: str, extra: str) -> ModuleType:
    """Import the driver of a database, which is an optional dependency.

    Args:
        module: The driver's module.
        extra: The extra of this distribution that installs it.

    Raises:
        PersistenceConnectionError: If it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise PersistenceConnectionError(
            f"the driver {module} is not installed; pip install 'synthorg-persistence[{extra}]'"
        ) from error


def replacing_on_conflict(
    statement: Any, table: Table, kept: Collection[str], added: Collection[str] = ()
) -> Executable:
    """Make an upsert of an INSERT, on the databases that can name the key in ON CONFLICT.

    Args:
        statement: The dialect's own INSERT, of every insertable column.
        table: The table.
        kept: Columns that keep the value of an existing row.
        added: Columns whose new value is added to that of an existing row.
    """
    key = [column.name for column in record_key(table)]
    upsert = statement.on_conflict_do_update(
        index_elements=key,
        set_={
            name: table.columns[name] + statement.excluded[name]
            if name in added
            else statement.excluded[name]
            for name in insertable(table)
            if name not in key and name not in kept
        },
    )
    assert isinstance(upsert, Executable)
    return upsert


def insertable(table: Table) -> Iterator[str]:
    """Name the columns that a row is inserted with; the database fills the others."""
    for column in table.columns:
        if column.computed is None and column is not table.autoincrement_column:
            yield column.name


def insert_values(table: Table) -> dict[str, Any]:
    """Map each insertable column to a bind parameter of its name and type."""
    return {
        name: bindparam(name, type_=table.columns[name].type, required=True)
        for name in insertable(table)
    }
