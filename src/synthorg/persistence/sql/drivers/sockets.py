"""The sockets behind the connections of drivers."""

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


def _number(connection: Any) -> int:
    """Find the file descriptor, or -1 when the connection is closed."""
    if hasattr(connection, "_transport"):
        transport = connection._transport  # noqa: SLF001 (the drivers have no other way)
        shared = None if transport is None else transport.get_extra_info("socket")
        return -1 if shared is None else int(shared.fileno())
    return -1 if connection.closed else int(connection.fileno())
