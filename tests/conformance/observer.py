"""An observer that remembers what it was told."""

import inspect
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, get_args

from synthorg.entities import HumanRole, WorkflowExecutionStatus
from synthorg.persistence import ObservedCall, PersistenceConfig, create_backend
from synthorg.persistence.observing import What
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import MOMENT
from tests.conformance.conftest import ROUTES
from tests.conftest import checked_out_connections, on_route, with_parameter
from tests.servers.base import Server

OTHER_ARGUMENTS: Final[Mapping[str, object]] = {
    "by": ("day",),
    "channel": "general",
    "approval_id": "approval",
    "key_hash": "0" * 64,
    "limit": None,
    "role": HumanRole.CEO,
    "status": WorkflowExecutionStatus.RUNNING,
    "threshold": MOMENT,
    "updated_at": MOMENT.isoformat(),
    "created_at": MOMENT.isoformat(),
    "config_json": "{}",
    "description": "none",
    "value": "value",
    "namespace": "namespace",
}
"""By the name of the parameter, where that is no record and no key."""


class Recorder:
    """An `Observer` with everything that began and ended, in this order."""

    def __init__(self, *, wants_trips: bool = False, wants: Sequence[str] = get_args(What)) -> None:
        self.started: list[ObservedCall] = []
        self.ended: list[ObservedCall] = []
        self._wants_trips = wants_trips
        self._wants = wants

    def call_started(self, call: ObservedCall, /) -> bool:
        """Remember that it began, and decline to hear of its end if that is not wanted."""
        call.wants_trips = self._wants_trips
        self.started.append(call)
        return call.what in self._wants

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
        own = on_route(url, ROUTES[route])
        for name, value in parameters.items():
            own = with_parameter(own, f"{name}={value}")
        backend = create_backend(PersistenceConfig.from_url(own), observers=observers)
        assert isinstance(backend, SQLPersistenceBackend)
        async with backend:
            await server.migrate(backend)
            yield backend
            assert not backend.is_connected or checked_out_connections(backend) == 0


def methods_of(repository: Any) -> list[str]:
    """Name the public methods of a repository that it offers and that come to an end."""
    members = inspect.getmembers(type(repository), inspect.isfunction)
    return [
        name
        for name, _ in members
        if not name.startswith("_") and name not in ("find", "follow", "insert", "swap")
    ]


def arguments(kind: Kind, repository: Any, method: str) -> tuple[Any, ...]:
    """Give values for the parameters that a method needs."""
    if method == "save_many":
        return ([kind.keyed("many")],)
    if method in ("get_many", "delete_many"):
        return ([kind.key_for("1")],)
    if method == "save" and not isinstance(kind.example, tuple):
        return (kind.keyed("saved"),)
    shown = inspect.signature(getattr(repository, method)).parameters.values()
    needed = [each.name for each in shown if each.default is each.empty and each.kind < 2]
    return tuple(OTHER_ARGUMENTS.get(name, kind.key_for("key")) for name in needed)


async def called(repository: Any, method: str, *values: Any) -> None:
    """Call a method, whatever comes of it."""
    filters = {"execution_id": "key"} if method == "get_latest" else {}
    try:
        answer = getattr(repository, method)(*values, **filters)
        if inspect.isasyncgen(answer):
            async for _ in answer:
                pass
        else:
            await answer
    except Exception as error:  # noqa: BLE001 (which is told, too)
        logging.getLogger(__name__).info("a call failed: %s", error)
