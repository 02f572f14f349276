"""What repositories run their statements on: a database, or one transaction on it."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Table

from synthorg.persistence.observing import RouteName
from synthorg.persistence.sql.statements.statement import Parameters, Statement

Result = TypeVar("Result")

Rows = Sequence[Sequence[Any]]
"""Rows, each with the values of the selected columns in their order."""


class Executor(Protocol):
    """Runs statements, each durable or rolled back as a whole."""

    @property
    def skips_unreadable(self) -> bool:
        """Whether lists leave out stored records that cannot be read."""
        ...

    @property
    def route(self) -> RouteName | None:
        """The way to the database; None where that is found out for each statement."""
        ...

    @property
    def for_lists(self) -> "Executor":
        """What lists and sums are read on: this one, or one where a replica may answer."""
        ...

    def refuse_to_follow(self, table: Table) -> None:
        """Refuse where statements need not see what was committed before.

        Args:
            table: The table whose rows are wanted as they come.

        Raises:
            UsageError: If this is a transaction.
            QueryError: If other servers number rows, too.
        """
        ...

    async def find_writers(self, table: Table, *, patiently: bool) -> Collection[str] | None:
        """Find the transactions under way that write a table.

        Args:
            table: The table.
            patiently: Whether to wait for them, or to have others wait, for a moment.

        Returns:
            Their names; None where there may be some that cannot be told apart. Who is not among
            them and has written before has committed, or never will.

        Raises:
            PersistenceError: If it did not succeed.
        """
        ...

    async def fetch(self, statement: Statement, parameters: Parameters) -> Rows:
        """Run a statement that reads.

        Args:
            statement: The statement.
            parameters: A value for each of its parameters.

        Returns:
            All rows, in the statement's order.

        Raises:
            PersistenceError: If it did not succeed.
        """
        ...

    async def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that writes.

        Args:
            statement: The statement.
            parameters: A value for each of its parameters.

        Returns:
            How many rows an UPDATE or a DELETE matched; meaningless for others.

        Raises:
            OutcomeUnknownError: If it was sent, and the answer was lost.
            PersistenceError: If it did not succeed otherwise; then nothing is written.
        """
        ...

    async def execute_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        """Run a statement that writes once for each set of parameters, all or none of them.

        Args:
            statement: The statement.
            parameters: The values of each execution.

        Raises:
            PersistenceError: If one did not succeed, which the text names; then nothing is
                written.
        """
        ...

    async def atomically(
        self,
        work: Callable[["Executor"], Awaitable[Result]],
        *,
        repeatable: bool,
        idempotent: bool = False,
    ) -> Result:
        """Do several things together or not at all.

        Args:
            work: What to do, on the executor that it is given.
            repeatable: Whether it may be called again after a conflict with other transactions.
            idempotent: Whether doing it twice comes to the same as doing it once.

        Returns:
            What the work returns.

        Raises:
            OutcomeUnknownError: If the answer to the commit was lost.
            PersistenceError: If a statement, or the commit, did not succeed.
        """
        ...
