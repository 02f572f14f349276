"""The migration lock of PostgreSQL, and of servers that only speak its protocol."""

from abc import ABC, abstractmethod
from typing import ClassVar, Final

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError

from synthorg.persistence.sql.dialects.base import SOMEBODY

KEY: Final = 0x73796E74686F7267  # "synthorg": the key of the advisory lock
PROBE_SPACE: Final = 0x70726F62  # "prob": with the process id a key that nobody else uses
ATTEMPTS: Final = 20

_PROBE: Final = text("SELECT pg_advisory_xact_lock(:space, pg_backend_pid())").bindparams(
    space=PROBE_SPACE
)
_PROBE_IS_HELD: Final = text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted "
    "AND pid = pg_backend_pid() AND CAST(classid AS bigint) = :space"
).bindparams(space=PROBE_SPACE)


class MigrationLock(ABC):
    """A lock that ends with the transaction, and so also when its holder dies."""

    acquisition: ClassVar[TextClause]
    """The statement that waits for the lock."""

    holder: ClassVar[TextClause]
    """The query for the session that has the lock."""

    @abstractmethod
    def prepare(self, connection: Connection) -> None:
        """Make what the lock needs, in transactions of its own."""

    def acquire(self, connection: Connection) -> None:
        """Wait for the lock, in the transaction that is to hold it."""
        connection.execute(self.acquisition)

    def find_holder(self, connection: Connection) -> str:
        """Say who holds the lock, as far as the server tells."""
        try:
            with connection.begin():
                row = connection.execute(self.holder).first()
        except DBAPIError:  # other servers have other catalogues
            return SOMEBODY
        if row is None:
            return SOMEBODY
        pid, user, host, application = row
        return f"server process {pid} ({user or '?'}@{host or 'local'}, {application or 'unnamed'})"


class AdvisoryLock(MigrationLock):
    """PostgreSQL's own lock for applications."""

    acquisition = text("SELECT pg_advisory_xact_lock(:key)").bindparams(key=KEY)
    holder = text(
        "SELECT l.pid, a.usename, host(a.client_addr), a.application_name FROM pg_locks l "
        "LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
        "WHERE l.granted AND l.pid <> pg_backend_pid() "
        "AND l.locktype = 'advisory' AND l.objsubid = 1 "
        "AND CAST(l.classid AS bigint) = :high AND CAST(l.objid AS bigint) = :low "
        "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    ).bindparams(high=KEY >> 32, low=KEY & 0xFFFFFFFF)

    def prepare(self, connection: Connection) -> None:
        """Nothing is needed."""


class RowLock(MigrationLock):
    """The lock on the one row of a table."""

    acquisition = text("SELECT id FROM synthorg_persistence_lock WHERE id = 1 FOR UPDATE")
    holder = text(
        "SELECT l.pid, a.usename, host(a.client_addr), a.application_name FROM pg_locks l "
        "LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
        "WHERE l.granted AND l.pid <> pg_backend_pid() AND l.mode = 'RowShareLock' "
        "AND l.relation = CAST('synthorg_persistence_lock' AS regclass)"
    )

    def prepare(self, connection: Connection) -> None:
        """Make the table with its row; several may try at once, and all but one fail."""
        statements = (
            "CREATE TABLE IF NOT EXISTS synthorg_persistence_lock (id integer PRIMARY KEY)",
            "INSERT INTO synthorg_persistence_lock (id) VALUES (1) ON CONFLICT DO NOTHING",
        )
        for statement in statements:
            for remaining in reversed(range(ATTEMPTS)):
                try:
                    with connection.begin():
                        connection.execute(text(statement))
                    break
                except DBAPIError as error:
                    if error.connection_invalidated or not remaining:
                        raise


def migration_lock(connection: Connection) -> MigrationLock:
    """Choose the lock that works on this server.

    Compatible servers either refuse the call, or accept it and lock nothing; so a lock counts
    only when the server also lists it.

    Args:
        connection: A connection with no transaction begun.
    """
    try:
        with connection.begin():
            connection.execute(_PROBE)
            works = bool(connection.scalar(_PROBE_IS_HELD))
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        works = False
    return AdvisoryLock() if works else RowLock()


def limit_waiting(connection: Connection, seconds: float) -> None:
    """Limit how long a statement of this transaction waits for any lock."""
    connection.execute(text(f"SET LOCAL lock_timeout = '{max(1, round(seconds * 1000))}ms'"))
