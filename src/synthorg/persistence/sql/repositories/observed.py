"""Repositories whose calls are observed: of each class, another whose public methods tell of them.

A repository that nobody observes is of the class itself, so that being observable costs it nothing.
"""

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial, wraps
from time import monotonic, perf_counter
from typing import Any, Final, NamedTuple

from synthorg.persistence.sql.drivers.observation import Observing, current, observed_stream
from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.execution.observed_executor import ObservedExecutor
from synthorg.persistence.sql.repositories.base import Repository
from synthorg.persistence.sql.tables import LibraryName

WITHOUT_END: Final = ("follow",)
"""Methods that tell by the calls they make, since no time that they take means anything."""

_derived: Final[dict[tuple[int, str], "_Derived"]] = {}
"""What was derived, by the identity of the class whose calls are observed, which they keep, and
what it is called; the class itself is hashed slowly where it is a protocol's."""


class _Derived(NamedTuple):
    """The classes derived from that of a repository, whose objects have attributes in common."""

    observed: type[Repository[Any]]
    """What a program gets, whose public methods tell of a call and have another one do it."""

    counting: type[Repository[Any]]
    """What does it, on an executor that counts; a call that it makes of its own is not told."""


class _Seam(NamedTuple):
    """What a repository whose calls are observed has beside the attributes that all have."""

    plain: Repository[Any]
    counting: Repository[Any]
    observing: Observing
    collection: str


def provide(
    kind: type[Repository[Any]], executor: Executor, name: str, observing: Observing | None
) -> Any:
    """Make a repository.

    Args:
        kind: Its class.
        executor: What it runs its statements on.
        name: What a program calls it.
        observing: Who is told of its calls; None for nobody.
    """
    if observing is None:
        return kind(executor)
    key = (id(kind), name)
    derived = _derived.get(key)
    if derived is None:
        derived = _derived[key] = _Derived(_observed(kind, name), _like(kind, "_executor"))
    table = kind.table.name
    is_ours = isinstance(table, LibraryName)
    collection = observing.table_prefix + table if is_ours else table
    plain = kind(executor)
    counting: Any = derived.counting.__new__(derived.counting)
    counting.__dict__ = plain.__dict__
    counting._executor = ObservedExecutor(executor)  # noqa: SLF001 (a slot, which comes first)
    repository: Any = derived.observed.__new__(derived.observed)
    repository.__dict__ = plain.__dict__
    repository._seam = _Seam(plain, counting, observing, collection)  # noqa: SLF001 (likewise)
    return repository


def _like(kind: type[Repository[Any]], slot: str, **members: Any) -> type[Repository[Any]]:
    """Derive a class that looks like another one, with an attribute that objects do not share."""
    for each in ("__module__", "__qualname__", "__doc__"):
        members[each] = getattr(kind, each)
    return type(kind.__name__, (kind,), {**members, "__slots__": (slot,)})


def _observed(kind: type[Repository[Any]], name: str) -> type[Repository[Any]]:
    """Derive the class whose public methods are observed."""
    members = {}
    for operation, method in inspect.getmembers(kind, inspect.isfunction):
        if operation.startswith("_") or operation in WITHOUT_END:
            continue
        if inspect.iscoroutinefunction(method):
            members[operation] = _observed_method(name, operation, method)
        elif inspect.isasyncgenfunction(method):
            members[operation] = _observed_stream(name, operation, method)
    return _like(kind, "_seam", **members)


def _observed_method(name: str, operation: str, method: Callable[..., Any]) -> Callable[..., Any]:
    async def told(seam: _Seam, args: Any, kwargs: Any) -> Any:
        plain, counting, observing, collection = seam
        call = observing.begin_call(operation, name, collection)
        if call is None:
            return await method(plain, *args, **kwargs)
        began = perf_counter()
        token = current.set(call)
        try:
            return await method(counting, *args, **kwargs)
        except BaseException as error:
            call.error_type = type(error).__name__
            raise
        finally:
            current.reset(token)
            call.seconds = perf_counter() - began
            observing.tell_end(call)

    # A coroutine that awaited another would cost more than all else while observers are idle.
    @wraps(method)
    def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
        seam: _Seam = self._seam
        observing = seam.observing
        # What is_idle() says, mostly without asking it.
        if observing.was_idle if monotonic() < observing.asks_at else observing.is_idle():
            return method(seam.plain, *args, **kwargs)
        return told(seam, args, kwargs)

    return _marked_as_coroutine(observed)


def _marked_as_coroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have whoever looks at a function, as web frameworks do, see that it gives a coroutine."""
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(function)
    mark = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]  # noqa: SLF001 (as unittest.mock does)
    vars(function)["_is_coroutine"] = mark
    return function


def _observed_stream(name: str, operation: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def observed(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        seam: _Seam = self._seam
        begin = partial(seam.observing.begin_call, operation, name, seam.collection)
        records = method(seam.counting, *args, **kwargs)
        async with aclosing(observed_stream(records, seam.observing, begin)) as told:
            async for record in told:
                yield record

    return observed
