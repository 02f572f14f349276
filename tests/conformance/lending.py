"""Backends that are lent to test after test, since most of a short test would be to connect one."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import reduce
from typing import ClassVar, Self

from sqlalchemy import inspect

from synthorg.persistence import PersistenceBackend
from tests.conftest import checked_out_connections, connected, on_route, with_parameter
from tests.servers.base import Server


class Loan(ABC):
    """A backend that is connected to a database of its own.

    Args:
        server: The server of the database.
        url: The database.
        backend: The backend.
        stack: What ends with the loan.
    """

    def __init__(
        self, server: Server, url: str, backend: PersistenceBackend, stack: AsyncExitStack
    ) -> None:
        self.backend = backend
        self._server = server
        self._url = url
        self._stack = stack

    @classmethod
    @abstractmethod
    async def begin(cls, server: Server) -> Self:
        """Make a database, and connect a backend to it."""

    @abstractmethod
    async def is_renewed(self) -> bool:
        """Make the database as it was, or tell that it cannot be."""

    async def end(self) -> None:
        """Disconnect, and give the database back."""
        await self._stack.aclose()


class MigratedLoan(Loan):
    """A backend on a migrated database, which is made empty again."""

    parameters: ClassVar[Sequence[str]] = ()
    """What is added to the URL."""

    @classmethod
    async def begin(cls, server: Server) -> Self:
        """Connect, as `Loan` says."""
        async with AsyncExitStack() as stack:
            url = stack.enter_context(server.migrated_database())
            own = reduce(with_parameter, cls.parameters, on_route(url))
            backend = await stack.enter_async_context(connected(own))
            await server.migrate(backend)
            return cls(server, url, backend, stack.pop_all())

    async def is_renewed(self) -> bool:
        """Remove all records, as `Loan` says."""
        return await self._server.renew(self._url, self.backend)


class SkippingLoan(MigratedLoan):
    """One whose lists leave out what cannot be read."""

    parameters: ClassVar[Sequence[str]] = ("unreadable_records=skip",)


class UnmigratedLoan(Loan):
    """A backend on a database without tables, in which nothing can be left."""

    @classmethod
    async def begin(cls, server: Server) -> Self:
        """Connect, as `Loan` says."""
        async with AsyncExitStack() as stack:
            url = stack.enter_context(server.empty_database())
            backend = await stack.enter_async_context(connected(on_route(url)))
            return cls(server, url, backend, stack.pop_all())

    async def is_renewed(self) -> bool:
        """See that there are still no tables, as `Loan` says."""
        async with self.backend.get_db().connect() as connection:
            return not await connection.run_sync(lambda sync: inspect(sync).get_table_names())


class Lender:
    """Lends a backend on each server, and takes it back; more would use up its connections."""

    def __init__(self) -> None:
        self._idle: dict[Server, Loan] = {}

    @asynccontextmanager
    async def lend(self, server: Server, sort: type[Loan]) -> AsyncIterator[PersistenceBackend]:
        """Lend a backend, which must give every connection back.

        One that is no longer connected, or whose database is no longer the same, is not lent again.

        Args:
            server: Where its database is.
            sort: Whether that is migrated.
        """
        loan = self._idle.pop(server, None)
        if type(loan) is not sort:
            if loan is not None:
                await loan.end()
            loan = await sort.begin(server)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(loan.end)
            yield loan.backend
            if loan.backend.is_connected:
                assert checked_out_connections(loan.backend) == 0
                if await loan.is_renewed():
                    self._idle[server] = loan
                    stack.pop_all()

    async def close(self) -> None:
        """Disconnect what is not lent."""
        while self._idle:
            await self._idle.popitem()[1].end()
