"""PostgreSQL through asyncpg or psycopg: SQLSTATEs, advisory lock, triggers."""

import asyncio
from collections.abc import Awaitable, Collection, Iterator, Mapping, Sequence
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
    bindparam,
    event,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from synthorg.persistence.config import PostgreSQLConfig, Reads
from synthorg.persistence.errors import MigrationError
from synthorg.persistence.observing import ObservedDatabase
from synthorg.persistence.sql.dialects.asyncpg_connector import AsyncpgConnector
from synthorg.persistence.sql.dialects.base import (
    ISOLATION_LEVEL,
    READ_ONLY_OPTION,
    Dialect,
    held_too_long,
    import_driver,
    insert_values,
    insertable,
    pool_options,
    replacing_on_conflict,
)
from synthorg.persistence.sql.dialects.findings import Finding
from synthorg.persistence.sql.dialects.joined_text import JoinedText, taken_apart
from synthorg.persistence.sql.dialects.positions import (
    LOG_POSITION_QUESTION,
    Position,
    log_position,
)
from synthorg.persistence.sql.dialects.postgresql_counting import (
    TO_IDENTITY,
    TO_SEQUENCE,
    counting,
)
from synthorg.persistence.sql.dialects.postgresql_errors import diagnosis_of
from synthorg.persistence.sql.dialects.postgresql_examination import examine
from synthorg.persistence.sql.dialects.postgresql_inspection import PostgreSQLInspection
from synthorg.persistence.sql.dialects.postgresql_lock import limit_waiting, migration_lock
from synthorg.persistence.sql.dialects.postgresql_triggers import Trigger, triggers_of
from synthorg.persistence.sql.dialects.prefixing import write_prefix
from synthorg.persistence.sql.dialects.psycopg_connector import PsycopgConnector
from synthorg.persistence.sql.dialects.triggered import AppendOnly, Triggered
from synthorg.persistence.sql.drivers.answer_timeout import answer_timeout_for
from synthorg.persistence.sql.drivers.asyncpg import AsyncpgDriver
from synthorg.persistence.sql.drivers.asyncpg_pipeline import is_supported
from synthorg.persistence.sql.drivers.asyncpg_pooled import driver_of
from synthorg.persistence.sql.drivers.base import DriverPool, DriverTransaction
from synthorg.persistence.sql.drivers.cancellation import Result, run_to_completion
from synthorg.persistence.sql.drivers.faults import LOCKED, Diagnosis, Fault
from synthorg.persistence.sql.drivers.forks import protect_connections
from synthorg.persistence.sql.drivers.idle_connections import replace_unfit
from synthorg.persistence.sql.drivers.openings import Openings, watch_losses
from synthorg.persistence.sql.drivers.pool_state import wait_where_crowded
from synthorg.persistence.sql.drivers.psycopg_interruption import Interruption
from synthorg.persistence.sql.drivers.server import (
    LOCK_TIMEOUT_MILLISECONDS,
    ServerConnection,
    ServerPool,
    kept_connections,
)
from synthorg.persistence.sql.drivers.server_driver import ServerDriver
from synthorg.persistence.sql.drivers.server_transaction import ServerTransaction
from synthorg.persistence.sql.drivers.sockets import sever
from synthorg.persistence.sql.drivers.write_lock import WriteLock
from synthorg.persistence.sql.tables import NUMBER, LibraryName
from synthorg.persistence.sql.types import JsonDocument, LongText, ShortText

PREPARED: Final = "synthorg_prepared"
"""By which a connection of the pool keeps what is prepared on it."""

EXPLAINED: Final = "synthorg_explained"
"""The name of a prepared statement whose plan is asked for."""


class PostgreSQLDialect(Dialect):
    """A PostgreSQL server."""

    backend_name: ClassVar[str] = "postgresql"
    duplicate_may_pass: ClassVar[bool] = True
    failure_ends_transaction: ClassVar[bool] = True

    _config: PostgreSQLConfig

    position_question: ClassVar[str] = LOG_POSITION_QUESTION

    def __init__(self, config: PostgreSQLConfig, *, is_replica: bool = False) -> None:
        self._config = config
        self._is_replica = is_replica
        self._connector: AsyncpgConnector | PsycopgConnector | None = None
        self.inspection: PostgreSQLInspection = PostgreSQLInspection(config.table_prefix)
        self.answer_timeout_seconds = answer_timeout_for(config.statement_timeout_seconds)
        self.failover_timeout_seconds = config.failover_timeout_seconds
        self.openings = Openings(self.diagnose)

    @property
    def observed(self) -> ObservedDatabase:
        config = self._config
        names = (config.database, config.schema_name)
        namespace = "|".join(name for name in names if name is not None)
        return ObservedDatabase(self.backend_name, namespace, config.host, config.server_port)

    @property
    def place(self) -> str | None:
        schema = self._config.schema_name
        return self._config.place if schema is None else f"{self._config.place}/{schema}"

    @property
    def lock_timeout_seconds(self) -> float:
        return self._config.pool_timeout_seconds

    @property
    def reads(self) -> Reads:
        return self._config.reads

    @property
    def replica_wait_seconds(self) -> float:
        return self._config.replica_wait_seconds

    def replicas(self) -> Sequence[Dialect]:
        return [PostgreSQLDialect(each, is_replica=True) for each in self._config.of_replicas]

    def position(self, answer: Sequence[Any]) -> Position | None:
        return log_position(answer)

    @property
    def keeps_sessions(self) -> bool:
        return self._connector is None or not self._connector.is_stateless

    async def plan(self, connection: AsyncConnection, expression: Executable) -> Sequence[str]:
        compiled = expression.compile(dialect=connection.dialect)  # type: ignore[attr-defined]
        names = [*(compiled.positiontup or compiled.bind_names.values())]
        statement = str(compiled)
        if not compiled.positional:
            statement %= {name: f"${place}" for place, name in enumerate(names, 1)}
        unknown = f"({', '.join(['NULL'] * len(names))})" if names else ""
        # EXPLAIN (GENERIC_PLAN) is of PostgreSQL 16.
        await connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.exec_driver_sql(f"PREPARE {EXPLAINED} AS {statement}")
        try:
            rows = await connection.exec_driver_sql(f"EXPLAIN EXECUTE {EXPLAINED}{unknown}")
            return [*rows.scalars()]
        finally:
            await connection.exec_driver_sql(f"DEALLOCATE {EXPLAINED}")

    def create_engine(self) -> AsyncEngine:
        engine = self._engine_with(self._config.pool_size - self._kept_connections)
        wait_where_crowded(engine, self.openings)
        return engine

    def driver_pool(self, engine: AsyncEngine, write_lock: WriteLock) -> DriverPool | None:  # noqa: ARG002 (the server sorts writers out)
        if not self._kept_connections:
            return None
        answer_timeout = {"lock_timeout": str(LOCK_TIMEOUT_MILLISECONDS)}
        kept = self._engine_with(self._kept_connections, answer_timeout, max_overflow=0)
        age = self._config.pool_recycle_seconds
        connections = [
            ServerConnection(kept, driver_of, age, self) for _ in range(self._kept_connections)
        ]
        return ServerPool(connections, kept)

    async def driver_transaction(
        self, connection: AsyncConnection, options: Mapping[str, Any]
    ) -> DriverTransaction | None:
        if not self._is_fast:
            return None
        pooled = await connection.get_raw_connection()
        # Others use the only statement without a name where a session is one transaction's.
        pipelines = self.keeps_sessions and is_supported()
        prepared = pooled.info.setdefault(PREPARED, {}) if pipelines else None
        driver = AsyncpgDriver(pooled.driver_connection, prepared)
        level = options.get("isolation_level", ISOLATION_LEVEL)
        access = " READ ONLY" if options.get(READ_ONLY_OPTION) else ""
        return ServerTransaction(
            connection, driver, self, [f"BEGIN ISOLATION LEVEL {level}{access}"]
        )

    async def driver(self, connection: AsyncConnection) -> ServerDriver | None:
        if not self._is_fast:
            return None
        return driver_of((await connection.get_raw_connection()).driver_connection)

    @property
    def _is_fast(self) -> bool:
        # psycopg has no way to run one statement with many values in one trip and read rows.
        return self._config.prepared_statements and self._config.driver == "asyncpg"

    @property
    def _kept_connections(self) -> int:
        is_kept = self._is_fast and not self._is_replica
        return kept_connections(self._config.pool_size) if is_kept else 0

    def _engine_with(
        self,
        connections: int,
        settings: Mapping[str, str] = MappingProxyType({}),
        **options: Any,
    ) -> AsyncEngine:
        config = self._config
        module = import_driver(config.driver, "postgresql")
        connector = _CONNECTORS[config.driver](
            module, config, settings, self.diagnose, self.openings
        )
        self.driver_errors = connector.errors
        self._connector = connector
        if config.driver != "asyncpg":
            # The library has no such columns, and would ask for the type on every connection.
            options["use_native_hstore"] = False

        def creator() -> Any:
            # What is in between, and so how to adapt a connection, is known once it is open.
            opened = await_only(connector())

            async def give() -> Any:
                return opened

            adapter: Any = engine.sync_engine.dialect.dbapi
            return adapter.connect(async_creator_fn=give, **connector.adaptation)

        engine = create_async_engine(
            URL.create(
                f"postgresql+{config.driver}",
                username=config.username,
                host=config.host,
                port=config.port,
                database=config.database,
            ),
            creator=creator,
            **(pool_options(config, connections) | options),
        )
        write_prefix(engine, self.table_prefix)
        connector.watch(engine)
        protect_connections(engine, self.connections, sever)
        event.listen(engine.sync_engine, "handle_error", self._drop_what_is_of_no_use)
        replace_unfit(engine, self, connector.ping, config.connect_timeout_seconds)
        watch_losses(engine, self.openings)
        return engine

    def joining_options(self) -> Mapping[str, Any]:
        return {"isolation_level": "AUTOCOMMIT"}  # which the pool resets

    def _drop_what_is_of_no_use(self, context: ExceptionContext) -> None:
        """Have SQLAlchemy drop connections also to a server that turns out to be read-only.

        The next ones may lead to its successor; and where a transaction could not begin, a driver
        may take the connection for one with a transaction ever after.
        """
        if self.diagnose(context.original_exception).fault is Fault.CONNECTION:
            context.is_disconnect = True

    def upsert(
        self, table: Table, kept: Collection[str], added: Collection[str] = ()
    ) -> Executable:
        statement = insert(table).values(insert_values(table))
        return replacing_on_conflict(statement, table, kept, added)

    def insert_arrays(self, table: Table) -> Insert:
        # https://www.postgresql.org/docs/current/functions-array.html: unnest() of many arrays
        names = list(insertable(table))
        arrays = [_array_of(table.columns[name]) for name in names]
        rows = func.unnest(*arrays).table_valued(*names, name="given").render_derived()
        return insert(table).from_select(names, select(*rows.c), include_defaults=False)

    def upsert_arrays(self, table: Table, kept: Collection[str]) -> Executable:
        return replacing_on_conflict(self.insert_arrays(table), table, kept)

    def examine(self, connection: Connection, tables: Collection[str]) -> Iterator[Finding]:
        return examine(connection, tables)

    def utc_day(self, moment: ColumnElement[Any]) -> ColumnElement[str]:
        return func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD", type_=String())

    def diagnose_driver_error(self, error: BaseException) -> Diagnosis | None:
        return diagnosis_of(error)

    async def carry_out(self, connection: AsyncConnection, step: Awaitable[Result]) -> Result:
        if self._config.driver == "asyncpg":
            return await step
        return await run_to_completion(step, interrupt=Interruption(connection))

    @contextmanager
    def migration_transaction(self, connection: Connection) -> Iterator[None]:
        lock = migration_lock(connection)
        lock.prepare(connection)
        held = False
        try:
            with connection.begin():
                # For this transaction only: the pool must never see a changed session.
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                limit_waiting(connection, self.migration_lock_timeout_seconds)
                lock.acquire(connection)
                held = True
                self._keep_to_one_schema(connection)
                # Whoever waits for a table keeps all others waiting behind.
                limit_waiting(connection, self.lock_timeout_seconds)
                yield
                return
        except DBAPIError as error:
            if held or self.diagnose(error) is not LOCKED:
                raise
        raise held_too_long(self.migration_lock_timeout_seconds, lock.find_holder(connection))

    def _keep_to_one_schema(self, connection: Connection) -> None:
        """Have this transaction make, find and drop tables in one schema alone."""
        schema = self.inspection.find_schema(connection)
        if schema is None:
            raise MigrationError(
                "search_path names no schema that exists and that this user may use; create one, "
                "or grant USAGE and CREATE on it"
            )
        search_path = text(
            "SELECT set_config('search_path', quote_ident(:schema) || ', pg_temp', true)"
        )
        connection.execute(search_path, {"schema": schema})

    def create_triggers(self, what: Triggered) -> tuple[str, ...]:
        triggers = triggers_of(what)
        # Those of an append-only table become so by a revision of their own.
        always = () if isinstance(what, AppendOnly) else _always(triggers)
        return (*_created(triggers), *always)

    def drop_triggers(self, what: Triggered) -> tuple[str, ...]:
        functions = dict.fromkeys(each.function for each in triggers_of(what).values())
        return tuple(f"DROP FUNCTION IF EXISTS {each}() CASCADE" for each in functions)

    def trigger_names(self, what: Triggered) -> tuple[str, ...]:
        return tuple(triggers_of(what))

    def guard_every_session(self, table: str) -> tuple[str, ...]:
        return _always(triggers_of(AppendOnly(table)))

    def guard_usual_sessions(self, table: str) -> tuple[str, ...]:
        return tuple(
            f"ALTER TABLE {table} ENABLE TRIGGER {name}"
            for name in self.trigger_names(AppendOnly(table))
        )

    def count_by_identity(self, table: str, column: str) -> tuple[str, ...]:
        return (counting(table, column, TO_IDENTITY),)

    def count_by_sequence(self, table: str, column: str) -> tuple[str, ...]:
        return (counting(table, column, TO_SEQUENCE),)

    def number_rows(
        self,
        table: str,
        time: str,
        without: Sequence[str],
        by_id: str,
        *,
        is_ordered: bool,  # noqa: ARG002 (nothing is left halfway)
    ) -> Iterator[str]:
        # https://www.postgresql.org/docs/current/sql-cluster.html
        in_order = f"{table}_in_order"
        yield "SET LOCAL synchronize_seqscans = off"  # else a scan may begin in the middle
        yield f"CREATE INDEX {in_order} ON {table} ({time}, id)"
        for index in without:
            yield f"DROP INDEX {index}"
        yield f"CLUSTER {table} USING {in_order}"
        yield f"DROP INDEX {in_order}"
        yield (
            f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey, "
            f"ADD COLUMN {NUMBER} BIGINT GENERATED BY DEFAULT AS IDENTITY, "
            f"ADD CONSTRAINT {table}_pkey PRIMARY KEY ({NUMBER})"
        )
        yield f"CREATE UNIQUE INDEX {by_id} ON {table} (id)"

    def drop_numbers(self, table: str, without: Sequence[str]) -> Iterator[str]:
        for index in without:
            yield f"DROP INDEX {index}"
        yield (
            f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey, DROP COLUMN {NUMBER}, "
            f"ADD CONSTRAINT {table}_pkey PRIMARY KEY (id)"
        )

    async def give_space_back(self, connection: AsyncConnection, tables: Sequence[Table]) -> None:
        # VACUUM FULL would lock each table for as long as it takes to write it anew.
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.exec_driver_sql("SET statement_timeout = 0")
        quote = connection.dialect.identifier_preparer.format_table
        for table in tables:
            await connection.exec_driver_sql(f"VACUUM (ANALYZE) {quote(table)}")

    def lock_against_writing(self, table: str) -> Sequence[str]:
        return (f"LOCK TABLE {table} IN SHARE MODE",)

    async def find_writers(
        self, connection: AsyncConnection, table: Table, *, patiently: bool
    ) -> Collection[str] | None:
        name = connection.dialect.identifier_preparer.format_table(table)
        found = await self._find_writers(connection, name)
        if found is None or not patiently:
            return found
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_SECONDS
        waited_for = set(found)
        while waited_for and loop.time() < deadline:
            await asyncio.sleep(PATIENCE_SECONDS / 50)
            waited_for &= set(await self._find_writers(connection, name) or ())
        return waited_for

    async def _find_writers(
        self, connection: AsyncConnection, table: str
    ) -> Collection[str] | None:
        # A row is numbered under this lock, which ends when its transaction can be seen.
        # https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
        result = await self.step(connection, connection.execute(_WRITERS, {"name": table}))
        found = set(result.scalars())
        await connection.rollback()
        return None if None in found else found

    def continue_counting(self, column: Column[Any]) -> Executable | None:
        # A sequence does not look at numbers that it has not given itself.
        name = column.table.name
        real = self.table_prefix + name if isinstance(name, LibraryName) else name
        sequence = func.pg_get_serial_sequence(f'"{real}"', column.name)
        largest = func.max(column)
        return select(func.setval(sequence, largest)).having(largest > 0)


PATIENCE_SECONDS: Final = 1.0

_WRITERS: Final = text(
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND granted "
    "AND mode = 'RowExclusiveLock' AND relation = CAST(CAST(:name AS text) AS regclass) "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    # What others write on a standby's primary is in no lock of the standby.
    "UNION ALL SELECT NULL WHERE pg_is_in_recovery()"
)


def _created(triggers: Mapping[str, Trigger]) -> tuple[str, ...]:
    """Write each statement once, since triggers of a table may execute the same function."""
    every = (statement for trigger in triggers.values() for statement in trigger.statements)
    return tuple(dict.fromkeys(every))


def _always(triggers: Mapping[str, Trigger]) -> tuple[str, ...]:
    return tuple(
        f"ALTER TABLE {each.table} ENABLE ALWAYS TRIGGER {each.name}" for each in triggers.values()
    )


def _array_of(column: Column[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, ShortText | LongText | JsonDocument):
        return taken_apart(bindparam(column.name, type_=JoinedText()))
    return bindparam(column.name, type_=ARRAY(column.type))


_CONNECTORS: Final[Mapping[str, type[AsyncpgConnector | PsycopgConnector]]] = {
    "asyncpg": AsyncpgConnector,
    "psycopg": PsycopgConnector,
}
