"""Statements without values and rows that go ahead of a prepared one in its trip, through asyncpg.

asyncpg itself sends one statement and waits. But messages of the extended protocol up to its Sync
are answered together, and asyncpg passes over the answers to those that it has not sent itself.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
"""

import socket
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from importlib.metadata import version
from struct import pack
from typing import Any, Final

from synthorg.persistence.sql.drivers.base import Call

MOST_PREPARED: Final = 100
"""How many statements are prepared on a connection to go behind others, for lists have many."""

CONSTRAINT_VIOLATED: Final = "23"  # the class of the SQLSTATEs

KNOWN_RELEASES: Final = ("0.32.",)
"""The releases of asyncpg that are known to pass over such answers; others get trips instead."""

Prepared = MutableMapping[str, Any]
"""By SQL: what asyncpg has prepared on a connection."""


@cache
def is_supported() -> bool:
    """Tell whether this asyncpg is known to pass over the answers to what it has not sent."""
    return version("asyncpg").startswith(KNOWN_RELEASES)


async def send_behind(
    connection: Any, prepared: Prepared, statements: Sequence[str], call: Call
) -> tuple[Sequence[Any], str]:
    """Run statements and then a call, in one trip but for the first time.

    Args:
        connection: The connection of asyncpg, of which every statement has a name.
        prepared: What is prepared on it.
        statements: The statements, up to the first that fails.
        call: The call, unless one of them failed.

    Returns:
        The rows of the call, and its status.

    Raises:
        Exception: What the driver raised.
    """
    sql = call.statement.sql
    statement = prepared.get(sql)
    if statement is None:  # to prepare it begins a transaction, which is then not as it should be
        await connection.execute("; ".join(statements))
        statement = prepared[sql] = await connection.prepare(sql)
    else:
        _write_ahead(connection._transport, _messages(tuple(statements)))  # noqa: SLF001 (no other way)
    try:
        rows = await statement.fetch(*call.values)
    except Exception as error:
        if not str(getattr(error, "sqlstate", None)).startswith(CONSTRAINT_VIOLATED):
            del prepared[sql]  # it may be out of date
        if "severity" not in vars(error):  # which every error of the server's has
            connection.terminate()  # the call was not sent, and with it no end of the messages
        raise
    return rows, statement.get_statusmsg()


def _write_ahead(transport: Any, messages: bytes) -> None:
    """Write what another write follows at once, in the same packet where that can be."""
    plain = getattr(transport, "_sock", None)  # which TLS has not, nor have other event loops
    sent = 0
    if plain is not None and not transport.get_write_buffer_size():
        with suppress(OSError):  # the transport finds out what is wrong
            sent = plain.send(messages, getattr(socket, "MSG_MORE", 0))
    if sent < len(messages):
        transport.write(messages[sent:])


@lru_cache(maxsize=64)
def _messages(statements: Sequence[str]) -> bytes:
    """Write Parse, Bind and Execute for each."""
    return b"".join(
        _message(b"P", b"\0" + statement.encode() + b"\0\0\0")
        + _message(b"B", bytes(8))
        + _message(b"E", bytes(5))
        for statement in statements
    )


def _message(kind: bytes, content: bytes) -> bytes:
    return kind + pack("!i", len(content) + 4) + content
