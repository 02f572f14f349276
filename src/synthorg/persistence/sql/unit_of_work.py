"""A unit of work: the nineteen repositories on one transaction."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.sql.drivers.observation import Observing
from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.execution.transaction import Transaction
from synthorg.persistence.sql.owned_tables import OwnedTables
from synthorg.persistence.sql.repositories import Repositories, repository_of

Kind = TypeVar("Kind")


class SQLUnitOfWork(Repositories):
    """`UnitOfWork` on SQL.

    Args:
        transaction: The transaction, whose begin and end are its owner's.
        extensions: The tables of each extension of its backend.
        observing: Who is told of the calls in it; None for nobody.
    """

    def __init__(
        self,
        transaction: Transaction,
        extensions: Sequence[OwnedTables],
        observing: Observing | None = None,
    ) -> None:
        self._transaction = transaction
        self._extensions = extensions
        self.observing = observing

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._transaction.description}>"

    def repository(self, kind: type[Kind]) -> Kind:
        """Give a repository of an extension, as `UnitOfWork` says."""
        return repository_of(kind, self._transaction, self._extensions, self.observing)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Self]:
        """Begin a savepoint, as `UnitOfWork` says."""
        async with self._transaction.savepoint():
            yield self

    async def connection(self) -> AsyncConnection:
        """Give the connection, as `UnitOfWork` says."""
        return await self._transaction.connection()

    def executor_for(self, repository: str) -> Executor:  # noqa: ARG002 (all are on the same)
        """Give the transaction."""
        return self._transaction
