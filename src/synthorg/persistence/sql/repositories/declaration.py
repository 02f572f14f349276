"""What a method shows of itself at run time: help() and editors say what its protocol declares."""

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from synthorg.persistence.signatures import filters_of


def copied(method: Callable[..., Any], owner: type, name: str) -> FunctionType:
    """Copy a method that all classes share, so that each can show filters of its own.

    A copy of the function costs a call nothing, as one that calls it would.

    Args:
        method: The shared function.
        owner: The class that gets the copy.
        name: The name of the method.
    """
    assert isinstance(method, FunctionType)
    copy = FunctionType(
        method.__code__, method.__globals__, name, method.__defaults__, method.__closure__
    )
    copy.__kwdefaults__ = method.__kwdefaults__
    copy.__qualname__, copy.__module__ = f"{owner.__qualname__}.{name}", owner.__module__
    return copy


def show_declaration(method: FunctionType, owner: type) -> None:
    """Have a method show the signature of a protocol of its class, and the descriptions.

    Args:
        method: The method.
        owner: Its class, derived from the protocol.
    """
    name = method.__name__
    declarations = (
        vars(base)[name]
        for base in owner.__mro__
        if getattr(base, "_is_protocol", False) and name in vars(base)
    )
    declaration = next(declarations, None)
    if declaration is None:
        return
    described = (declaration, filters_of(declaration))
    texts = [inspect.getdoc(each) for each in described if each is not None]
    method.__doc__ = "\n\n".join(text for text in texts if text is not None)
    method.__signature__ = inspect.signature(declaration)  # type: ignore[attr-defined]
