"""The fast route: prepared statements on kept connections, for the drivers where it pays."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection


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
    def found_by(self) -> tuple[int, ...] | None:
        """The places in a row of what it is found by, all of them its values in their order.

        None unless it reads at most one row, by equality alone.
        """
        ...

    @property
    def scans(self) -> bool:
        """Whether it reads any number of rows, and so may take long."""
        ...

    @property
    def inserts(self) -> bool:
        """Whether it writes one new or replaced row, so that its row count says nothing."""
        ...

    def decode(self, rows: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Convert the columns of rows as the driver returned them.

        Args:
            rows: The rows.
        """
        ...


class Express(ABC):
    """Runs single statements past SQLAlchemy, on connections of an engine of its own."""

    @abstractmethod
    async def open(self) -> None:
        """Connect."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connections, after the calls under way."""

    @abstractmethod
    async def fetch(
        self, statement: DriverStatement, values: Sequence[Any]
    ) -> Sequence[Sequence[Any]]:
        """Run a statement that reads.

        Args:
            statement: The statement.
            values: Its values by position.

        Returns:
            All rows, decoded.

        Raises:
            Exception: What the driver raised.
        """

    @abstractmethod
    async def execute(self, statement: DriverStatement, values: Sequence[Any]) -> int:
        """Run a statement that writes; it is durable when this returns.

        Args:
            statement: The statement.
            values: Its values by position.

        Returns:
            How many rows an UPDATE or a DELETE matched; meaningless for others.

        Raises:
            Exception: What the driver raised; then nothing is written.
        """


class Direct(ABC):
    """Runs prepared statements on a connection whose transaction SQLAlchemy began and will end."""

    @abstractmethod
    async def fetch(
        self, connection: AsyncConnection, statement: DriverStatement, values: Sequence[Any]
    ) -> Sequence[Sequence[Any]]:
        """Run a statement that reads, as `Express` does.

        Args:
            connection: The connection.
            statement: The statement.
            values: Its values by position.

        Returns:
            All rows, decoded.
        """

    @abstractmethod
    async def execute(
        self, connection: AsyncConnection, statement: DriverStatement, values: Sequence[Any]
    ) -> int:
        """Run a statement that writes, as `Express` does.

        Args:
            connection: The connection.
            statement: The statement.
            values: Its values by position.

        Returns:
            How many rows an UPDATE or a DELETE matched; meaningless for others.
        """

    @abstractmethod
    async def execute_many(
        self,
        connection: AsyncConnection,
        statement: DriverStatement,
        values: Sequence[Sequence[Any]],
    ) -> None:
        """Run a statement that writes, once for each set of values.

        Args:
            connection: The connection.
            statement: The statement.
            values: The values of each execution by position.
        """
