"""Filters at run time: help(), editors and `inspect.signature` show each by its name and type."""

import inspect
from collections.abc import Callable, Iterable
from itertools import chain
from types import FunctionType
from typing import Any, get_args, get_origin, get_type_hints

from typing_extensions import Unpack


def spell_out_filters(classes: Iterable[object]) -> None:
    """Have the methods that take filters by `Unpack` show them as parameters.

    Args:
        classes: The classes that define the methods, among other things.
    """
    members = chain.from_iterable(vars(cls).values() for cls in classes if isinstance(cls, type))
    for method in members:
        if isinstance(method, FunctionType) and (filters := filters_of(method)) is not None:
            method.__signature__ = _spelt_out(method, filters)  # type: ignore[attr-defined]


def filters_of(method: Callable[..., Any]) -> type | None:
    """Find the set of filters that a method takes by `Unpack`."""
    kinds: list[Any] = [*method.__annotations__.values()]
    sets = [get_args(kind)[0] for kind in kinds if get_origin(kind) == Unpack]
    return sets[0] if sets else None


def _spelt_out(method: FunctionType, filters: type) -> inspect.Signature:
    signature = inspect.signature(method)
    *others, _ = signature.parameters.values()
    by_keyword = inspect.Parameter.KEYWORD_ONLY
    named = [
        inspect.Parameter(name, by_keyword, default=None, annotation=kind)
        for name, kind in get_type_hints(filters).items()
    ]
    before = [parameter for parameter in others if parameter.kind < by_keyword]
    return signature.replace(parameters=[*before, *named, *others[len(before) :]])
