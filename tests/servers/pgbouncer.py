"""A private PgBouncer in front of a PostgreSQL server, where that program is installed."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from sqlalchemy import make_url

from tests.servers.base import Unavailable
from tests.servers.network import LOOPBACK
from tests.servers.private import PrivateServer, find_program

FOLDERS: Final = ("/usr/sbin", "/usr/local/sbin")
ADVICE: Final = "`apt-get install pgbouncer`"


@contextmanager
def pooled(url: str, mode: str, settings: Sequence[str] = ()) -> Iterator[str]:
    """Put a pooler in front of a server.

    Args:
        url: A database of the server, with the user who connects.
        mode: For how long a client keeps a connection of the server: its `pool_mode`.
        settings: Further lines of its configuration.

    Yields:
        The same database through the pooler.

    Raises:
        Unavailable: If there is no such program, or it does not start.
    """
    program = find_program(("pgbouncer",), FOLDERS)
    if program is None:
        raise Unavailable(f"pgbouncer is not installed: {ADVICE}")
    there = make_url(url)
    pooler = PrivateServer()
    place = f"host={there.host} port={there.port} user={there.username}"
    password = f" password={there.password}" if there.password else ""
    configuration = pooler.folder / "pgbouncer.ini"
    configuration.write_text(
        "\n".join(
            (
                "[databases]",
                f"* = {place}{password}",
                "[pgbouncer]",
                f"listen_addr = {LOOPBACK}",
                f"listen_port = {pooler.url.port}",
                "unix_socket_dir =",
                "auth_type = any",  # no password, since nobody else knows the port
                f"pool_mode = {mode}",
                *settings,
            )
        )
    )
    with pooler.running("postgres", [program, configuration]) as is_starting:
        _wait_for(pooler.url.port, is_starting)
        here = there.set(host=LOOPBACK, port=pooler.url.port)
        yield here.render_as_string(hide_password=False)


def _wait_for(port: int | None, is_starting: Callable[[], bool]) -> None:
    while True:
        with suppress(OSError), socket.create_connection((LOOPBACK, port or 0)):
            return
        if not is_starting():
            raise Unavailable("it does not listen")
        time.sleep(0.02)
