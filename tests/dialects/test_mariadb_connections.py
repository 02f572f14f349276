"""Coming in on MariaDB: by network or socket, with passwords of any script, or why not."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from socket import create_server
from urllib.parse import quote

import pytest
from sqlalchemy import make_url, text

from synthorg.persistence import PersistenceConfig, PersistenceConnectionError, create_backend
from tests.conftest import connected
from tests.dialects.awkward_mariadb import PASSWORD, settings, visitor
from tests.servers.mariadb import MariaDB
from tests.servers.network import LOOPBACK

USER = f"visitor@'{LOOPBACK}'"


@pytest.fixture
def url(awkward_mariadb: MariaDB) -> Iterator[str]:
    """A database without tables."""
    with awkward_mariadb.empty_database() as url:
        yield url


@pytest.fixture
def socket(awkward_mariadb: MariaDB) -> Path:
    """The socket of the server, where the owner of the tests' databases may come in as well."""
    ((path,),) = awkward_mariadb.administrator.execute("SELECT @@socket")
    return Path(path)


@contextmanager
def local_user(server: MariaDB) -> Iterator[None]:
    """Let the owner of the tests' databases come in by the socket for a while."""
    run = server.administrator.execute
    run(f"CREATE USER owner@localhost IDENTIFIED BY '{PASSWORD}'")
    run("GRANT ALL ON `synthorg\\_testing%`.* TO owner@localhost")
    try:
        yield
    finally:
        run("DROP USER owner@localhost")


async def refusal(url: str) -> str:
    backend = create_backend(PersistenceConfig.from_url(url))
    with pytest.raises(PersistenceConnectionError) as raised:
        await backend.connect()
    assert PASSWORD not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("word", ["pässwörd", "пароль", "日本", "🔑", "p@ss/w?rd%"])
async def test_user_password_and_database_may_be_of_any_script(
    awkward_mariadb: MariaDB, url: str, word: str
) -> None:
    run = awkward_mariadb.administrator.execute
    place = make_url(url)
    name, password = word.replace("🔑", "κλειδί"), word  # names have no characters beyond 16 bits
    database = f"{place.database}_{name.replace('/', '').replace('.', '')}"
    run(f"CREATE USER `{name}`@'{LOOPBACK}' IDENTIFIED BY '{password}'")
    run(f"CREATE DATABASE `{database}`", f"GRANT ALL ON `{database}`.* TO `{name}`@'{LOOPBACK}'")
    try:
        server = place.set(username=name, password=password, database="")
        # SQLAlchemy 2.0 would write the database as it is.
        visiting = server.render_as_string(hide_password=False) + quote(database, safe="")
        async with (
            connected(visiting) as backend,
            backend.get_db().connect() as connection,
        ):
            assert await connection.scalar(text("SELECT DATABASE()")) == database
    finally:
        run(f"DROP DATABASE `{database}`", f"DROP USER `{name}`@'{LOOPBACK}'")


@pytest.mark.parametrize("kind", ["folder", "file"])
async def test_a_host_that_is_a_path_is_the_socket_or_its_folder(
    awkward_mariadb: MariaDB, url: str, socket: Path, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "mysqld.sock").symlink_to(socket)
    path = tmp_path if kind == "folder" else socket
    local = f"{make_url(url).set(host='').render_as_string(hide_password=False)}?host={path}"
    with local_user(awkward_mariadb):
        async with (
            connected(f"{local}&tls_mode=require") as backend,
            backend.get_db().connect() as connection,
        ):
            user = await connection.scalar(text("SELECT USER()"))
    assert user == "owner@localhost"


async def test_a_folder_without_a_socket_is_a_server_that_cannot_be_reached(tmp_path: Path) -> None:
    said = await refusal(f"mariadb:///db?host={tmp_path}&username=somebody")
    assert "the server could not be reached" in said


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    with create_server((LOOPBACK, 0)) as server:  # connections wait to be accepted
        port = server.getsockname()[1]
        async with asyncio.timeout(10):
            said = await refusal(
                f"mariadb://somebody@{LOOPBACK}:{port}/db?connect_timeout_seconds=0.2"
            )
    assert "did not answer within 0.2 s" in said


@pytest.mark.parametrize(
    "greeting",
    [b"\x05\0\0\0\x0aabc\0", b"\x02\0\0\0\xff\0", b"\0" * 64, b"\x04\0\0\x07\x0aab\0"],
)
async def test_what_is_no_such_server_is_told_apart(greeting: bytes) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, LOOPBACK) as server:
        port = server.sockets[0].getsockname()[1]
        said = await refusal(f"mariadb://somebody@{LOOPBACK}:{port}/db")
    assert "what answers there is no MariaDB or MySQL server" in said


async def test_without_any_username_a_connection_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr("asyncmy.connection.DEFAULT_USER", None)
    place = make_url(url)
    said = await refusal(f"mariadb://{place.host}:{place.port}/db")
    assert "no username is given, and the system knows none" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (f"ALTER USER {USER} ACCOUNT LOCK", "account is locked"),
        (f"ALTER USER {USER} PASSWORD EXPIRE", "password has expired"),
        (f"ALTER USER {USER} IDENTIFIED VIA unix_socket", "does not accept this user or password"),
        (f"ALTER USER {USER} REQUIRE SSL", "does not accept this user or password"),
        (f"SET PASSWORD FOR {USER} = PASSWORD('another')", "does not accept this user or password"),
    ],
)
async def test_whom_the_server_does_not_let_in_is_told_why(
    awkward_mariadb: MariaDB, url: str, change: str, said: str
) -> None:
    with visitor(awkward_mariadb, url, "ALL ON {database}.*") as visiting:
        awkward_mariadb.administrator.execute(change)
        assert said in await refusal(visiting)


async def test_a_user_whose_connections_begin_with_nonsense_is_told_of_it(
    awkward_mariadb: MariaDB, url: str
) -> None:
    with settings(awkward_mariadb, {"nonsense": 1}):
        assert "init_connect" in await refusal(url)


async def test_a_package_that_is_missing_to_log_in_is_named(
    awkward_mariadb: MariaDB, url: str
) -> None:
    if find_spec("nacl") is not None:
        pytest.skip("the package is installed")
    run = awkward_mariadb.administrator.execute
    run("INSTALL SONAME 'auth_ed25519'")
    try:
        with visitor(awkward_mariadb, url) as visiting:
            run(f"ALTER USER {USER} IDENTIFIED VIA ed25519 USING PASSWORD('{PASSWORD}')")
            assert "'pynacl' package is required" in await refusal(visiting)
    finally:
        run("UNINSTALL SONAME 'auth_ed25519'")
