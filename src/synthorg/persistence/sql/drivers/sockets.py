"""The sockets behind the connections of drivers."""

from contextlib import suppress
from typing import Any

from synthorg.persistence.sql.drivers.forks import sever_socket


def sever(connection: Any) -> None:
    """Cut a connection off, in a child, from the socket that its parent uses.

    Args:
        connection: The driver's.
    """
    number = _number(connection)
    if number >= 0:
        sever_socket(number)


def close_without_loop(connection: Any) -> None:
    """Close a connection whose event loop is closed, and takes no step for it any more.

    Its socket would stay open until it is collected, which warns of that.

    Args:
        connection: The driver's.
    """
    if not hasattr(connection, "_transport"):
        connection.pgconn.finish()
        return
    is_open = _number(connection) >= 0
    transport = connection._transport  # noqa: SLF001 (as above)
    encryption = getattr(transport, "_ssl_protocol", None)
    if encryption is not None:
        transport = encryption._transport  # noqa: SLF001 (likewise)
    last_step = getattr(transport, "_call_connection_lost", None)  # not in every kind of loop
    with suppress(RuntimeError):  # the last step cannot be left to the loop
        getattr(connection, "terminate", connection.close)()
    if is_open and last_step is not None:
        with suppress(RuntimeError):  # nor can whoever waits for the connection be woken
            last_step(None)


def _number(connection: Any) -> int:
    """Find the file descriptor, or -1 when the connection is closed."""
    if hasattr(connection, "_transport"):
        transport = connection._transport  # noqa: SLF001 (the drivers have no other way)
        shared = None if transport is None else transport.get_extra_info("socket")
        return -1 if shared is None else int(shared.fileno())
    return -1 if connection.closed else int(connection.fileno())
