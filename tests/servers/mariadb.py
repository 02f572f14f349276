"""MariaDB: a given server, a local one through its port or socket, or a private one."""

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Self

from asyncmy.constants import CLIENT
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from synthorg.persistence.sql.tables import VERSION_TABLE, metadata
from tests.servers.administrator import Administrator, refusals_of
from tests.servers.base import Unavailable
from tests.servers.network import LOOPBACK, PREFIX, NetworkServer, user_name
from tests.servers.private import PrivateServer, find_program

PREFIX_PATTERN = PREFIX.replace("_", r"\_") + "%"
OPEN_TO_ALL = "information_schema"
SOCKETS = ("/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock")
PROGRAM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec")

COUNTER = re.compile(r" AUTO_INCREMENT=\d+")
FEW_ROWS = 100  # which are sooner deleted than their table is made anew

# A private server lives shorter than any crash would matter; "loose" for what other versions lack.
CARELESS = (
    "--innodb-flush-log-at-trx-commit=0",
    "--loose-innodb-flush-method=nosync",
    "--loose-innodb-doublewrite=OFF",
    "--loose-innodb-file-per-table=OFF",
    "--loose-debug-no-sync",
    "--skip-log-bin",
)


class MariaDB(NetworkServer):
    """A MariaDB server."""

    name: ClassVar[str] = "mariadb"
    driver: ClassVar[str] = "asyncmy"
    url_variable: ClassVar[str] = "TEST_MARIADB_URL"
    usual_port: ClassVar[int] = 3306
    administration: ClassVar[Mapping[str, object]] = {
        "client_flag": CLIENT.FOUND_ROWS | CLIENT.MULTI_STATEMENTS
    }
    advice: ClassVar[str] = (
        "`apt-get install --no-install-recommends mariadb-server-core mariadb-client-core galera-4`"
    )

    def __init__(self, url: URL, administrator: Administrator, stack: ExitStack) -> None:
        super().__init__(url, administrator, stack)
        self._schema: list[str] = []
        self._state: list[list[tuple[Any, ...]]] = []
        self._guarded: set[str] = set()

    @classmethod
    def local_ways(cls) -> Iterator[AbstractContextManager[Self]]:
        """Go in without a password, at the usual port or else through a socket."""
        yield cls.at(URL.create("", "root", None, LOOPBACK, cls.usual_port, OPEN_TO_ALL))
        for socket in filter(Path.exists, map(Path, SOCKETS)):
            yield cls.through_socket(socket)

    @classmethod
    def private_ways(cls, *options: str) -> Iterator[AbstractContextManager[Self]]:
        """Start the programs of the system.

        Args:
            options: Further options of the server.
        """
        install = find_program(("mariadb-install-db",), ())
        server = find_program(("mariadbd", "mysqld"), PROGRAM_FOLDERS)
        if install is not None and server is not None:
            yield cls.private(install, server, *options)

    @classmethod
    @contextmanager
    def through_socket(cls, socket: Path) -> Iterator[Self]:
        """Make an account for the library on a server that knows us by our system account.

        Args:
            socket: The server's socket.
        """
        entrance = URL.create(
            f"{cls.name}+{cls.driver}", user_name(), query={"unix_socket": str(socket)}
        )
        user, password = f"{PREFIX}_{secrets.token_hex(4)}", secrets.token_hex(16)
        account = f"{user}@'{LOOPBACK}'"
        with Administrator(entrance) as owner, ExitStack() as stack:
            owner.connect(is_starting=lambda: False)
            ((port, is_unreachable),) = owner.execute("SELECT @@port, @@skip_networking")
            if is_unreachable:
                raise Unavailable(f"{socket}: the server listens at no port")
            with refusals_of(socket):
                owner.execute(f"CREATE USER {account} IDENTIFIED BY '{password}'")
                stack.callback(owner.execute, f"DROP USER {account}")
                owner.execute(f"GRANT ALL ON `{PREFIX_PATTERN}`.* TO {account}")
            url = URL.create("", user, password, LOOPBACK, port, OPEN_TO_ALL)
            yield stack.enter_context(cls.at(url, administrator_url=entrance))

    @classmethod
    @contextmanager
    def private(cls, install: Path, program: Path, *options: str) -> Iterator[Self]:
        """Start a server.

        Args:
            install: The program that makes a data folder.
            program: The server.
            options: Further options of the server.
        """
        server = PrivateServer()
        data, accounts = server.folder / "data", server.folder / "accounts.sql"
        user = f"{server.url.username}@'{LOOPBACK}'"
        accounts.write_text(
            f"CREATE USER {user} IDENTIFIED BY '{server.url.password}';\n"
            f"GRANT ALL ON *.* TO {user} WITH GRANT OPTION;\n"
        )
        initialise: list[str | Path] = [
            install,
            "--no-defaults",
            f"--datadir={data}",
            "--skip-test-db",
        ]
        serve: list[str | Path] = [
            program,
            "--no-defaults",
            f"--datadir={data}",
            f"--init-file={accounts}",
            f"--bind-address={LOOPBACK}",
            f"--port={server.url.port}",
            f"--socket={server.folder / 'socket'}",
            "--skip-name-resolve",
            *CARELESS,
            *options,
        ]
        with (
            server.running("mysql", initialise, serve) as is_starting,
            cls.at(server.url.set(database=OPEN_TO_ALL), is_starting=is_starting) as started,
        ):
            yield started

    def _sign(self, session: str) -> None:
        self.administrator.execute(f"SELECT GET_LOCK('{session}', 0)")

    def _is_alive(self, session: str) -> bool:
        return self.administrator.execute(f"SELECT IS_USED_LOCK('{session}')") != [(None,)]

    def _databases(self) -> list[str]:
        databases = f"SHOW DATABASES LIKE '{PREFIX_PATTERN}'"
        return [name for (name,) in self.administrator.execute(databases)]

    def _create(self, name: str, template: str | None) -> None:
        # A default that suits nothing, so that every table has to state its own.
        create = f"CREATE DATABASE {name} CHARACTER SET latin1 COLLATE latin1_swedish_ci"
        if template is None:
            self.administrator.execute(create)
            return
        self.administrator.execute_each(
            [
                create,
                f"USE {name}",
                "SET foreign_key_checks = 0",
                *self._schema,
                f"INSERT INTO {VERSION_TABLE} SELECT * FROM {template}.{VERSION_TABLE}",
            ]
        )

    def _prepare_template(self, name: str) -> None:
        self._schema = self._schema_of(name)
        self._state = self._state_of(name)
        triggers = self.administrator.execute(f"SHOW TRIGGERS FROM {name}")
        self._guarded = {table for _, _, table, *_ in triggers}

    def _schema_of(self, name: str) -> list[str]:
        run = self.administrator.execute_each
        tables, triggers = run([f"SHOW TABLES FROM {name}", f"SHOW TRIGGERS FROM {name}"])
        creations = run(
            [
                *[f"SHOW CREATE TABLE {name}.{table}" for table, *_ in tables],
                *[f"SHOW CREATE TRIGGER {name}.{trigger}" for trigger, *_ in triggers],
            ]
        )
        schema = [COUNTER.sub("", creation) for ((_, creation, *_),) in creations[: len(tables)]]
        for ((_, mode, statement, *_),) in creations[len(tables) :]:
            schema += [f"SET sql_mode = '{mode}'", statement]
        return schema

    def _state_of(self, name: str) -> list[list[tuple[Any, ...]]]:
        """Read what belongs to a copy of the schema beside tables and triggers."""
        collation = "SELECT default_collation_name FROM information_schema.schemata"
        routines = "SELECT routine_name FROM information_schema.routines"
        return self.administrator.execute_each(
            [
                f"{collation} WHERE schema_name = '{name}'",
                f"{routines} WHERE routine_schema = '{name}'",
                f"SELECT * FROM {name}.{VERSION_TABLE}",
            ]
        )

    def _has_changed(self, name: str) -> bool:
        return (self._schema_of(name), self._state_of(name)) != (self._schema, self._state)

    def _empty(self, name: str) -> None:
        tables = " UNION ALL ".join(
            f"SELECT '{table}', EXISTS (SELECT 1 FROM {name}.{table} LIMIT 1 OFFSET {FEW_ROWS})"
            f" WHERE EXISTS (SELECT 1 FROM {name}.{table})"
            for table in metadata.tables
        )
        counters = (
            "SELECT table_name, 1 FROM information_schema.tables"
            f" WHERE table_schema = '{name}' AND auto_increment > 1"
        )
        emptying = ["SET foreign_key_checks = 0"]
        for table, has_many in self.administrator.execute(f"{tables} UNION ALL {counters}"):
            way = "TRUNCATE" if has_many or table in self._guarded else "DELETE FROM"
            emptying.append(f"{way} {name}.{table}")
        self.administrator.execute_each(emptying)

    def _drop(self, name: str) -> None:
        run = self.administrator.execute
        for (session,) in run(f"SELECT id {self._others_in(name)}"):
            with suppress(SQLAlchemyError):  # it may have ended meanwhile
                run(f"KILL CONNECTION {session}")
        run(f"DROP DATABASE {name}")

    def _connections(self, name: str) -> list[str]:
        rows = self.administrator.execute(f"SELECT user, command, info {self._others_in(name)}")
        return [f"{user} ({command}): {query}" for user, command, query in rows]

    def _others_in(self, name: str) -> str:
        processes = "FROM information_schema.processlist"
        return f"{processes} WHERE db = '{name}' AND id <> CONNECTION_ID()"
