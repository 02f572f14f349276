"""What the fast route asks of a server's driver, on one connection of it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from synthorg.persistence.sql.drivers.base import Call, DriverStatement
from synthorg.persistence.sql.drivers.batching import Outcome


class ServerDriver(ABC):
    """One connection in the words of its driver.

    Args:
        connection: The connection; drivers have no types of their own.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    @abstractmethod
    def is_lost(self) -> bool:
        """Tell, without asking the server, whether the connection is closed."""

    @abstractmethod
    async def ping(self) -> None:
        """Ask the server for a sign of life, or raise."""

    @abstractmethod
    async def run(self, *statements: str) -> None:
        """Run statements without values, in one trip, up to the first that fails."""

    @abstractmethod
    async def send(self, call: Call) -> Outcome:
        """Run one call, or raise what the driver does."""

    async def send_behind(self, statements: Sequence[str], call: Call) -> Outcome:
        """Run statements without values and rows and then a call, in one trip where that can be.

        Args:
            statements: The statements, up to the first that fails.
            call: The call, unless one of them failed.

        Raises:
            Exception: What the driver raised.
        """
        if statements:
            await self.run(*statements)
        return await self.send(call)

    @abstractmethod
    async def send_many(self, statement: DriverStatement, values: Iterable[Sequence[Any]]) -> None:
        """Run a statement that writes many times, inside of a transaction.

        Args:
            statement: The statement.
            values: The values of each run; what making them raises comes out.

        Raises:
            Exception: What the driver raised; then some may be written.
        """

    @abstractmethod
    async def send_together(
        self, statement: DriverStatement, values: Sequence[Sequence[Any]]
    ) -> None:
        """Run a statement that writes many times in a transaction of its own.

        Args:
            statement: The statement.
            values: The values of each run.

        Raises:
            NotWritten: If it failed before the commit.
            Exception: What the driver raised; then nothing is written, unless it is a connection
                that was lost.
        """

    @abstractmethod
    async def commit(self) -> None:
        """Commit.

        Raises:
            PersistenceConnectionError: If the server has rolled back instead.
            Exception: What the driver raised.
        """
