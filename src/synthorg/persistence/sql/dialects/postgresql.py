"""PostgreSQL through asyncpg or psycopg: SQLSTATEs, advisory lock, triggers."""

from collections.abc import Awaitable, Collection, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar, Final

from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    Executable,
    String,
    Table,
    Text,
    bindparam,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from synthorg.persistence.config import PostgreSQLConfig
from synthorg.persistence.errors import MigrationError
from synthorg.persistence.sql.completion import Result, to_the_end
from synthorg.persistence.sql.dialects.asyncpg_connector import AsyncpgConnector
from synthorg.persistence.sql.dialects.asyncpg_express import AsyncpgDriver
from synthorg.persistence.sql.dialects.base import (
    BROKEN_CHECK,
    BROKEN_REFERENCE,
    DUPLICATE,
    ISOLATION_LEVEL,
    LOCKED,
    MISSING_VALUE,
    OUT_OF_RANGE,
    READ_ONLY_OPTION,
    SCHEMA_MISFIT,
    Diagnosis,
    Dialect,
    Fault,
    held_too_long,
    import_driver,
    insert_values,
    insertable,
    lost,
    pool_options,
    replacing_on_conflict,
    unusable,
)
from synthorg.persistence.sql.dialects.idle_connections import ask_after_idleness
from synthorg.persistence.sql.dialects.inspection import Inspection
from synthorg.persistence.sql.dialects.postgresql_connector import with_advice
from synthorg.persistence.sql.dialects.postgresql_counting import (
    TO_IDENTITY,
    TO_SEQUENCE,
    counting,
)
from synthorg.persistence.sql.dialects.postgresql_inspection import PostgreSQLInspection
from synthorg.persistence.sql.dialects.postgresql_lock import limit_waiting, migration_lock
from synthorg.persistence.sql.dialects.psycopg_connector import PsycopgConnector
from synthorg.persistence.sql.dialects.psycopg_interruption import Interruption
from synthorg.persistence.sql.dialects.server_express import (
    LOCK_PATIENCE_MILLISECONDS,
    ServerExpress,
    ServerLane,
    lanes_of,
)
from synthorg.persistence.sql.dialects.server_transaction import ServerTransaction
from synthorg.persistence.sql.express import DriverTransaction, Express
from synthorg.persistence.sql.turns import Turns

_FOREIGN_SESSION: Final = unusable(
    "the server knows other prepared statements than this connection has made, as behind a pooler "
    "that changes sessions; set pool_mode = session there, or connect to the server itself"
)
_STALE: Final = Diagnosis(Fault.TRANSIENT, "the schema changed under a prepared statement")

# A session may be ended between the commit of a statement and the answer to it.
_FAREWELLS: Final = {
    "25P03": lost("the transaction was idle for longer than the server allows"),
    "25P04": lost("the transaction took longer than the server allows"),
    "57P01": lost("the server has ended the connection"),
    "57P02": lost("the server has crashed"),
    "57P03": lost("the server is starting, stopping or recovering"),
    "57P04": lost("the database was dropped"),
    "57P05": lost("the connection was idle for longer than the server allows"),
}

_DIAGNOSES: Final = {
    **_FAREWELLS,
    "23505": DUPLICATE,
    "23503": BROKEN_REFERENCE,
    "23502": MISSING_VALUE,
    "23514": BROKEN_CHECK,
    "23001": Diagnosis(Fault.APPEND_ONLY, "the database protects existing rows from change"),
    "40001": Diagnosis(Fault.TRANSIENT, "it conflicted with a concurrent transaction"),
    "40P01": Diagnosis(Fault.TRANSIENT, "it was in a deadlock with another transaction"),
    "55P03": LOCKED,
    "57014": Diagnosis(Fault.REFUSED, "it took longer than the statement timeout"),
    "42P01": SCHEMA_MISFIT,
    "42703": SCHEMA_MISFIT,
    "22001": Diagnosis(Fault.REFUSED, "a text is too long for its column"),
    "22003": OUT_OF_RANGE,
    "28000": unusable("the server does not accept this user"),
    "28P01": unusable("the server does not accept this password"),
    "3D000": unusable("the database does not exist"),
    "42501": Diagnosis(Fault.REFUSED, "the user lacks a privilege for it"),
    "53300": unusable("the server has too many connections"),
    "53100": unusable("the server's disk is full"),
    "25006": unusable(
        "the server is read-only, as a standby is, or default_transaction_read_only is set"
    ),
    "26000": _FOREIGN_SESSION,
    "42P05": _FOREIGN_SESSION,
}
"""By SQLSTATE. https://www.postgresql.org/docs/current/errcodes-appendix.html"""

_CONNECTION_CLASSES: Final = ("08", "58")
_RESOURCES_CLASS: Final = "53"
_WITHOUT_CODE: Final = {
    # asyncpg's own, not the classes derived from them. Of a closed connection, before it sends:
    "InterfaceError": unusable("the connection to the server was lost"),
    # Between a server's farewell and the end of the connection:
    "InternalClientError": lost("the connection to the server was lost"),
    # psycopg's own, not the classes derived from it by SQLSTATE:
    "OperationalError": lost("the connection to the server was lost"),
}
_PROTOCOL_VIOLATION: Final = "08P01"
_NOT_SUPPORTED: Final = "0A000"
_STALE_PLAN: Final = "InvalidCachedStatementError"  # as asyncpg says it
_STALE_PLAN_FUNCTION: Final = "RevalidateCachedQuery"  # as the server says it


class PostgreSQLDialect(Dialect):
    """A PostgreSQL server."""

    backend_name: ClassVar[str] = "postgresql"
    inspection: ClassVar[Inspection] = PostgreSQLInspection()
    duplicate_may_pass: ClassVar[bool] = True
    failure_ends_transaction: ClassVar[bool] = True

    def __init__(self, config: PostgreSQLConfig) -> None:
        self._config = config

    @property
    def description(self) -> str:
        return self._config.description

    @property
    def patience_seconds(self) -> float:
        return self._config.pool_timeout_seconds

    def create_engine(self) -> AsyncEngine:
        return self._engine_with(self._config.pool_size - self._lanes)

    def express(self, turns: Turns) -> Express | None:  # noqa: ARG002 (the server takes turns)
        if not self._lanes:
            return None
        patience = {"lock_timeout": str(LOCK_PATIENCE_MILLISECONDS)}
        engine = self._engine_with(self._lanes, patience, max_overflow=0)
        age = self._config.pool_recycle_seconds
        lanes = [ServerLane(engine, AsyncpgDriver, age, self) for _ in range(self._lanes)]
        return ServerExpress(lanes, engine)

    async def direct(
        self, connection: AsyncConnection, options: Mapping[str, Any]
    ) -> DriverTransaction | None:
        if not self._is_fast:
            return None
        driver = AsyncpgDriver((await connection.get_raw_connection()).driver_connection)
        level = options.get("isolation_level", ISOLATION_LEVEL)
        access = " READ ONLY" if options.get(READ_ONLY_OPTION) else ""
        return ServerTransaction(
            connection, driver, self, [f"BEGIN ISOLATION LEVEL {level}{access}"]
        )

    @property
    def _is_fast(self) -> bool:
        # psycopg has no way to run one statement with many values in one trip and read rows.
        return self._config.prepared_statements and self._config.driver == "asyncpg"

    @property
    def _lanes(self) -> int:
        return lanes_of(self._config.pool_size) if self._is_fast else 0

    def _engine_with(
        self,
        connections: int,
        settings: Mapping[str, str] = MappingProxyType({}),
        **options: Any,
    ) -> AsyncEngine:
        config = self._config
        module = import_driver(config.driver, "postgresql")
        connector = _CONNECTORS[config.driver](module, config, settings, self.diagnose)
        self.driver_errors = connector.errors
        if config.driver != "asyncpg":
            # The library has no such columns, and would ask for the type on every connection.
            options["use_native_hstore"] = False
        engine = create_async_engine(
            URL.create(
                f"postgresql+{config.driver}",
                username=config.username,
                host=config.host,
                port=config.port,
                database=config.database,
            ),
            async_creator=connector,
            pool_pre_ping=config.driver != "asyncpg",
            **(pool_options(config, connections) | options),
        )
        if config.driver == "asyncpg":
            ask_after_idleness(engine, AsyncpgDriver, self.driver_errors)
        return engine

    def upsert(self, table: Table, kept: Collection[str]) -> Executable:
        return replacing_on_conflict(insert(table).values(insert_values(table)), table, kept)

    def insert_arrays(self, table: Table) -> Insert:
        # https://www.postgresql.org/docs/current/functions-array.html: unnest() of many arrays
        names = list(insertable(table))
        arrays = [bindparam(name, type_=_array_of(table.columns[name])) for name in names]
        rows = func.unnest(*arrays).table_valued(*names, name="given").render_derived()
        return insert(table).from_select(names, select(*rows.c), include_defaults=False)

    def upsert_arrays(self, table: Table, kept: Collection[str]) -> Executable:
        return replacing_on_conflict(self.insert_arrays(table), table, kept)

    def utc_day(self, moment: ColumnElement[Any]) -> ColumnElement[str]:
        return func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD", type_=String())

    def diagnose_driver_error(self, error: BaseException) -> Diagnosis | None:
        name, code = type(error).__name__, getattr(error, "sqlstate", None)
        if code is None:
            return _WITHOUT_CODE.get(name)
        if code == _NOT_SUPPORTED and _is_stale(error):
            return _STALE
        if code == _PROTOCOL_VIOLATION:  # by which a pooler says anything
            return lost(with_advice(_words(error)))
        if code in _DIAGNOSES:
            return _DIAGNOSES[code]
        if code.startswith(_CONNECTION_CLASSES):
            return lost("the connection to the server was lost or refused")
        if code.startswith(_RESOURCES_CLASS):
            return unusable("the server lacks resources")
        return Diagnosis(Fault.REFUSED, f"the database refused it (SQLSTATE {code})")

    async def carry_out(self, connection: AsyncConnection, step: Awaitable[Result]) -> Result:
        if self._config.driver == "asyncpg":
            return await step
        return await to_the_end(step, interrupt=Interruption(connection))

    @contextmanager
    def migration_transaction(self, connection: Connection) -> Iterator[None]:
        lock = migration_lock(connection)
        lock.prepare(connection)
        held = False
        try:
            with connection.begin():
                # For this transaction only: the pool must never see a changed session.
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                limit_waiting(connection, self.migration_patience_seconds)
                lock.acquire(connection)
                held = True
                _keep_to_one_schema(connection)
                # Whoever waits for a table keeps all others waiting behind.
                limit_waiting(connection, self.patience_seconds)
                yield
                return
        except DBAPIError as error:
            if held or self.diagnose(error) is not LOCKED:
                raise
        raise held_too_long(self.migration_patience_seconds, lock.find_holder(connection))

    def append_only_triggers(self, table: str) -> tuple[str, ...]:
        function = (
            f"CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{table} is append-only' "
            "USING ERRCODE = 'restrict_violation'; END $$"
        )
        triggers = tuple(
            f"CREATE TRIGGER {table}_refuse_{name} BEFORE {event} ON {table} "
            f"FOR EACH {scope} EXECUTE FUNCTION {table}_refuse()"
            for name, event, scope in (
                ("change", "UPDATE OR DELETE", "ROW"),
                ("truncate", "TRUNCATE", "STATEMENT"),
            )
        )
        return function, *triggers

    def drop_append_only_triggers(self, table: str) -> tuple[str, ...]:
        return (f"DROP FUNCTION IF EXISTS {table}_refuse() CASCADE",)

    def append_only_trigger_names(self, table: str) -> tuple[str, ...]:
        return f"{table}_refuse_change", f"{table}_refuse_truncate"

    def count_by_identity(self, table: str, column: str) -> tuple[str, ...]:
        return (counting(table, column, TO_IDENTITY),)

    def count_by_sequence(self, table: str, column: str) -> tuple[str, ...]:
        return (counting(table, column, TO_SEQUENCE),)


def _keep_to_one_schema(connection: Connection) -> None:
    """Have this transaction make, find and drop tables in one schema, whatever comes after it."""
    schema = PostgreSQLInspection().find_home(connection)
    if schema is None:
        raise MigrationError(
            "search_path names no schema that exists and that this user may use; create one, or "
            "grant USAGE and CREATE on it"
        )
    search_path = text(
        "SELECT set_config('search_path', quote_ident(:schema) || ', pg_temp', true)"
    )
    connection.execute(search_path, {"schema": schema})


def _words(error: BaseException) -> str:
    # SQLAlchemy puts the class of the original before them.
    return str(error).partition("\n")[0].rpartition(">: ")[2]


def _is_stale(error: BaseException) -> bool:
    details = getattr(error, "diag", None)
    function = getattr(details, "source_function", None)
    return type(error).__name__ == _STALE_PLAN or function == _STALE_PLAN_FUNCTION


def _array_of(column: Column[Any]) -> ARRAY[Any]:
    # A cast to a text of limited length would cut the values off, where the column refuses them.
    return ARRAY(Text() if column.type.python_type is str else column.type)


_CONNECTORS: Final = {"asyncpg": AsyncpgConnector, "psycopg": PsycopgConnector}
