"""Forks: a child process leaves alone what its parent has open.

Both would share sockets and files, so that what a child says, even a farewell when an object is
collected or the interpreter ends, would end the parent's sessions and transactions.
"""

import asyncio
import ctypes
import os
import select
import selectors
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

_loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
_inheritable: WeakKeyDictionary[Any, Callable[[Any], None] | None] = WeakKeyDictionary()


def protect_connections(
    engine: AsyncEngine, connections: WeakSet[Any], sever: Callable[[Any], None] | None = None
) -> None:
    """Have a child leave the connections of an engine alone.

    Args:
        engine: The engine.
        connections: Where those of the driver are noted.
        sever: Cuts one off from what the parent uses, in the child, if keeping it is not enough.
    """

    def connected(connection: Any, _record: object) -> None:
        connections.add(connection.driver_connection)
        _inheritable[connection.driver_connection] = sever

    event.listen(engine.sync_engine, "connect", connected)


def protect_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Have a child leave an event loop alone, also when it closes its copy of it.

    Args:
        loop: The loop, through which the parent hears from connections.
    """
    with suppress(TypeError):  # which cannot be referred to weakly
        _loops.add(loop)


def never_collect(thing: object) -> None:
    """Have a child never collect something, as its finalizers would speak to what is shared.

    Args:
        thing: Whatever leads to connections.
    """
    _inheritable[thing] = None


def sever_socket(number: int) -> None:
    """Replace a socket of this process by the null device, so that nothing can be sent on it.

    Args:
        number: The file descriptor.
    """
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(nowhere, number, inheritable=False)
    os.close(nowhere)


def _leak(thing: object) -> None:
    # Nothing in the language outlives the interpreter, which collects all on its way out.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _give_own_selector(loop: asyncio.AbstractEventLoop) -> None:
    """Have a child wait by an `epoll` of its own, as in its parent's it would remove sockets."""
    selector = getattr(loop, "_selector", None)
    if sys.platform != "linux" or not isinstance(selector, selectors.EpollSelector):
        return
    with select.epoll() as own:
        for key in selector.get_map().values():
            reads = select.EPOLLIN if key.events & selectors.EVENT_READ else 0
            writes = select.EPOLLOUT if key.events & selectors.EVENT_WRITE else 0
            with suppress(OSError):  # the null device is always ready
                own.register(key.fd, reads | writes)
        os.dup2(own.fileno(), selector.fileno(), inheritable=False)


def _sever_all() -> None:
    for thing, sever in list(_inheritable.items()):
        _leak(thing)
        if sever is not None:
            sever(thing)
    _inheritable.clear()
    for loop in list(_loops):
        if not loop.is_closed():
            _leak(loop)
            _give_own_selector(loop)
    _loops.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_sever_all)
