"""The fast route: prepared statements on kept connections, for the drivers where it pays."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar, NamedTuple, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.sql.drivers.pool_state import PoolState


class NotWritten(Exception):  # noqa: N818 (it says what is certain)
    """What went wrong did so before anything could be written.

    Args:
        reason: What the driver raised.
    """

    def __init__(self, reason: Exception) -> None:
        super().__init__(reason)
        self.reason = reason


class DriverStatement(Protocol):
    """A statement in the words of one driver."""

    @property
    def sql(self) -> str:
        """What the driver runs."""
        ...

    @property
    def reads(self) -> bool:
        """Whether it returns rows."""
        ...

    @property
    def key_index(self) -> int | None:
        """The place in its row of the key that is its only value, for `by_keys`.

        None unless it reads at most one row by a key of one column.
        """
        ...

    @property
    def repeatable(self) -> bool:
        """Whether running it twice has the effect and the result of running it once."""
        ...

    @property
    def scans(self) -> bool:
        """Whether it reads any number of rows, and so may take long."""
        ...

    @property
    def finds_one(self) -> bool:
        """Whether it reads at most one row, by a key that an index has."""
        ...

    @property
    def inserts(self) -> bool:
        """Whether it writes one new or replaced row, so that its row count says nothing."""
        ...

    def by_keys(self, keys: Sequence[Any]) -> tuple["DriverStatement", Sequence[Any]]:
        """Find the statement that reads the rows with any of these keys, in any order.

        Args:
            keys: The keys, where `key_index` is not None.

        Returns:
            The statement and its values by position.
        """
        ...

    def batched(
        self, rows: Sequence[Sequence[Any]]
    ) -> "tuple[DriverStatement, Sequence[Any]] | None":
        """Find the statement that does the same with several rows, in their order.

        Args:
            rows: The values of each row by position, where the driver takes columns.

        Returns:
            The statement and its values, one for each column; None if there is none, if two rows
            have the same key, of which one statement could replace only one, or if a column
            cannot be sent as one value.
        """
        ...

    def decode(self, rows: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Convert the columns of rows as the driver returned them.

        Args:
            rows: The rows.
        """
        ...


class Call(NamedTuple):
    """One execution of a prepared statement."""

    statement: DriverStatement
    values: Sequence[Any]
    """By position."""


class Executions(Iterable[Sequence[Any]]):
    """The values of many executions of a statement, by position, taken one after the other.

    Args:
        rows: Gives them, or raises what is wrong with one.
        together: As `DriverStatement.batched`, of all of them; None also if one is wrong, or if
            they have more characters than the number that it is given.
        at_once: Gives all rows in less time; None if one needs a closer look.
    """

    def __init__(
        self,
        rows: Callable[[], Iterator[Sequence[Any]]],
        together: Callable[[int], Call | None],
        at_once: Callable[[], Sequence[Sequence[Any]] | None],
    ) -> None:
        self._rows = rows
        self.together = together
        self._at_once = at_once

    def __iter__(self) -> Iterator[Sequence[Any]]:
        return self._rows()

    def every(self) -> Sequence[Sequence[Any]]:
        """Give all rows, or raise what is wrong with one."""
        rows = self._at_once()
        return [*self] if rows is None else rows


class DriverPool(ABC):
    """Runs statements past SQLAlchemy, on connections of an engine of its own."""

    @abstractmethod
    async def open(self) -> None:
        """Connect."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connections, after the calls under way."""

    @abstractmethod
    async def abandon(self) -> None:
        """Let go of the connections, which are closed, without waiting for the calls under way."""

    @abstractmethod
    async def fetch(self, call: Call) -> Sequence[Sequence[Any]]:
        """Run a statement that reads.

        Args:
            call: The statement and its values.

        Returns:
            All rows, decoded.

        Raises:
            Exception: What the driver raised.
        """

    @abstractmethod
    async def execute(self, call: Call) -> int:
        """Run a statement that writes; it is durable when this returns.

        Args:
            call: The statement and its values.

        Returns:
            How many rows an UPDATE or a DELETE matched; meaningless for others.

        Raises:
            NotWritten: If nothing can be written.
            Exception: What the driver raised; then nothing is written, unless it is a connection
                that was lost.
        """

    async def make_room(self) -> bool:
        """Close a connection, so that another one may be opened in its place.

        Returns:
            Whether there was one that is not needed.
        """
        return False

    @property
    @abstractmethod
    def state(self) -> PoolState:
        """How busy the connections are."""

    def transaction(self) -> "AbstractAsyncContextManager[DriverTransaction] | None":
        """Begin a transaction that may write; leaving commits it, and an exception rolls it back.

        Returns:
            None where transactions are better left to SQLAlchemy.
        """
        return None


class DriverTransaction(ABC):
    """One transaction past SQLAlchemy, on a connection of a driver; its first step begins it."""

    connection: AsyncConnection
    """SQLAlchemy's connection around it, which knows of no transaction."""

    completes_in_place: ClassVar[bool] = False
    """Whether its commit limits how long it waits by itself, without asyncio, so that
    `run_in_place` is enough for it."""

    def shared_connection(self) -> AsyncConnection:
        """Give the connection for statements that are not the library's."""
        return self.connection

    @abstractmethod
    async def begin(self) -> None:
        """Begin it, if no step has."""

    def without_savepoints(self) -> None:  # noqa: B027 (used where a savepoint costs a trip)
        """Set no savepoint before a write where that costs a trip for each, as `Route` says."""

    @abstractmethod
    async def fetch(self, call: Call) -> Sequence[Sequence[Any]]:
        """Run a statement that reads, as `DriverPool` does."""

    @abstractmethod
    async def execute(self, call: Call) -> int:
        """Run a statement that writes, as `DriverPool` does; a failure leaves the transaction."""

    @abstractmethod
    async def execute_many(
        self, statement: DriverStatement, values: Iterable[Sequence[Any]]
    ) -> None:
        """Run a statement that writes, once for each set of values, all or none of them.

        Args:
            statement: The statement.
            values: The values of each execution by position, taken one after the other.

        Raises:
            Exception: What the driver, or making the values, raised; the transaction is left as it
                was before.
        """

    @abstractmethod
    async def begin_savepoint(self) -> None:
        """Set a savepoint, inside the innermost one that is open."""

    @abstractmethod
    async def end_savepoint(self, *, undo: bool) -> None:
        """Release the innermost savepoint.

        Args:
            undo: Whether to roll back to it first.
        """

    @abstractmethod
    async def commit(self) -> None:
        """Commit, if anything was done."""

    @abstractmethod
    async def rollback(self) -> None:
        """Undo all, whatever state the transaction is in, also when cancelled meanwhile."""


@asynccontextmanager
async def transaction_scope(transaction: DriverTransaction) -> AsyncIterator[DriverTransaction]:
    """Commit a transaction in the end, or undo it when an exception leaves.

    Args:
        transaction: The transaction.
    """
    try:
        yield transaction
    except BaseException:
        await transaction.rollback()
        raise
    await transaction.commit()
