"""MySQL and MariaDB through asyncmy: guarded upsert, error numbers, named lock."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from sqlalchemy import URL, Connection, Executable, Table, and_, func, null, text
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from synthorg.persistence.config import MySQLConfig
from synthorg.persistence.errors import MigrationError
from synthorg.persistence.sql.dialects.base import (
    APPEND_ONLY,
    BROKEN_CHECK,
    BROKEN_REFERENCE,
    DUPLICATE,
    LOCKED,
    MISSING_VALUE,
    SCHEMA_MISFIT,
    Diagnosis,
    Dialect,
    Fault,
    import_driver,
    insert_values,
    pool_options,
    unusable,
)
from synthorg.persistence.sql.dialects.tls import client_context

MIGRATION_LOCK: Final = "synthorg_migration"
MIGRATION_PATIENCE_SECONDS: Final = 300

_TIMED_OUT: Final = Diagnosis(Fault.REFUSED, "it took longer than the statement timeout")
_TOO_LONG: Final = Diagnosis(Fault.REFUSED, "a text is too long for its column")
_OUT_OF_RANGE: Final = Diagnosis(Fault.REFUSED, "a number is out of range")
_LOST: Final = unusable("the connection to the server was lost")
_UNREACHABLE: Final = unusable("the server could not be reached")
_DENIED: Final = unusable("the server does not accept this user or password")
_CROWDED: Final = unusable("the server has too many connections")
_READ_ONLY: Final = unusable("the server is read-only, as a replica is")
_DISK_FULL: Final = unusable("the server's disk is full")

_DIAGNOSES: Final = {
    1062: DUPLICATE,
    1586: DUPLICATE,
    1048: MISSING_VALUE,
    1364: MISSING_VALUE,
    1216: BROKEN_REFERENCE,
    1217: BROKEN_REFERENCE,
    1451: BROKEN_REFERENCE,
    1452: BROKEN_REFERENCE,
    3819: BROKEN_CHECK,
    4025: BROKEN_CHECK,
    1644: APPEND_ONLY,
    1213: Diagnosis(Fault.TRANSIENT, "it was in a deadlock with another transaction"),
    1020: Diagnosis(Fault.TRANSIENT, "it conflicted with a concurrent transaction"),
    1205: LOCKED,
    1969: _TIMED_OUT,
    3024: _TIMED_OUT,
    1146: SCHEMA_MISFIT,
    1054: SCHEMA_MISFIT,
    1406: _TOO_LONG,
    1264: _OUT_OF_RANGE,
    1690: _OUT_OF_RANGE,
    1142: Diagnosis(Fault.REFUSED, "the user lacks a privilege for it"),
    1044: _DENIED,
    1045: _DENIED,
    1129: _DENIED,
    1130: _DENIED,
    1049: unusable("the database does not exist"),
    1040: _CROWDED,
    1203: _CROWDED,
    1047: unusable("the node is not part of its cluster"),
    1053: _LOST,
    2006: _LOST,
    2013: _LOST,
    2055: _LOST,
    2002: _UNREACHABLE,
    2003: _UNREACHABLE,
    1290: _READ_ONLY,
    1792: _READ_ONLY,
    1836: _READ_ONLY,
    1021: _DISK_FULL,
    1114: _DISK_FULL,
}
"""By error number. https://mariadb.com/kb/en/mariadb-error-code-reference/"""


class MySQLDialect(Dialect):
    """A MySQL server."""

    backend_name: ClassVar[str] = "mysql"
    statement_timeout: ClassVar[str] = "max_execution_time = {milliseconds:d}"
    """The session variable of the time limit; MySQL applies it to SELECT alone."""

    def __init__(self, config: MySQLConfig) -> None:
        self._config = config

    @property
    def description(self) -> str:
        return self._config.description

    @property
    def patience_seconds(self) -> float:
        return self._config.pool_timeout_seconds

    def create_engine(self) -> AsyncEngine:
        config = self._config
        import_driver("asyncmy", self.backend_name)
        password = config.password
        return create_async_engine(
            URL.create(
                f"{self.backend_name}+asyncmy",
                username=config.username,
                password=None if password is None else password.get_secret_value(),
                host=config.host,
                port=config.port,
                database=config.database,
                query={"charset": "utf8mb4"},
            ),
            connect_args=self._connect_arguments(),
            **pool_options(config),
        )

    async def inspect_server(self, connection: AsyncConnection) -> None:
        limit = await connection.scalar(text("SELECT @@max_allowed_packet"))
        self.largest_payload = int(limit)

    def upsert(self, table: Table, kept: Collection[str]) -> Executable:
        # ON DUPLICATE KEY UPDATE would also overwrite a row that owns another unique key. The
        # guard sets the key of such a row to NULL, which the server refuses. It has to stand
        # first, since assignments are made in their order.
        values = insert_values(table)
        statement = insert(table).values(values)
        new = statement.inserted
        key = [column.name for column in table.primary_key]
        same_row = and_(*[table.columns[name] == new[name] for name in key])
        guard = (key[0], func.if_(same_row, table.columns[key[0]], null()))
        replaced = [(name, new[name]) for name in values if name not in key and name not in kept]
        return statement.on_duplicate_key_update([guard, *replaced])

    def diagnose_driver_error(self, error: BaseException) -> Diagnosis | None:
        number = error.args[0] if error.args else None
        if not isinstance(number, int):
            return None
        unknown = Diagnosis(Fault.REFUSED, f"the database refused it (error {number})")
        return _DIAGNOSES.get(number, unknown)

    @contextmanager
    def migration_transaction(self, connection: Connection) -> Iterator[None]:
        # DDL commits by itself here, so only the lock keeps others out, and every revision has to
        # go on from wherever it was stopped.
        lock = {"name": MIGRATION_LOCK, "seconds": MIGRATION_PATIENCE_SECONDS}
        taken = connection.scalar(
            text("SELECT GET_LOCK(CONCAT(:name, ':', DATABASE()), :seconds)"), lock
        )
        if taken != 1:
            raise MigrationError(
                f"another process has been migrating for {MIGRATION_PATIENCE_SECONDS} s; "
                "look for it in SHOW PROCESSLIST"
            )
        try:
            yield
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(
                text("DO RELEASE_LOCK(CONCAT(:name, ':', DATABASE()))"), {"name": MIGRATION_LOCK}
            )
            connection.commit()

    def append_only_triggers(self, table: str) -> tuple[str, ...]:
        return tuple(
            f"CREATE TRIGGER IF NOT EXISTS {table}_refuse_{event.lower()} BEFORE {event} ON {table}"
            f" FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{table} is append-only'"
            for event in ("UPDATE", "DELETE")
        )

    def drop_append_only_triggers(self, table: str) -> tuple[str, ...]:
        return tuple(
            f"DROP TRIGGER IF EXISTS {table}_refuse_{event}" for event in ("update", "delete")
        )

    def _connect_arguments(self) -> dict[str, Any]:
        config = self._config
        timeout = self.statement_timeout.format(
            milliseconds=round(config.statement_timeout_seconds * 1000),
            seconds=config.statement_timeout_seconds,
        )
        return {
            "connect_timeout": max(1, round(config.connect_timeout_seconds)),
            "ssl": client_context(config.tls),
            # Without a strict mode the server would cut what is too long.
            "init_command": (
                f"SET SESSION {timeout}, sql_mode = CONCAT_WS(',', @@sql_mode, 'STRICT_ALL_TABLES')"
            ),
        }


class MariaDBDialect(MySQLDialect):
    """A MariaDB server."""

    backend_name: ClassVar[str] = "mariadb"
    statement_timeout: ClassVar[str] = "max_statement_time = {seconds:f}"
