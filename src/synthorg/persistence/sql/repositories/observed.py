"""Repositories whose calls are observed: of each class one more, whose public methods tell of them.

A repository that nobody observes is of the class itself, so that being observable costs it nothing.
"""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial, wraps
from time import monotonic, perf_counter
from typing import Any, Final

from synthorg.persistence.sql.drivers.observation import Observing, current, observed_stream
from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.execution.observed_executor import ObservedExecutor
from synthorg.persistence.sql.repositories.base import Repository
from synthorg.persistence.sql.tables import LibraryName

WITHOUT_END: Final = ("follow",)
"""Methods that tell by the calls they make, since no time that they take means anything."""

_observed: Final[dict[tuple[int, str], type[Repository[Any]]]] = {}
"""The classes that were made, by the identity of the class whose calls are observed, which they
keep, and what it is called; the class itself is hashed slowly where it is a protocol's."""


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
    observed = _observed.get(key)
    if observed is None:
        observed = _observed[key] = _derived(kind, name)
    plain = kind(ObservedExecutor(executor))
    table = plain.table.name
    is_ours = isinstance(table, LibraryName)
    collection = observing.table_prefix + table if is_ours else table
    repository: Any = observed.__new__(observed)
    repository.__dict__ = plain.__dict__
    repository._seam = (plain, observing, collection)  # noqa: SLF001 (of the class made below)
    return repository


def _derived(kind: type[Repository[Any]], name: str) -> type[Repository[Any]]:
    """Derive the class whose public methods are observed, and done by a plain repository.

    So the calls that this makes of itself are not told. Both have their attributes in common.
    """
    members: dict[str, Any] = {
        each: getattr(kind, each) for each in ("__module__", "__qualname__", "__doc__")
    }
    members["__slots__"] = ("_seam",)
    for operation, method in inspect.getmembers(kind, inspect.isfunction):
        if operation.startswith("_") or operation in WITHOUT_END:
            continue
        if inspect.iscoroutinefunction(method):
            members[operation] = _observed_method(name, operation, method)
        elif inspect.isasyncgenfunction(method):
            members[operation] = _observed_stream(name, operation, method)
    return type(kind.__name__, (kind,), members)


def _observed_method(name: str, operation: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
        plain, observing, collection = self._seam
        # What is_idle() says, mostly without asking it, which would take longer than all of this.
        if observing.was_idle if monotonic() < observing.asks_at else observing.is_idle():
            return await method(plain, *args, **kwargs)
        call = observing.begin_call(operation, name, collection)
        if call is None:
            return await method(plain, *args, **kwargs)
        began = perf_counter()
        token = current.set(call)
        try:
            return await method(plain, *args, **kwargs)
        except BaseException as error:
            call.error_type = type(error).__name__
            raise
        finally:
            current.reset(token)
            call.seconds = perf_counter() - began
            observing.tell_end(call)

    return observed


def _observed_stream(name: str, operation: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def observed(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        plain, observing, collection = self._seam
        begin = partial(observing.begin_call, operation, name, collection)
        records = method(plain, *args, **kwargs)
        async with aclosing(observed_stream(records, observing, begin)) as told:
            async for record in told:
                yield record

    return observed
