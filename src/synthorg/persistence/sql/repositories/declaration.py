"""What a shared method shows of itself at run time: help() and editors name its filters."""

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any


def with_declared_signature(
    method: Callable[..., Any], owner: type, name: str
) -> Callable[..., Any]:
    """Copy a method that takes any filters, to show what a protocol of its class declares.

    A copy of the function costs a call nothing, as one that calls it would.

    Args:
        method: The function that all classes share.
        owner: The class that gets the copy, derived from the protocol.
        name: The name of the method.
    """
    assert isinstance(method, FunctionType)
    declarations = (
        vars(base)[name]
        for base in owner.__mro__
        if getattr(base, "_is_protocol", False) and name in vars(base)
    )
    declaration = next(declarations, None)
    if declaration is None:
        return method
    copy = FunctionType(
        method.__code__, method.__globals__, name, method.__defaults__, method.__closure__
    )
    copy.__kwdefaults__ = method.__kwdefaults__
    copy.__qualname__, copy.__module__ = f"{owner.__qualname__}.{name}", owner.__module__
    copy.__doc__ = declaration.__doc__
    copy.__signature__ = inspect.signature(declaration)  # type: ignore[attr-defined]
    return copy
