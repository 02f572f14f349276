"""A primary and one replica of each kind, as whoever reads on replicas needs them."""

import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

from sqlalchemy.exc import DBAPIError

from tests.servers import mariadb_replication, replication
from tests.servers.administrator import Administrator
from tests.servers.network import LOOPBACK

WAIT_SECONDS: Final = 30

_names = count()


class Following(ABC):
    """A primary and its replica, which confirms nothing, and may lag or be gone.

    Attributes:
        is_replica: A query that tells whether it is the replica that answers.
        databases: A query for the names of the databases that a server has.
    """

    is_replica: str
    databases: str
    is_gone = False
    """Whether the replica no longer follows, for good."""

    @property
    @abstractmethod
    def scheme(self) -> str:
        """What its URLs begin with."""

    @property
    @abstractmethod
    def accounts(self) -> tuple[str, int, int]:
        """The account, the port of the primary, and that of the replica."""

    @abstractmethod
    def on_primary(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements on the primary, and give the rows of the last one."""

    @abstractmethod
    def on_replica(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements on the replica, and give the rows of the last one."""

    @abstractmethod
    def hold(self) -> None:
        """Have the replica apply nothing more."""

    @abstractmethod
    def go_on(self) -> None:
        """Have the replica apply what it has received, and what follows."""

    @abstractmethod
    def delay(self, milliseconds: int) -> None:
        """Have the replica apply each commit so much later; whole seconds on MariaDB."""

    @abstractmethod
    def block_reads(self, database: str, table: str) -> AbstractContextManager[None]:
        """Have reads of a table wait on the replica.

        Args:
            database: Its database.
            table: The table.
        """

    @abstractmethod
    def end_sessions(self) -> None:
        """End all sessions on the replica but our own."""

    @abstractmethod
    def kill(self) -> None:
        """End the replica at once."""

    @abstractmethod
    def promote(self) -> None:
        """Have the replica take writes, whatever becomes of the primary."""

    def url(self, database: str) -> str:
        """Give the URL of a database, with the replica."""
        account, primary, replica = self.accounts
        address = f"{account}@{LOOPBACK}:{primary}/{database}"
        return f"{self.scheme}://{address}?replicas={LOOPBACK}:{replica}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database, and give its URL."""
        name = f"followed_{next(_names)}"
        self.on_primary(f"CREATE DATABASE {name}")
        # Tests say how late the replica is from here on.
        wait_until(lambda: (name,) in self.on_replica(self.databases))
        try:
            yield self.url(name)
        finally:
            if not self.is_gone:
                self.delay(0)
                self.go_on()


class PostgreSQLFollowing(Following):
    """`Following` of PostgreSQL.

    Args:
        pair: The servers.
    """

    is_replica = "SELECT pg_is_in_recovery()"
    databases = "SELECT datname FROM pg_database"
    scheme = "postgresql"

    def __init__(self, pair: replication.Pair) -> None:
        self.pair = pair
        pair.primary.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
        pair.primary.execute("SELECT pg_reload_conf()")

    @property
    def accounts(self) -> tuple[str, int, int]:
        """The account and the ports, as `Following` says."""
        first, second = self.pair.primary.url, self.pair.standby.url
        assert first.port is not None
        assert second.port is not None
        return f"{first.username}:{first.password}", first.port, second.port

    def on_primary(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements, as `Following` says."""
        return self.pair.primary.execute(*statements)

    def on_replica(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements, as `Following` says."""
        return self.pair.standby.execute(*statements)

    def hold(self) -> None:
        """Apply nothing more, as `Following` says."""
        hold(self.pair.standby)

    def go_on(self) -> None:
        """Apply again, as `Following` says."""
        self.on_replica("SELECT CASE WHEN pg_is_in_recovery() THEN pg_wal_replay_resume() END")

    def delay(self, milliseconds: int) -> None:
        """Apply later, as `Following` says."""
        self.on_replica(f"ALTER SYSTEM SET recovery_min_apply_delay = {milliseconds}")
        self.on_replica("SELECT pg_reload_conf()")

    @contextmanager
    def block_reads(self, database: str, table: str) -> Iterator[None]:
        """Have reads wait, as `Following` says."""
        locked = "SELECT true FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted"
        # What locks a table on the primary does so where that is replayed.
        with Administrator(self.pair.primary.administrator.url.set(database=database)) as session:
            session.execute("BEGIN", f"LOCK TABLE {table}")
            wait_until(lambda: self.on_replica(locked) != [])
            try:
                yield
            finally:
                session.execute("ROLLBACK")

    def end_sessions(self) -> None:
        """End all other sessions, as `Following` says."""
        self.on_replica(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    def crash_a_session(self) -> None:
        """Have one session crash, so that the server ends them all and starts anew."""
        ours = self._session()
        ((pid,),) = self.on_replica(
            "SELECT max(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self._session() not in (ours, None))

    def _session(self) -> int | None:
        try:
            ((pid,),) = self.on_replica("SELECT pg_backend_pid()")
        except (DBAPIError, OSError):
            return None
        return int(pid)

    def kill(self) -> None:
        """End the replica, as `Following` says."""
        self.is_gone = True
        self.pair.standby.kill()

    def promote(self) -> None:
        """Promote it, as `Following` says."""
        self.is_gone = True
        self.pair.standby.promote()


class MariaDBFollowing(Following):
    """`Following` of MariaDB.

    Args:
        pair: The servers.
    """

    is_replica = "SELECT @@server_id = 2"
    databases = "SHOW DATABASES"
    scheme = "mariadb"

    def __init__(self, pair: mariadb_replication.Pair) -> None:
        self.pair = pair
        self._delay = 0
        user = f"{mariadb_replication.USER}@'{LOOPBACK}'"
        self.on_primary(
            "SET GLOBAL rpl_semi_sync_master_enabled = OFF", f"GRANT ALL ON *.* TO {user}"
        )

    @property
    def accounts(self) -> tuple[str, int, int]:
        """The account and the ports, as `Following` says."""
        first, second = self.pair.primary.url.port, self.pair.replica.url.port
        assert first is not None
        assert second is not None
        return f"{mariadb_replication.USER}:{self.pair.password}", first, second

    def on_primary(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements, as `Following` says."""
        return self.pair.primary.administrator.execute(*statements)

    def on_replica(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements, as `Following` says."""
        return self.pair.replica.administrator.execute(*statements)

    def hold(self) -> None:
        """Apply nothing more, as `Following` says."""
        self.on_replica("STOP SLAVE SQL_THREAD")

    def go_on(self) -> None:
        """Apply again, as `Following` says."""
        self.on_replica("START SLAVE SQL_THREAD")

    def delay(self, milliseconds: int) -> None:
        """Apply later, as `Following` says."""
        if milliseconds != self._delay:
            self._delay = milliseconds
            self.on_replica(
                "STOP SLAVE",
                f"CHANGE MASTER TO master_delay = {milliseconds // 1000}",
                "START SLAVE",
            )

    @contextmanager
    def block_reads(self, database: str, table: str) -> Iterator[None]:
        """Have reads wait, as `Following` says."""
        self.on_replica(f"LOCK TABLES {database}.{table} WRITE")
        try:
            yield
        finally:
            self.on_replica("UNLOCK TABLES")

    def end_sessions(self) -> None:
        """End all other sessions, as `Following` says."""
        sessions = (
            "SELECT id FROM information_schema.processlist"
            f" WHERE user = '{mariadb_replication.USER}'"
        )
        for (number,) in self.on_replica(sessions):
            # It may have ended by itself meanwhile, which is an error.
            self.on_replica(
                f"BEGIN NOT ATOMIC DECLARE CONTINUE HANDLER FOR 1094 BEGIN END; KILL {number}; END"
            )

    def kill(self) -> None:
        """End the replica, as `Following` says."""
        self.is_gone = True
        ((file,),) = self.on_replica("SELECT @@pid_file")
        ((folder,),) = self.on_replica("SELECT @@datadir")
        os.kill(int((Path(folder) / file).read_text()), signal.SIGKILL)

    def promote(self) -> None:
        """Promote it, as `Following` says."""
        self.is_gone = True
        self.on_replica("STOP SLAVE", "SET GLOBAL read_only = 0")


def hold(standby: replication.Member) -> None:
    """Have a standby apply nothing more.

    Args:
        standby: The standby.
    """
    standby.execute("SELECT pg_wal_replay_pause()")
    state = "SELECT pg_get_wal_replay_pause_state()"
    wait_until(lambda: standby.execute(state) == [("paused",)])


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what comes by itself."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it has not come"
        time.sleep(0.02)
