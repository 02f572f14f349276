"""A server of our own: started from installed programs, reached with a password, then removed."""

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from sqlalchemy import URL

from tests.servers.base import Unavailable
from tests.servers.network import LOOPBACK

START_SECONDS = 60
STOP_SECONDS = 30
SUPERVISOR = Path(__file__).with_name("supervisor.py")


class PrivateServer:
    """The place of a server that is about to be started.

    Args:
        port: Where it shall listen, if not at any that is free.

    Attributes:
        folder: Where it may write, given to the account that it runs as.
        url: Where it shall listen, with the user and the password that it shall accept.
    """

    def __init__(self, port: int | None = None) -> None:
        if os.name != "posix":
            raise Unavailable("starting a private server needs a POSIX system")
        self.folder = Path(tempfile.mkdtemp(prefix="synthorg-"))
        self.url = URL.create(
            "",
            username="test",
            password=secrets.token_hex(16),
            host=LOOPBACK,
            port=free_ports(1)[0] if port is None else port,
        )

    @contextmanager
    def running(
        self, account: str, *commands: Sequence[str | Path]
    ) -> Iterator[Callable[[], bool]]:
        """Run commands one after the other, the last of which is the server.

        Args:
            account: Who runs them when root runs the tests.
            commands: The programs with their arguments.

        Yields:
            A function that tells whether the server may still be starting.

        Raises:
            Unavailable: If the server cannot be reached, with what it had to say.
        """
        *before, server = (shlex.join(map(str, command)) for command in commands)
        script = " && ".join([*before, f"exec {server}"])
        arguments = [sys.executable, "-I", "-S", str(SUPERVISOR), str(self.folder), account, script]
        deadline = time.monotonic() + START_SECONDS
        with (
            tempfile.TemporaryFile() as log,
            subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # an interrupt at the keyboard is for the tests alone
            ) as supervisor,
        ):
            try:
                yield lambda: supervisor.poll() is None and time.monotonic() < deadline
            except Unavailable as refusal:
                raise Unavailable(f"{commands[-1][0]}: {last_words(log)} ({refusal})") from None
            finally:
                assert supervisor.stdin is not None
                supervisor.stdin.close()
                supervisor.wait(STOP_SECONDS)


def find_program(names: Iterable[str], folders: Iterable[str | Path]) -> Path | None:
    """Find the first of some programs in the PATH or in further folders.

    Args:
        names: The program's names.
        folders: Where it may be, too.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, folders)])
    found = (shutil.which(name, path=path) for name in names)
    return next((Path(program).resolve() for program in found if program), None)


def free_ports(number: int) -> list[int]:
    """Find ports that are free, and that no other process will find at the same time.

    Args:
        number: How many.
    """
    with ExitStack() as probes:
        found: list[int] = []
        # Below the ports of outgoing connections, and each process starts at a place of its own.
        for port in range(20000 + os.getpid() * 8 % 12000, 32768):
            probe = probes.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind((LOOPBACK, port))
                found.append(port)
            if len(found) == number:
                return found
    raise Unavailable("too few ports are free for a private server")


def last_words(log: IO[bytes]) -> str:
    """Find the end of what a server said about its trouble, or of all that it said."""
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()
    troubles = [line for line in lines if "error" in line.lower() or "FATAL" in line]
    return "; ".join((troubles or lines)[-3:])
