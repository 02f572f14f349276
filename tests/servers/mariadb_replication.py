"""A MariaDB primary with a semi-synchronous replica, each a private server on loopback."""

import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.servers.base import Unavailable
from tests.servers.mariadb import MariaDB
from tests.servers.network import LOOPBACK

FOLLOW_SECONDS: Final = 30
USER: Final = "application"


def _options(number: int) -> tuple[str, ...]:
    return (
        f"--server-id={number}",
        "--log-bin=changes",
        "--binlog-format=ROW",
        "--log-slave-updates",
        "--log-bin-trust-function-creators=ON",  # for whoever migrates without SUPER
        "--rpl-semi-sync-slave-enabled=ON",
        # An acknowledged commit has reached the replica, which is waited for however long it takes.
        "--rpl-semi-sync-master-wait-point=AFTER_SYNC",
        "--rpl-semi-sync-master-timeout=600000",
        "--innodb-buffer-pool-size=64M",
    )


@dataclass(frozen=True)
class Pair:
    """A primary and its replica, which is read-only for an application.

    Attributes:
        primary: The server that takes writes.
        replica: The one that follows it.
        password: That of the application on both.
    """

    primary: MariaDB
    replica: MariaDB
    password: str

    def url(self, database: str) -> str:
        """Give the URL of a database with both hosts.

        Args:
            database: The database.
        """
        first, second = (server.url.port for server in (self.primary, self.replica))
        hosts = f"{LOOPBACK}:{first},{LOOPBACK}:{second}"
        return f"mariadb://{USER}:{self.password}@{hosts}/{database}"

    def demote(self) -> None:
        """Have the primary take no writes any more, while it goes on serving."""
        # It waits for commits that wait for the replica.
        self.primary.administrator.execute("SET GLOBAL read_only = 1")

    def kill(self) -> None:
        """End the primary at once, as a loss of power would."""
        ((file,),) = self.primary.administrator.execute("SELECT @@pid_file")
        ((folder,),) = self.primary.administrator.execute("SELECT @@datadir")
        os.kill(int((Path(folder) / file).read_text()), signal.SIGKILL)

    def promote(self) -> None:
        """Have the replica take writes, once it has all that it has received."""
        run = self.replica.administrator.execute
        run("STOP SLAVE IO_THREAD")
        deadline = time.monotonic() + FOLLOW_SECONDS
        while not self._has_applied_all():
            assert time.monotonic() < deadline, "the replica has not applied what it has received"
            time.sleep(0.02)
        run("STOP SLAVE", "SET GLOBAL read_only = 0")

    def _has_applied_all(self) -> bool:
        ((state, *_),) = self.replica.administrator.execute(
            "SELECT state FROM information_schema.processlist WHERE command = 'Slave_SQL'"
        )
        return "has read all relay log" in str(state)


@contextmanager
def pair(database: str) -> Iterator[Pair]:
    """Start a primary and a replica.

    Args:
        database: A database to make, which the application owns.

    Raises:
        Unavailable: If the programs are not installed, or the replica does not follow.
    """
    with ExitStack() as stack:
        servers = []
        for number in (1, 2):
            way = next(MariaDB.private_ways(*_options(number)), None)
            if way is None:
                raise Unavailable(f"MariaDB is not installed: {MariaDB.advice}")
            servers.append(stack.enter_context(way))
        primary, replica = servers
        found = Pair(primary, replica, secrets.token_hex(16))
        _follow(found)
        account = f"{USER}@'{LOOPBACK}'"
        run = primary.administrator.execute
        run(
            f"CREATE USER {account} IDENTIFIED BY '{found.password}'",
            f"CREATE DATABASE {database}",
            f"GRANT ALL ON {database}.* TO {account}",
        )
        yield found


def _follow(pair: Pair) -> None:
    primary, replica = pair.primary.administrator, pair.replica.administrator
    ((position,),) = primary.execute("SELECT @@gtid_binlog_pos")
    url = pair.primary.url
    replica.execute(
        "RESET MASTER",
        f"SET GLOBAL gtid_slave_pos = '{position}'",
        f"CHANGE MASTER TO master_host = '{LOOPBACK}', master_port = {url.port}, "
        f"master_user = '{url.username}', master_password = '{url.password}', "
        "master_use_gtid = slave_pos",
        "START SLAVE",
        "SET GLOBAL read_only = 1",
    )
    deadline = time.monotonic() + FOLLOW_SECONDS
    while _status(pair.primary, "Rpl_semi_sync_master_clients") != "1":
        if time.monotonic() > deadline:
            raise Unavailable("the replica does not follow its primary")
        time.sleep(0.05)
    primary.execute("SET GLOBAL rpl_semi_sync_master_enabled = ON")


def _status(server: MariaDB, name: str) -> Any:
    ((_, value),) = server.administrator.execute(f"SHOW STATUS LIKE '{name}'")
    return value
