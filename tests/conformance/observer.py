"""An observer that remembers what it was told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from synthorg.persistence import ObservedCall, PersistenceConfig, create_backend
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from tests.conformance.conftest import ROUTES
from tests.conftest import checked_out_connections, on_route, with_parameter
from tests.servers.base import Server


class Recorder:
    """An `Observer` with everything that began and ended, in this order."""

    def __init__(self, *, wants_trips: bool = False) -> None:
        self.started: list[ObservedCall] = []
        self.ended: list[ObservedCall] = []
        self._wants_trips = wants_trips

    def call_started(self, call: ObservedCall, /) -> None:
        """Remember that it began."""
        call.wants_trips = self._wants_trips
        self.started.append(call)

    def call_ended(self, call: ObservedCall, /) -> None:
        """Remember that it has ended."""
        self.ended.append(call)

    def forget(self) -> None:
        """Begin anew."""
        self.started.clear()
        self.ended.clear()

    def of(self, *what: str) -> list[ObservedCall]:
        """Give what has ended of some kinds."""
        return [call for call in self.ended if call.what in what]

    @property
    def only(self) -> ObservedCall:
        """The one call that was told, from its start to its end."""
        assert self.started == self.ended
        (call,) = self.ended
        return call


@asynccontextmanager
async def observed(
    server: Server, route: str, *observers: Any, **parameters: str
) -> AsyncIterator[SQLPersistenceBackend]:
    """Give a backend of its own on a migrated database, which is observed."""
    with server.migrated_database() as url:
        own = with_parameter(on_route(url), ROUTES[route])
        for name, value in parameters.items():
            own = with_parameter(own, f"{name}={value}")
        backend = create_backend(PersistenceConfig.from_url(own), observers=observers)
        assert isinstance(backend, SQLPersistenceBackend)
        async with backend:
            await server.migrate(backend)
            yield backend
            assert not backend.is_connected or checked_out_connections(backend) == 0
