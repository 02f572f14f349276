"""Whether the servers keep tests apart, clean up after them, and end with them."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Timer

import pytest
from sqlalchemy import URL, make_url, select

from synthorg.persistence.sql.tables import VERSION_TABLE, cost_records, metadata
from synthorg.persistence.testing.kinds import KINDS as RECORDS
from tests.conftest import ServerPool, connected
from tests.servers import network
from tests.servers.administrator import Administrator
from tests.servers.base import Unavailable
from tests.servers.mariadb import SOCKETS, MariaDB
from tests.servers.network import LOOPBACK, NetworkServer
from tests.servers.postgresql import PostgreSQL
from tests.servers.private import PrivateServer, free_ports

KINDS: tuple[type[NetworkServer], ...] = (PostgreSQL, MariaDB)
CLOSED_PORT = 1

BUSY_SECONDS = 60
"""The longest that anything may take on a machine that has much else to do."""

CHANGES = {
    "another table": ("CREATE TABLE other (id INTEGER)",),
    "another column": ("ALTER TABLE tasks ADD COLUMN other INTEGER",),
    "another default": ("ALTER TABLE tasks ALTER COLUMN max_retries SET DEFAULT 1",),
    "another index": ("CREATE INDEX other ON tasks (max_retries)",),
    "no constraint": ("ALTER TABLE tasks DROP CONSTRAINT ck_tasks_work_is_assigned",),
    "a view": ("CREATE VIEW other AS SELECT * FROM tasks",),
    "another revision": (f"UPDATE {VERSION_TABLE} SET version_num = 'other'",),
    "no revision": (f"DELETE FROM {VERSION_TABLE}",),
}
"""What a test may leave behind that is not a record."""

OWN_CHANGES: dict[type[NetworkServer], dict[str, tuple[str, ...]]] = {
    PostgreSQL: {
        "a disabled trigger": ("ALTER TABLE audit_entries DISABLE TRIGGER USER",),
        "no trigger": ("DROP TRIGGER audit_entries_refuse_update ON audit_entries",),
        "a setting": ("ALTER DATABASE {name} SET work_mem = '1MB'",),
        "a limit": ("ALTER DATABASE {name} CONNECTION LIMIT 50",),
        "a schema": ("CREATE SCHEMA other",),
        "a sequence": ("CREATE SEQUENCE other",),
        "a comment": ("COMMENT ON TABLE tasks IS 'other'",),
    },
    MariaDB: {
        "no trigger": ("DROP TRIGGER audit_entries_refuse_unrecorded",),
        "another collation": ("ALTER DATABASE {name} COLLATE latin1_bin",),
        "a function": ("CREATE FUNCTION other() RETURNS INTEGER RETURN 1",),
        "a comment": ("ALTER TABLE tasks COMMENT 'other'",),
    },
}


CHANGES_OF_OTHERS: dict[type[NetworkServer], tuple[str, ...]] = {
    PostgreSQL: (
        "ALTER DATABASE {name} SET work_mem = '1MB'",
        "ALTER DATABASE {name} CONNECTION LIMIT 50",
        "COMMENT ON DATABASE {name} IS 'other'",
    ),
    MariaDB: (
        "ALTER DATABASE {name} COLLATE latin1_bin",
        "CREATE TABLE {name}.tasks (id INTEGER)",
        "CREATE FUNCTION {name}.other() RETURNS INTEGER RETURN 1",
    ),
}
"""What other sessions do to databases of theirs, as the catalogs that all share show it."""


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> type[NetworkServer]:
    """Every kind of server in turn."""
    found: type[NetworkServer] = request.param
    return found


@pytest.fixture
def network_server(kind: type[NetworkServer], server_pool: ServerPool) -> NetworkServer:
    return running(kind, server_pool)


def running(kind: type[NetworkServer], pool: ServerPool) -> NetworkServer:
    server = pool.get(kind)
    assert isinstance(server, NetworkServer)
    return server


@contextmanager
def visitor(server: NetworkServer, url: str) -> Iterator[Administrator]:
    """Open a connection to a database."""
    address = make_url(url).set(drivername=f"{server.name}+{server.driver}", query={})
    with Administrator(address) as opened:
        opened.connect(is_starting=lambda: False)
        yield opened


def tables_of(server: NetworkServer, url: str) -> set[str]:
    with visitor(server, url) as connection:
        rows = connection.execute(
            "SELECT table_name FROM information_schema.tables"
            f" WHERE table_schema IN ('public', '{make_url(url).database}')"
        )
    return {name for (name,) in rows}


def exists(server: NetworkServer, url: str) -> bool:
    with suppress(Unavailable), visitor(server, url):
        return True
    return False


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + BUSY_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def killed(kind: type[NetworkServer], *lines: str) -> list[str]:
    """Run lines in a process that is killed after them, and give what they printed."""
    program = (
        "import os, signal",
        "from contextlib import ExitStack",
        f"from {kind.__module__} import {kind.__name__} as kind",
        "stack = ExitStack()",
        *lines,
        "os.kill(os.getpid(), signal.SIGKILL)",
    )
    process = subprocess.run(
        [sys.executable, "-c", "\n".join(program)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        text=True,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL
    return process.stdout.splitlines()


def test_an_empty_database_has_no_tables(network_server: NetworkServer) -> None:
    with network_server.empty_database() as url:
        assert tables_of(network_server, url) == set()


def test_a_migrated_database_has_every_table_and_its_revision(
    network_server: NetworkServer,
) -> None:
    with network_server.migrated_database() as url:
        assert tables_of(network_server, url) == {*metadata.tables, VERSION_TABLE}
        with visitor(network_server, url) as connection:
            assert len(connection.execute(f"SELECT version_num FROM {VERSION_TABLE}")) == 1


def test_mariadb_copies_its_schema_to_the_letter(server_pool: ServerPool) -> None:
    def schema_of(url: str) -> list[object]:
        with visitor(server, url) as connection:
            tables = [name for (name,) in connection.execute("SHOW TABLES")]
            creation = [connection.execute(f"SHOW CREATE TABLE {table}") for table in tables]
            rows = [connection.execute(f"SELECT count(*) FROM {table}") for table in tables]
            triggers = connection.execute(
                "SELECT trigger_name, event_manipulation, event_object_table, action_statement,"
                " action_timing, sql_mode, definer FROM information_schema.triggers"
                " WHERE trigger_schema = DATABASE() ORDER BY 1"
            )
        return [creation, rows, triggers]

    server = running(MariaDB, server_pool)
    with server.empty_database() as url, server.migrated_database() as copy:
        server.administrator.run(network.migrate(url))
        assert schema_of(copy) == schema_of(url)


def test_what_is_written_to_one_migrated_database_is_in_no_other(
    network_server: NetworkServer,
) -> None:
    with network_server.migrated_database() as first, network_server.migrated_database() as second:
        with visitor(network_server, first) as connection:
            connection.execute("CREATE TABLE only_here (id INTEGER)")
        assert "only_here" in tables_of(network_server, first)
        assert "only_here" not in tables_of(network_server, second)
    with network_server.migrated_database() as third:
        assert "only_here" not in tables_of(network_server, third)


def test_a_migrated_database_is_handed_out_again_without_what_a_test_had_left_in_it(
    network_server: NetworkServer,
) -> None:
    urls = []
    for _ in range(2):
        with network_server.migrated_database() as url:
            urls.append(url)
            assert asyncio.run(look_and_leave_records(url)) == ([], 1)
    assert urls[0] == urls[1]


def test_a_migrated_database_is_handed_out_again_whatever_others_do_to_theirs_meanwhile(
    network_server: NetworkServer,
) -> None:
    with network_server.empty_database() as others:
        with network_server.migrated_database() as first:
            for change in CHANGES_OF_OTHERS[type(network_server)]:
                network_server.administrator.execute(change.format(name=make_url(others).database))
        with network_server.migrated_database() as second:
            assert second == first


def test_a_migrated_database_is_handed_out_again_without_the_statistics_of_its_rows(
    server_pool: ServerPool,
) -> None:
    """The server itself gathers them, at any time."""
    server = running(PostgreSQL, server_pool)
    with server.migrated_database() as first, visitor(server, first) as connection:
        connection.execute("INSERT INTO settings VALUES ('a', 'b', 'c', 'd')", "ANALYZE settings")
        gathered = "SELECT count(*) FROM pg_stats WHERE tablename = 'settings'"
        assert connection.execute(gathered) == [(4,)]
    with server.migrated_database() as second, visitor(server, second) as connection:
        assert second == first
        assert connection.execute(gathered) == [(0,)]


async def look_and_leave_records(url: str) -> tuple[list[object], int | None]:
    """Save a record of each kind; give what was there before, and the number of the cost."""
    async with connected(url) as backend:
        found = [copy for kind in RECORDS for copy in await kind.copies(backend, kind.example)]
        for kind in RECORDS:
            await kind.store(backend, kind.example)
        async with backend.get_db().connect() as connection:
            number = await connection.scalar(select(cost_records.columns.sequence_number))
    return found, number


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        pytest.param(kind, changes, id=f"{kind.name}-{name}")
        for kind in KINDS
        for name, changes in (CHANGES | OWN_CHANGES[kind]).items()
    ],
)
def test_a_migrated_database_that_differs_in_more_than_records_is_not_handed_out_again(
    kind: type[NetworkServer], changes: Sequence[str], server_pool: ServerPool
) -> None:
    server = running(kind, server_pool)
    with server.migrated_database() as first, visitor(server, first) as connection:
        for change in changes:
            connection.execute(change.format(name=make_url(first).database))
    with server.migrated_database() as second:
        assert second != first
        assert tables_of(server, second) == {*metadata.tables, VERSION_TABLE}


async def test_a_database_can_be_made_inside_a_running_loop(
    network_server: NetworkServer,
) -> None:
    with network_server.migrated_database() as url:
        assert exists(network_server, url)


def test_a_connection_left_open_is_an_error_and_its_database_is_dropped(
    network_server: NetworkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "GRACE_SECONDS", 0.1)
    with ExitStack() as stack:
        with (
            pytest.raises(AssertionError, match="left open"),
            network_server.empty_database() as url,
        ):
            stack.enter_context(visitor(network_server, url))
        assert not exists(network_server, url)


def test_a_connection_about_to_close_is_waited_for(network_server: NetworkServer) -> None:
    with ExitStack() as stack:
        with network_server.empty_database() as url:
            stack.enter_context(visitor(network_server, url))
            closing = Timer(0.2, stack.pop_all().close)
            closing.start()
        closing.join()


def test_the_error_of_a_test_is_not_hidden_by_what_it_left_open(
    network_server: NetworkServer,
) -> None:
    urls = []

    def fail_with_an_open_connection() -> None:
        with network_server.empty_database() as url:
            urls.append(url)
            stack.enter_context(visitor(network_server, url))
            raise LookupError

    with ExitStack() as stack:
        with pytest.raises(LookupError):
            fail_with_an_open_connection()
        assert not exists(network_server, urls[0])


def test_a_second_session_on_the_server_of_the_environment_is_apart(
    network_server: NetworkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = network_server.url.render_as_string(hide_password=False)
    monkeypatch.setenv(network_server.url_variable, given)
    with network_server.migrated_database() as first:
        with network_server.start() as second_server, second_server.migrated_database() as second:
            assert make_url(second).set(database="") == make_url(first).set(database="")
            assert first != second
        assert exists(network_server, first)
        assert not exists(network_server, second)


def test_the_databases_of_a_killed_session_are_dropped_by_the_next(
    network_server: NetworkServer,
) -> None:
    given = network_server.url.render_as_string(hide_password=False)
    (left_behind,) = killed(
        type(network_server),
        f"server = stack.enter_context(kind.given({given!r}))",
        "print(stack.enter_context(server.empty_database()), flush=True)",
    )

    def is_swept_away() -> bool:
        network_server.sweep()
        return not exists(network_server, left_behind)

    with network_server.empty_database() as alive:
        assert eventually(is_swept_away)
        assert exists(network_server, alive)


def test_a_useless_url_in_the_environment_is_an_error_without_the_password(
    kind: type[NetworkServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{kind.name}://someone:S3CRET@{LOOPBACK}:{CLOSED_PORT}/nothing"
    monkeypatch.setenv(kind.url_variable, url)
    with pytest.raises(RuntimeError, match=kind.url_variable) as failure, kind.start():
        pass
    assert "S3CRET" not in str(failure.value)


def test_without_a_server_the_reason_says_how_to_get_one(
    kind: type[NetworkServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = URL.create(kind.name, "someone", host=LOOPBACK, port=CLOSED_PORT, database="nothing")
    monkeypatch.delenv(kind.url_variable, raising=False)
    monkeypatch.setattr(kind, "ways", lambda: iter([kind.at(nobody), kind.at(nobody)]))
    with pytest.raises(Unavailable) as refusal, kind.start():
        pass
    text = str(refusal.value)
    assert kind.url_variable in text
    assert "apt-get install" in text
    assert text.count("Errno") == 2


def test_a_private_server_is_gone_when_the_tests_are_killed(kind: type[NetworkServer]) -> None:
    ports = killed(
        kind,
        "way = next(kind.private_ways(), None)",
        "if way is not None: print(stack.enter_context(way).url.port, flush=True)",
    )
    if not ports:
        pytest.skip(f"no programs of {kind.name} are installed")
    assert eventually(lambda: not is_listening(int(ports[0])))


def test_a_server_behind_a_socket_makes_an_account_for_the_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    socket_ = next(filter(Path.exists, map(Path, SOCKETS)), None)
    if socket_ is None:
        pytest.skip("no MariaDB server has a socket here")
    with ExitStack() as stack:
        try:
            server = stack.enter_context(MariaDB.through_socket(socket_))
        except Unavailable as refusal:
            pytest.skip(str(refusal))
        with server.migrated_database() as url:
            assert tables_of(server, url) == {*metadata.tables, VERSION_TABLE}
        account = f"SELECT 1 FROM mysql.user WHERE user = '{server.url.username}'"
        assert server.administrator.execute(account)


def test_a_server_that_does_not_start_is_unavailable_and_says_why() -> None:
    server = PrivateServer()
    failing = ["/bin/sh", "-c", "echo the disk is on fire; exit 1"]

    def connect_in_vain() -> None:
        with server.running("nobody", ["true"], failing) as is_starting:
            assert eventually(lambda: not is_starting())
            raise Unavailable("connection refused")

    with pytest.raises(Unavailable, match="the disk is on fire"):
        connect_in_vain()
    assert not server.folder.exists()


def test_a_private_server_is_not_root_and_writes_to_its_own_folder_only() -> None:
    server = PrivateServer()
    writing = ["/bin/sh", "-c", "id -u > identity; echo $TMPDIR > temporary; exec sleep 60"]
    with server.running("nobody", ["true"], writing):
        identity, temporary = server.folder / "identity", server.folder / "temporary"
        assert eventually(lambda: temporary.exists() and temporary.read_text() != "")
        assert int(identity.read_text()) == server.folder.stat().st_uid != 0
        assert Path(temporary.read_text().strip()) == server.folder
    assert not server.folder.exists()


def test_free_ports_can_be_listened_at() -> None:
    first, second = free_ports(2)
    with socket.create_server((LOOPBACK, first)), socket.create_server((LOOPBACK, second)):
        assert free_ports(1)[0] not in (first, second)
