"""A PostgreSQL primary with a synchronous standby, each a private server on loopback."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL

from tests.servers.administrator import Administrator
from tests.servers.base import Unavailable
from tests.servers.network import LOOPBACK
from tests.servers.postgresql import MAINTENANCE, PostgreSQL, newest_programs
from tests.servers.private import PrivateServer, free_ports

# The machine goes on when a server is killed, so that its files need not reach the disk.
SETTINGS: Final = (
    "fsync=off",
    "full_page_writes=off",
    "max_wal_senders=5",
    "hot_standby=on",
    "dynamic_shared_memory_type=mmap",  # in the folder, which is removed also after a kill
)
SYNCHRONOUS: Final = (
    "ALTER SYSTEM SET synchronous_standby_names = '*'",
    "SELECT pg_reload_conf()",
)
JOIN_SECONDS: Final = 30


@dataclass(frozen=True)
class Member:
    """A server of the pair.

    Attributes:
        url: The server, with a user who may do everything there.
        folder: Where its data are.
        administrator: A connection to it.
    """

    url: URL
    folder: Path
    administrator: Administrator

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements on this server, and give the rows of the last one."""
        return self.administrator.execute(*statements)

    def kill(self) -> None:
        """End the server at once, with the processes that serve its sessions."""
        self._send(signal.SIGKILL)
        # It can no longer give this back itself.
        memory = self._lock[6].split()[1]
        subprocess.run(["ipcrm", "-m", memory], check=False, capture_output=True)

    def pause(self) -> None:
        """Have the server say nothing any more, while its connections stay open."""
        self._send(signal.SIGSTOP)

    @property
    def _lock(self) -> list[str]:
        return (self.folder / "postmaster.pid").read_text().splitlines()

    def _send(self, number: signal.Signals) -> None:
        postmaster = int(self._lock[0])
        for process in (postmaster, *_children_of(postmaster)):
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def promote(self) -> None:
        """Have a standby become the primary."""
        assert self.execute("SELECT pg_promote(true, 60)") == [(True,)]


@dataclass(frozen=True)
class Pair:
    """A primary and its standby, which confirms each commit before it is acknowledged."""

    primary: Member
    standby: Member

    def url(self, database: str) -> str:
        """Give the URL of a database with both hosts.

        Args:
            database: The database.
        """
        first, second = self.primary.url, self.standby.url
        account = f"{first.username}:{first.password}"
        hosts = f"{LOOPBACK}:{first.port},{LOOPBACK}:{second.port}"
        return f"postgresql://{account}@{hosts}/{database}"


@contextmanager
def pair() -> Iterator[Pair]:
    """Start a primary and a standby.

    Raises:
        Unavailable: If the programs are not installed, or the standby does not follow.
    """
    programs = newest_programs()
    if programs is None or not (programs / "pg_basebackup").exists():
        raise Unavailable(f"a part of PostgreSQL is not installed: {PostgreSQL.advice}")
    ports = free_ports(2)
    first, second = (PrivateServer(port) for port in ports)
    with ExitStack() as stack:
        password = first.folder / "password"
        password.write_text(str(first.url.password))
        data = first.folder / "data"
        initialise: list[str | Path] = [
            programs / "initdb",
            f"--pgdata={data}",
            f"--username={first.url.username}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]
        primary = _started(stack, programs, first, first.url, initialise)
        standby = _joined(stack, programs, primary, second)
        primary.execute(SYNCHRONOUS[0])
        primary.execute(SYNCHRONOUS[1])
        _wait_until_synchronous(primary)
        yield Pair(primary, standby)


@contextmanager
def another_standby(pair: Pair) -> Iterator[Member]:
    """Start one more standby of a primary.

    Args:
        pair: The servers that are there.
    """
    programs = newest_programs()
    assert programs is not None
    with ExitStack() as stack:
        yield _joined(stack, programs, pair.primary, PrivateServer())


def _joined(stack: ExitStack, programs: Path, primary: Member, server: PrivateServer) -> Member:
    url = primary.url.set(port=server.url.port)
    origin = (
        f"host={LOOPBACK} port={primary.url.port} user={url.username} password={url.password} "
        "application_name=standby"
    )
    copy: list[str | Path] = [
        programs / "pg_basebackup",
        f"--pgdata={server.folder / 'data'}",
        f"--dbname={origin}",
        "--write-recovery-conf",
        "--wal-method=stream",
        "--checkpoint=fast",
        "--no-sync",
    ]
    return _started(stack, programs, server, url, copy)


def _started(
    stack: ExitStack, programs: Path, server: PrivateServer, url: URL, prepare: list[str | Path]
) -> Member:
    data = server.folder / "data"
    serve: list[str | Path] = [programs / "postgres", f"-D{data}"]
    place = (f"listen_addresses={LOOPBACK}", f"port={url.port}", "unix_socket_directories=")
    serve += [f"--{setting}" for setting in (*place, *SETTINGS)]
    is_starting = stack.enter_context(server.running("postgres", prepare, serve))
    entrance = url.set(drivername=f"{PostgreSQL.name}+{PostgreSQL.driver}", database=MAINTENANCE)
    administrator = stack.enter_context(Administrator(entrance))
    administrator.connect(is_starting)
    return Member(url, data, administrator)


def _wait_until_synchronous(primary: Member) -> None:
    deadline = time.monotonic() + JOIN_SECONDS
    while primary.execute("SELECT sync_state FROM pg_stat_replication") != [("sync",)]:
        if time.monotonic() > deadline:
            raise Unavailable("the standby does not follow its primary")
        time.sleep(0.05)


def _children_of(parent: int) -> list[int]:
    children = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            _, _, rest = status.read_text().rpartition(")")
            if int(rest.split()[1]) == parent:
                children.append(int(status.parent.name))
    return children
