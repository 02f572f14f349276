"""MySQL and MariaDB through asyncmy: guarded upsert, error numbers, named lock."""

import re
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager, contextmanager, nullcontext
from hashlib import sha256
from math import ceil
from types import MappingProxyType
from typing import Any, ClassVar, Final

from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    Double,
    Executable,
    Integer,
    Numeric,
    Select,
    String,
    Table,
    Update,
    and_,
    event,
    func,
    literal_column,
    null,
    or_,
    text,
)
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from synthorg.persistence.config import MySQLConfig, Reads
from synthorg.persistence.errors import MigrationError, QueryError
from synthorg.persistence.observing import ObservedDatabase
from synthorg.persistence.sql.dialects import galera
from synthorg.persistence.sql.dialects.asyncmy_connector import AsyncmyConnector
from synthorg.persistence.sql.dialects.base import (
    ISOLATION_LEVEL,
    READ_ONLY_OPTION,
    SOMEBODY,
    Dialect,
    held_too_long,
    import_driver,
    insert_values,
    pool_options,
)
from synthorg.persistence.sql.dialects.findings import Finding
from synthorg.persistence.sql.dialects.inspection import Inspection
from synthorg.persistence.sql.dialects.mysql_examination import examine
from synthorg.persistence.sql.dialects.mysql_fitness import (
    BY_STATEMENT,
    MIGRATORS_PRIVILEGES,
    UNTRUSTED,
    find_lacks,
)
from synthorg.persistence.sql.dialects.mysql_inspection import MySQLInspection
from synthorg.persistence.sql.dialects.mysql_session import SETTINGS, assignments
from synthorg.persistence.sql.dialects.mysql_triggers import triggers_of
from synthorg.persistence.sql.dialects.positions import GTID_QUESTION, Position, gtid_position
from synthorg.persistence.sql.dialects.prefixing import write_prefix
from synthorg.persistence.sql.dialects.triggered import Triggered
from synthorg.persistence.sql.drivers.answer_timeout import answer_timeout_for, driver_connection
from synthorg.persistence.sql.drivers.asyncmy import AsyncmyDriver
from synthorg.persistence.sql.drivers.base import DriverPool, DriverTransaction
from synthorg.persistence.sql.drivers.cancellation import run_to_completion
from synthorg.persistence.sql.drivers.faults import (
    APPEND_ONLY,
    BROKEN_CHECK,
    BROKEN_REFERENCE,
    DUPLICATE,
    LOCKED,
    MISSING_VALUE,
    OUT_OF_RANGE,
    SCHEMA_MISFIT,
    TIMED_OUT,
    Diagnosis,
    Fault,
    crowded,
    demoted,
    lost,
    unusable,
)
from synthorg.persistence.sql.drivers.forks import protect_connections
from synthorg.persistence.sql.drivers.idle_connections import replace_unfit
from synthorg.persistence.sql.drivers.openings import Openings, watch_losses
from synthorg.persistence.sql.drivers.pool_state import wait_where_crowded
from synthorg.persistence.sql.drivers.returning import forget_begin, spare_rollbacks
from synthorg.persistence.sql.drivers.server import (
    ServerConnection,
    ServerPool,
    kept_connections,
)
from synthorg.persistence.sql.drivers.server_driver import ServerDriver
from synthorg.persistence.sql.drivers.server_transaction import ServerTransaction
from synthorg.persistence.sql.drivers.sockets import sever
from synthorg.persistence.sql.drivers.write_lock import WriteLock
from synthorg.persistence.sql.tables import NUMBER, LibraryName, record_key

LEVEL_OPTION: Final = "synthorg_isolation_level"
"""The execution option of one transaction's isolation level, and where a session's is remembered.
SQLAlchemy's own is set back when a session returns to the pool; failing, it loses its place."""

CONNECTIONS_FOR_ROWS: Final = 2  # each reads pages that the server has not in memory one by one
SHORT_LOCK_WAIT: Final = "innodb_lock_wait_timeout = 1"  # the least that the server takes
LONGEST_LOCK_NAME: Final = 64  # https://dev.mysql.com/doc/refman/8.4/en/locking-functions.html

_FORBIDDEN: Final = Diagnosis(Fault.REFUSED, "the user lacks a privilege for it")
_NOT_IN_PLACE: Final = Diagnosis(
    Fault.REFUSED, "the server's alter_algorithm does not allow it, so have it set to DEFAULT"
)
_TOO_LONG: Final = Diagnosis(Fault.REFUSED, "a text is too long for its column")
_CLOSED: Final = unusable("the connection to the server was lost", may_pass=True)
_LOST: Final = lost("the connection to the server was lost")
_UNREACHABLE: Final = unusable("the server could not be reached", may_pass=True)
_DENIED: Final = unusable("the server does not accept this user or password, or only with TLS")
_EXPIRED: Final = unusable("the user's password has expired")
_BLOCKED: Final = unusable("the user's account is locked")
_CROWDED: Final = crowded(
    "the server has as many connections as it allows", "raise its max_connections"
)
_CROWDED_USER: Final = crowded(
    "the user has as many connections as it may have", "raise its max_user_connections"
)
_READ_ONLY: Final = demoted("the server is read-only, as a replica is")
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
    1684: Diagnosis(Fault.TRANSIENT, "a table is being changed at the same time"),
    1205: LOCKED,
    1969: TIMED_OUT,
    3024: TIMED_OUT,
    1146: SCHEMA_MISFIT,
    1054: SCHEMA_MISFIT,
    1845: _NOT_IN_PLACE,
    1846: _NOT_IN_PLACE,
    1153: Diagnosis(Fault.REFUSED, "it is larger than the server's max_allowed_packet"),
    1406: _TOO_LONG,
    1264: OUT_OF_RANGE,
    1690: OUT_OF_RANGE,
    1142: _FORBIDDEN,
    1143: _FORBIDDEN,
    1227: _FORBIDDEN,
    1044: _DENIED,
    1045: _DENIED,
    1698: _DENIED,
    1129: _DENIED,
    1130: _DENIED,
    1820: _EXPIRED,
    1862: _EXPIRED,
    3118: _BLOCKED,
    4151: _BLOCKED,
    1524: unusable("the server lacks the plugin by which this user logs in"),
    3159: unusable("the server accepts encrypted connections alone, so set tls"),
    1049: unusable("the database does not exist"),
    1040: _CROWDED,
    1203: _CROWDED_USER,
    1226: unusable("the user has reached a limit that the server sets for it"),
    1047: demoted("the node is not part of its cluster"),
    # The driver's own, of a connection that was closed before anything was sent.
    0: _CLOSED,
    2006: _CLOSED,
    1053: _LOST,
    1152: _LOST,
    1184: lost("the server ended the connection, as when its init_connect fails"),
    1927: _LOST,
    2013: _LOST,
    2014: _LOST,
    2055: _LOST,
    4031: _LOST,
    1317: Diagnosis(Fault.REFUSED, "somebody ended the statement"),
    2002: _UNREACHABLE,
    2003: _UNREACHABLE,
    1792: demoted("transactions are read-only there, as transaction_read_only says"),
    1836: _READ_ONLY,
    1419: Diagnosis(Fault.REFUSED, UNTRUSTED),
    1665: unusable(BY_STATEMENT),
    1021: _DISK_FULL,
    1114: _DISK_FULL,
}
"""By error number. https://mariadb.com/kb/en/mariadb-error-code-reference/"""

_FORBIDDEN_BY_OPTION: Final = 1290
_OPTION: Final = re.compile(r"--[\w-]+|[A-Z_]{8,}")
_NOT_COMMITTED: Final = 1180
_AT_LIMIT_OF_USER: Final = 1226
_LIMIT_ON_CONNECTIONS: Final = "max_user_connections"  # of several by the same number
_WITHOUT_CLUSTER: Final = "Not connected to Primary Component"
"""What a node says then in words alone; its cluster may have taken the transaction all the same."""
_CUT_OFF: Final = lost("the node was cut off from its cluster while it committed")
_READ_ONLY_OPTIONS: Final = ("--read-only", "--super-read-only")


_WAITED_TOO_LONG: Final = 1205

_WITHOUT_NUMBER: Final = {
    "Error": _CLOSED,  # asyncmy's own, when it is asked whether a closed connection is alive
    "InternalError": _LOST,  # asyncmy's own, of packets that do not follow each other
}


class MySQLDialect(Dialect):
    """A MySQL server."""

    backend_name: ClassVar[str] = "mysql"
    inspection: Inspection = MySQLInspection()
    transactional_ddl: ClassVar[bool] = False
    statement_timeout: ClassVar[str] = "max_execution_time = {milliseconds:d}"
    """The session variable of the time limit; MySQL applies it to SELECT alone."""
    unlimited_wait_seconds: ClassVar[float] = 50
    """How long a write waits for a lock, by default, beyond that limit."""
    read_committed: ClassVar[str] = "transaction_isolation = 'READ-COMMITTED'"
    read_only_sessions: ClassVar[str] = "transaction_read_only"
    """The variable that says whether transactions are read-only, if they do not say."""
    settings: ClassVar[Mapping[str, str | int]] = SETTINGS
    """What every session is set to."""
    migrators_privileges: ClassVar[Sequence[str]] = (*MIGRATORS_PRIVILEGES, "REFERENCES")
    """What a user needs to make the tables."""

    _config: MySQLConfig

    is_node = False
    """Whether the server is a node of a Galera cluster."""

    position_question: ClassVar[str] = GTID_QUESTION

    def __init__(self, config: MySQLConfig, *, is_replica: bool = False) -> None:
        self._config = config
        self._is_replica = is_replica
        self.answer_timeout_seconds = answer_timeout_for(config.statement_timeout_seconds)
        self.failover_timeout_seconds = config.failover_timeout_seconds
        self.openings = Openings(self.diagnose)
        if self.answer_timeout_seconds is not None:
            self.answer_timeout_seconds += self.unlimited_wait_seconds

    @property
    def observed(self) -> ObservedDatabase:
        config = self._config
        return ObservedDatabase(self.backend_name, config.database, config.host, config.server_port)

    @property
    def place(self) -> str | None:
        return self._config.place

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
        return [type(self)(each, is_replica=True) for each in self._config.of_replicas]

    def position(self, answer: Sequence[Any]) -> Position | None:
        # Nodes of a cluster have no common count of what they apply.
        return None if self.is_node else gtid_position(answer)

    async def plan(self, connection: AsyncConnection, expression: Executable) -> Sequence[str]:
        compiled = expression.compile(dialect=connection.dialect)  # type: ignore[attr-defined]
        # NULL, or a limit of 0, would be found to give nothing before there is a plan.
        types = [compiled.binds[name].type for name in compiled.positiontup or ()]
        values = tuple(1 if isinstance(each, Numeric | Integer) else "" for each in types)
        rows = await connection.exec_driver_sql(f"EXPLAIN {compiled}", values)
        return [
            ", ".join(f"{name}={value}" for name, value in row.items() if value is not None)
            for row in rows.mappings()
        ]

    def create_engine(self) -> AsyncEngine:
        engine = self._engine_with(self._config.pool_size - self._kept_connections)
        wait_where_crowded(engine, self.openings)
        return engine

    def driver_pool(self, engine: AsyncEngine, write_lock: WriteLock) -> DriverPool | None:  # noqa: ARG002 (the server sorts writers out)
        if not self._kept_connections:
            return None
        kept = self._engine_with(
            self._kept_connections,
            {"init_command": f"{self._init_command}, {self.read_committed}, {SHORT_LOCK_WAIT}"},
            max_overflow=0,
            isolation_level="AUTOCOMMIT",
        )
        age = self._config.pool_recycle_seconds
        connections = [
            ServerConnection(kept, AsyncmyDriver, age, self) for _ in range(self._kept_connections)
        ]
        return ServerPool(connections, kept, for_rows=CONNECTIONS_FOR_ROWS)

    async def driver_transaction(
        self, connection: AsyncConnection, options: Mapping[str, Any]
    ) -> DriverTransaction | None:
        if not self._config.prepared_statements:
            return None
        # A node that gives way to another tells so at the next statement, but a prepared one of the
        # same transaction may go on as if nothing was: three nodes lost updates of each other then.
        prepares = not self.is_node
        driver = AsyncmyDriver(
            driver_connection(connection), prepares=prepares, prepares_many=prepares
        )
        level = options.get(LEVEL_OPTION, ISOLATION_LEVEL)
        if options.get(READ_ONLY_OPTION) or self.is_node:
            only_next = f"SET TRANSACTION ISOLATION LEVEL {level}"
            access = " READ ONLY" if options.get(READ_ONLY_OPTION) else ""
            return ServerTransaction(
                connection, driver, self, [only_next, f"START TRANSACTION{access}"]
            )
        begin = [f"SET SESSION TRANSACTION ISOLATION LEVEL {level}", "START TRANSACTION"]
        remembers = driver.begins_by_itself
        return ServerTransaction(connection, driver, self, begin, remembers=remembers)

    async def driver(self, connection: AsyncConnection) -> ServerDriver | None:
        if not self._config.prepared_statements:
            return None
        # On a node, as in a unit of work: that of waiting saves may take several statements.
        return AsyncmyDriver(driver_connection(connection), prepares_many=not self.is_node)

    @property
    def _kept_connections(self) -> int:
        is_kept = self._config.prepared_statements and not self._is_replica
        return kept_connections(self._config.pool_size) if is_kept else 0

    def _engine_with(
        self,
        connections: int,
        arguments: Mapping[str, object] = MappingProxyType({}),
        **options: object,
    ) -> AsyncEngine:
        config = self._config
        driver = import_driver("asyncmy", self.backend_name)
        self.driver_errors = (driver.errors.MySQLError,)
        connector = AsyncmyConnector(
            driver, config, self.read_only_sessions, self.diagnose, self.openings
        )
        engine = create_async_engine(
            URL.create(
                f"{self.backend_name}+asyncmy",
                username=config.username,
                host=config.host,
                port=config.port,
                database=config.database,
                query={"charset": "utf8mb4"},
            ),
            connect_args={
                "async_creator_fn": connector,
                "init_command": self._init_command,
                **arguments,
            },
            pool_reset_on_return=None,
            **(pool_options(config, connections) | options),
        )
        spare_rollbacks(engine)
        write_prefix(engine, self.table_prefix)
        protect_connections(engine, self.connections, sever)
        event.listen(engine.sync_engine, "begin", _begin)
        replace_unfit(engine, self, connector.ping, config.connect_timeout_seconds)
        watch_losses(engine, self.openings)
        return engine

    def unit_options(self) -> Mapping[str, Any]:
        return _with_own_option(super().unit_options())

    def joining_options(self) -> Mapping[str, Any]:
        return {LEVEL_OPTION: None}

    def snapshot_options(self) -> Mapping[str, Any]:
        return _with_own_option(super().snapshot_options())

    async def inspect_server(self, connection: AsyncConnection) -> None:
        limit = await connection.scalar(text("SELECT @@max_allowed_packet"))
        self.largest_payload = int(limit)
        self.is_node = await connection.run_sync(galera.is_node)

    @property
    def ordering(self) -> Update | None:
        return galera.ordering if self.is_node and self._config.units_across_nodes else None

    @property
    def bookkeeping(self) -> Collection[str]:
        return [self.table_prefix + galera.shared.name]

    async def adjust_storage(
        self,
        connection: AsyncConnection,
        is_current: Callable[[], Awaitable[bool]],
    ) -> None:
        # A database may have been migrated before its server has become a node.
        if self.is_node and await is_current():
            await connection.run_sync(galera.prepare)

    def upsert(
        self, table: Table, kept: Collection[str], added: Collection[str] = ()
    ) -> Executable:
        # ON DUPLICATE KEY UPDATE would also overwrite a row that owns another unique key. The
        # guard sets the key of such a row to NULL, which the server refuses. It has to stand
        # first, since assignments are made in their order.
        values = insert_values(table)
        statement = insert(table).values(values)
        new = statement.inserted
        key = [column.name for column in record_key(table)]
        same_row = and_(*[table.columns[name] == new[name] for name in key])
        guard = (key[0], func.if_(same_row, table.columns[key[0]], null()))
        replaced = [
            (name, table.columns[name] + new[name] if name in added else new[name])
            for name in values
            if name not in key and name not in kept
        ]
        return statement.on_duplicate_key_update([guard, *replaced])

    def after_position(
        self,
        columns: Sequence[ColumnElement[Any]],
        position: Sequence[ColumnElement[Any]],
        *,
        descending: bool,
    ) -> ColumnElement[bool]:
        # The optimizer reads no index range out of a comparison of rows, but it does out of the
        # first comparison here.
        first, last = columns[0], position[0]
        past = first < last if descending else first > last
        if len(columns) == 1:
            return past
        level = first <= last if descending else first >= last
        return and_(
            level, or_(past, self.after_position(columns[1:], position[1:], descending=descending))
        )

    def in_order(
        self, expression: Select[Any], table: Table, order_by: Sequence[str]
    ) -> Select[Any]:
        # Where much of the table may follow, the optimizer takes a range for dearer than a scan,
        # as it does not look at LIMIT, and reads the index from its beginning instead.
        prefix = self.table_prefix if isinstance(table.name, LibraryName) else ""
        indexes = [
            f"{prefix}{index.name}" for index in table.indexes if _serves(index.columns, order_by)
        ]
        if _serves(table.primary_key.columns, order_by):
            indexes.append("PRIMARY")
        return expression.with_hint(table, f"FORCE INDEX ({', '.join(sorted(indexes))})")

    def number_rows(
        self, table: str, time: str, without: Sequence[str], by_id: str, *, is_ordered: bool
    ) -> Iterator[str]:
        # A copy reads the rows in the order of the primary key, and numbers them as it writes them.
        if not is_ordered:
            yield (
                f"ALTER TABLE {table} DROP PRIMARY KEY, ADD PRIMARY KEY ({time}, id), "
                f"ADD UNIQUE INDEX {by_id} (id)"
            )
        dropped = "".join(f"DROP INDEX {index}, " for index in without)
        yield (
            f"ALTER TABLE {table} DROP PRIMARY KEY, {dropped}"
            f"ADD COLUMN {NUMBER} BIGINT NOT NULL AUTO_INCREMENT, "
            f"ADD PRIMARY KEY ({NUMBER}), ALGORITHM=COPY, LOCK=SHARED"
        )

    def drop_numbers(self, table: str, without: Sequence[str]) -> Iterator[str]:
        dropped = "".join(f"DROP INDEX {index}, " for index in without)
        yield (
            f"ALTER TABLE {table} DROP PRIMARY KEY, {dropped}DROP COLUMN {NUMBER}, "
            "ADD PRIMARY KEY (id)"
        )

    async def give_space_back(self, connection: AsyncConnection, tables: Sequence[Table]) -> None:
        await connection.exec_driver_sql(f"SET SESSION {self._statement_timeout(0)}")
        quote = connection.dialect.identifier_preparer.format_table
        for table in tables:
            await connection.exec_driver_sql(f"OPTIMIZE TABLE {quote(table)}")

    def lock_against_writing(self, table: str) -> Sequence[str]:
        return (f"LOCK TABLES {table} READ",)

    unlocking: ClassVar[Sequence[str]] = ("UNLOCK TABLES",)

    async def find_settled(self, connection: AsyncConnection, number: Column[Any]) -> int:
        if self.is_node:
            raise QueryError(
                f"cannot tell which rows of {number.table.name} are the newest: the nodes of a "
                "cluster count on their own, and a later row may have a smaller number"
            )
        return await super().find_settled(connection, number)

    trying_to_lock: ClassVar[Mapping[bool, Sequence[str]]] = dict.fromkeys(
        (False, True), ("SET SESSION lock_wait_timeout = 1", "LOCK TABLES {table} READ")
    )
    """What locks a table if nobody writes it: at once, or with patience."""

    def refuse_to_follow(self, table: str) -> None:
        if self.is_node and self._config.units_across_nodes:
            raise QueryError(
                f"cannot follow {table}: the nodes of a cluster count on their own, and what "
                "another one has numbered may come late; where all that write use one node, say "
                "so by units_across_nodes=false, and follow through that one"
            )

    async def find_writers(
        self, connection: AsyncConnection, table: Table, *, patiently: bool
    ) -> Collection[str] | None:
        # Whoever inserts shares the metadata of the table from before a row is numbered until the
        # transaction has ended. https://mariadb.com/kb/en/metadata-locking/
        name = connection.dialect.identifier_preparer.format_table(table)
        try:
            if await connection.scalar(text("SELECT @@global.read_only")):
                return None  # a replica has rows in another order than they are numbered in
            for statement in self.trying_to_lock[patiently]:
                step = connection.exec_driver_sql(statement.format(table=name))
                await self.step(connection, step)
        except DBAPIError as error:
            if getattr(error.orig, "args", ())[:1] != (_WAITED_TOO_LONG,):
                raise
            return None
        else:
            return ()
        finally:
            await run_to_completion(connection.exec_driver_sql("UNLOCK TABLES"))
            await run_to_completion(
                connection.exec_driver_sql("SET SESSION lock_wait_timeout = DEFAULT")
            )
            await connection.rollback()

    def examine(self, connection: Connection, tables: Collection[str]) -> Iterator[Finding]:
        return examine(connection, tables)

    def utc_day(self, moment: ColumnElement[Any]) -> ColumnElement[str]:
        return func.date_format(moment, "%Y-%m-%d", type_=String())

    def sum_of_amounts(self, amount: ColumnElement[Any]) -> ColumnElement[float]:
        # A sum that is too large is 0, or the largest number where its groups come sorted. Only
        # arithmetic fails, so a part that is exact and never too large is multiplied up again.
        whole: ColumnElement[float] = literal_column("16e0", Double())
        is_too_large = func.sum(amount / whole) * whole
        return func.sum(amount) + is_too_large * literal_column("0e0", Double())

    def diagnose_driver_error(self, error: BaseException) -> Diagnosis | None:
        number = error.args[0] if error.args else None
        if not isinstance(number, int):
            return _WITHOUT_NUMBER.get(type(error).__name__)
        if number == _FORBIDDEN_BY_OPTION:
            return _forbidden_by_option(str(error))
        if number == _AT_LIMIT_OF_USER and _LIMIT_ON_CONNECTIONS in str(error):
            return _CROWDED_USER
        if number == _NOT_COMMITTED and _WITHOUT_CLUSTER in str(error):
            return _CUT_OFF
        unknown = Diagnosis(Fault.REFUSED, f"the database refused it (error {number})")
        return _DIAGNOSES.get(number, unknown)

    @contextmanager
    def migration_transaction(self, connection: Connection) -> Iterator[None]:
        # DDL commits by itself here, so only the lock keeps others out, and every revision has to
        # go on from wherever it was stopped. The lock belongs to the session and ends with it.
        lock = {"name": self._lock_name}
        try:
            # Waiting for the lock is a statement too. And a migration that waits for a table keeps
            # all others waiting behind it, which is a day unless limited.
            connection.execute(
                text(
                    f"SET SESSION {self._statement_timeout(0)}, "
                    f"lock_wait_timeout = {max(1, round(self.lock_timeout_seconds))}"
                )
            )
            self._take_lock(connection)
            connection.commit()
            with self._lease(connection):
                yield
                connection.commit()
            connection.execute(text("DO RELEASE_LOCK(:name)"), lock)
            timeout = self._statement_timeout(self._config.statement_timeout_seconds)
            connection.execute(text(f"SET SESSION {timeout}, lock_wait_timeout = DEFAULT"))
            connection.commit()
        except BaseException:
            connection.invalidate()  # ends the session: the lock and the settings go with it
            raise

    def _lease(self, connection: Connection) -> AbstractContextManager[None]:
        """Keep those on other nodes from migrating as well, where there are others."""
        is_node = galera.is_node(connection)
        connection.rollback()
        if not is_node:
            return nullcontext()
        return galera.lease(connection, self.create_engine(), self.migration_lock_timeout_seconds)

    def refuse_half_a_migration(self, connection: Connection) -> None:
        try:
            grants = self._grants(connection)
        except DBAPIError:  # one that was started without its accounts shows none
            grants = ("GRANT ALL PRIVILEGES ON *.* TO everybody",)
        lacks = "; ".join(find_lacks(connection, grants, self.migrators_privileges))
        if lacks:
            raise MigrationError(f"cannot migrate: {lacks}; nothing was touched")

    def _grants(self, connection: Connection) -> Sequence[str]:
        """Have the server show what the user may do, by roles as well."""
        roles = connection.scalar(text("SELECT CURRENT_ROLE()"))
        using = "" if roles == "NONE" else f" FOR CURRENT_USER() USING {roles}"
        return connection.scalars(text(f"SHOW GRANTS{using}")).all()

    def create_triggers(self, what: Triggered) -> tuple[str, ...]:
        created = triggers_of(what).items()
        return tuple(f"CREATE TRIGGER IF NOT EXISTS {name} {sql}" for name, sql in created)

    def drop_triggers(self, what: Triggered) -> tuple[str, ...]:
        return tuple(f"DROP TRIGGER IF EXISTS {name}" for name in self.trigger_names(what))

    def trigger_names(self, what: Triggered) -> tuple[str, ...]:
        return tuple(triggers_of(what))

    def scripted(self, statement: str) -> str:
        if ";" not in statement:
            return super().scripted(statement)
        return f"DELIMITER //\n{statement} //\nDELIMITER ;"  # else the client would cut it

    @property
    def _lock_name(self) -> str:
        # Locks are the server's, not the database's.
        name = f"synthorg_migration:{self._config.database}"
        if len(name) <= LONGEST_LOCK_NAME:
            return name
        return f"synthorg_migration:{sha256(self._config.database.encode()).hexdigest()[:40]}"

    def _take_lock(self, connection: Connection) -> None:
        seconds = self.migration_lock_timeout_seconds
        lock = {"name": self._lock_name, "seconds": seconds}
        if connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), lock) != 1:
            raise held_too_long(seconds, self._find_lock_holder(connection))

    def _find_lock_holder(self, connection: Connection) -> str:
        number = connection.scalar(text("SELECT IS_USED_LOCK(:name)"), {"name": self._lock_name})
        if number is None:
            return SOMEBODY
        row = connection.execute(
            text("SELECT user, host FROM information_schema.processlist WHERE id = :number"),
            {"number": number},
        ).first()
        # Without the privilege PROCESS other users' connections are not listed.
        return f"connection {number}" + ("" if row is None else f" ({row[0]}@{row[1]})")

    def _statement_timeout(self, seconds: float) -> str:
        return self.statement_timeout.format(milliseconds=ceil(seconds * 1000), seconds=seconds)

    @property
    def _init_command(self) -> str:
        timeout = self._statement_timeout(self._config.statement_timeout_seconds)
        causal = {"wsrep_sync_wait": 1} if self._config.causal_reads else {}
        return f"SET SESSION {timeout}, {assignments({**self.settings, **causal})}"


class MariaDBDialect(MySQLDialect):
    """A MariaDB server."""

    backend_name: ClassVar[str] = "mariadb"
    statement_timeout: ClassVar[str] = "max_statement_time = {seconds:f}"
    unlimited_wait_seconds: ClassVar[float] = 0
    read_committed: ClassVar[str] = "tx_isolation = 'READ-COMMITTED'"
    read_only_sessions: ClassVar[str] = "tx_read_only"
    trying_to_lock: ClassVar[Mapping[bool, Sequence[str]]] = {
        False: ("LOCK TABLES {table} READ NOWAIT",),
        # That which writes waits for those before it alone, and others wait for it.
        True: ("LOCK TABLES {table} WRITE WAIT 1",),
    }
    settings: ClassVar[Mapping[str, str | int]] = {**SETTINGS, "check_constraint_checks": 1}
    migrators_privileges: ClassVar[Sequence[str]] = MIGRATORS_PRIVILEGES

    def _grants(self, connection: Connection) -> Sequence[str]:
        return connection.scalars(text("SHOW GRANTS")).all()


def _forbidden_by_option(message: str) -> Diagnosis:
    """Tell a replica from a server that forbids something by another of its options.

    Args:
        message: The driver's, in which only the option tells them apart.
    """
    option = _OPTION.search(message)
    if option is None or option[0] in _READ_ONLY_OPTIONS:
        return _READ_ONLY
    return Diagnosis(Fault.REFUSED, f"the server's option {option[0]} forbids it")


def _with_own_option(options: Mapping[str, Any]) -> Mapping[str, Any]:
    renamed = {"isolation_level": LEVEL_OPTION}
    return {renamed.get(name, name): value for name, value in options.items()}


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    wanted = options.get(LEVEL_OPTION, ISOLATION_LEVEL)
    if wanted is None:  # it joins one that has begun
        return
    may_differ = forget_begin(connection)
    if "isolation_level" in options:  # SQLAlchemy has set it, and will set it back
        connection.info[LEVEL_OPTION] = ISOLATION_LEVEL
    elif may_differ or connection.info.get(LEVEL_OPTION, ISOLATION_LEVEL) != wanted:
        connection.exec_driver_sql(f"SET SESSION TRANSACTION ISOLATION LEVEL {wanted}")
        connection.info[LEVEL_OPTION] = wanted


def _serves(columns: Iterable[ColumnElement[Any]], order_by: Sequence[str]) -> bool:
    """Tell whether an index has the columns of an order next to each other."""
    names = [column.key for column in columns]
    width = len(order_by)
    return any(names[at : at + width] == [*order_by] for at in range(len(names)))
