"""Repositories whose calls are observed: of each class one more, whose public methods tell of them.

A repository that nobody observes is of the class itself, so that being observable costs it nothing.
"""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from contextvars import copy_context
from functools import wraps
from time import perf_counter
from typing import Any, Final

from synthorg.persistence.sql.drivers.observation import (
    Observed,
    Observing,
    at_work_for,
    current,
)
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
    repository: Any = observed(ObservedExecutor(executor))
    repository._observing = observing  # noqa: SLF001 (of the class made below)
    return repository


def _derived(kind: type[Repository[Any]], name: str) -> type[Repository[Any]]:
    """Derive the class whose public methods are observed."""
    members: dict[str, Any] = {
        each: getattr(kind, each) for each in ("__module__", "__qualname__", "__doc__")
    }
    for operation, method in inspect.getmembers(kind, inspect.isfunction):
        if operation.startswith("_") or operation in WITHOUT_END:
            continue
        if inspect.iscoroutinefunction(method):
            members[operation] = _observed_method(kind, name, operation, method)
        elif inspect.isasyncgenfunction(method):
            members[operation] = _observed_stream(kind, name, operation, method)
    return type(kind.__name__, (kind,), members)


def _observed_method(
    kind: type[Repository[Any]], name: str, operation: str, method: Callable[..., Any]
) -> Callable[..., Any]:
    table = kind.table.name
    is_ours = isinstance(table, LibraryName)

    @wraps(method)
    async def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
        observing: Observing = self._observing
        plain = _itself(kind, self)
        if observing.is_idle():
            return await method(plain, *args, **kwargs)
        collection = observing.table_prefix + table if is_ours else table
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


def _observed_stream(
    kind: type[Repository[Any]], name: str, operation: str, method: Callable[..., Any]
) -> Callable[..., Any]:
    table = kind.table.name
    is_ours = isinstance(table, LibraryName)

    @wraps(method)
    async def observed(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        observing: Observing = self._observing
        collection = observing.table_prefix + table if is_ours else table
        # What observers set as context variables must not hold for the caller in between.
        context = copy_context()
        call: Observed | None = None
        if not observing.is_idle():
            call = context.run(observing.begin_call, operation, name, collection)
        records = method(_itself(kind, self), *args, **kwargs)
        if call is None:
            async with aclosing(records):
                async for record in records:
                    yield record
            return
        try:
            while True:
                began = perf_counter()
                try:
                    with at_work_for(call):
                        record = await anext(records)
                except StopAsyncIteration:
                    return
                finally:
                    call.seconds += perf_counter() - began
                yield record
        except GeneratorExit:
            raise  # its caller has seen enough
        except BaseException as error:
            call.error_type = type(error).__name__
            raise
        finally:
            await records.aclose()
            context.run(observing.tell_end, call)

    return observed


def _itself(kind: type[Repository[Any]], repository: Repository[Any]) -> Repository[Any]:
    """Give the repository as one that is not observed, for the calls that it makes of itself."""
    plain = kind.__new__(kind)
    plain.__dict__ = repository.__dict__
    return plain
