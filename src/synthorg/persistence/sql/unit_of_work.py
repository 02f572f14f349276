"""A unit of work: the nineteen repositories on one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.execution.transaction import Transaction
from synthorg.persistence.sql.repositories import Repositories


class SQLUnitOfWork(Repositories):
    """`UnitOfWork` on SQL.

    Args:
        transaction: The transaction, whose begin and end are its owner's.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

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
