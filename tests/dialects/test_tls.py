"""TLS as configured, in the words of each driver."""

import asyncio
import gc
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, Final

import pytest

from synthorg.persistence import (
    MariaDBConfig,
    PersistenceConnectionError,
    PostgreSQLConfig,
    TLSConfig,
)
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.mysql import MariaDBDialect
from synthorg.persistence.sql.dialects.postgresql import PostgreSQLDialect
from synthorg.persistence.sql.drivers.sockets import close_without_loop

CLIENT: Final = str(Path(__file__).with_name("assets") / "client.pem")
"""A certificate and its key, which nothing but these tests trusts."""


class NotConnected(BaseException):
    """The arguments for the driver are known, and no connection is wanted; it is no error."""


CONNECT: Final = {
    "asyncpg": "asyncpg.connect",
    "psycopg": "psycopg.AsyncConnection.connect",
    "asyncmy": "asyncmy.connect",
}
"""What opens a connection of a driver."""

Arguments = Callable[[str, TLSConfig], Coroutine[Any, Any, dict[str, Any]]]


@pytest.fixture
def connect_arguments(monkeypatch: pytest.MonkeyPatch) -> Arguments:
    """A function that reads what a driver is given."""

    async def read(driver: str, tls: TLSConfig) -> dict[str, Any]:
        given: dict[str, Any] = {}

        async def stop(**arguments: Any) -> None:
            given.update(arguments)
            raise NotConnected

        monkeypatch.setattr(CONNECT[driver], stop)
        engine = with_driver(driver, tls).create_engine()
        with pytest.raises(NotConnected):
            await engine.connect()
        await engine.dispose()
        return given

    return read


def with_driver(driver: str, tls: TLSConfig) -> Dialect:
    section: dict[str, Any] = {"host": "h", "database": "d", "username": "u", "tls": tls}
    if driver == "asyncmy":
        return MariaDBDialect(MariaDBConfig(**section))
    return PostgreSQLDialect(PostgreSQLConfig(driver=driver, **section))


@pytest.mark.parametrize("driver", ["asyncpg", "asyncmy"])
async def test_a_driver_that_takes_a_context_gets_one_that_verifies_as_configured(
    driver: str, connect_arguments: Arguments
) -> None:
    off = (await connect_arguments(driver, TLSConfig()))["ssl"]
    require = (await connect_arguments(driver, TLSConfig(mode="require")))["ssl"]
    verify = (await connect_arguments(driver, TLSConfig(mode="verify-full")))["ssl"]
    assert not off
    assert (require.verify_mode, require.check_hostname) == (ssl.CERT_NONE, False)
    assert (verify.verify_mode, verify.check_hostname) == (ssl.CERT_REQUIRED, True)


async def test_psycopg_gets_the_mode_and_the_files_by_name(
    tmp_path: Path, connect_arguments: Arguments
) -> None:
    files = {name: str(tmp_path / name) for name in ("ca", "certificate", "key")}
    given = await connect_arguments("psycopg", TLSConfig(mode="verify-full", **files))
    assert given["sslmode"] == "verify-full"
    assert given["sslrootcert"] == files["ca"]
    assert given["sslcert"] == files["certificate"]
    assert given["sslkey"] == files["key"]
    off = await connect_arguments("psycopg", TLSConfig())
    assert off["sslmode"] == "disable"


def certificate_seen_by_a_server(client: ssl.SSLContext) -> object:
    """Let a client shake hands with a server that asks for its certificate, without a network."""
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=CLIENT)
    own.load_cert_chain(CLIENT)
    own.verify_mode = ssl.CERT_REQUIRED
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = own.wrap_bio(there, back, server_side=True)
    ends = [client.wrap_bio(back, there), server]
    while ends:
        for end in list(ends):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
                ends.remove(end)
    return server.getpeercert()


@pytest.mark.parametrize("driver", ["asyncpg", "asyncmy"])
async def test_a_driver_that_takes_a_context_shows_the_certificate_of_the_client(
    driver: str, connect_arguments: Arguments
) -> None:
    tls = TLSConfig(mode="require", certificate=CLIENT, key=CLIENT)
    context = (await connect_arguments(driver, tls))["ssl"]
    seen = certificate_seen_by_a_server(context)
    assert isinstance(seen, dict)
    assert seen["subject"] == ((("commonName", "a client of the tests"),),)


@pytest.mark.parametrize("driver", ["asyncpg", "asyncmy"])
def test_a_certificate_file_that_cannot_be_read_is_a_connection_error(
    driver: str, tmp_path: Path
) -> None:
    tls = TLSConfig(mode="verify-full", ca=str(tmp_path / "missing.pem"))
    with pytest.raises(PersistenceConnectionError, match="TLS"):
        with_driver(driver, tls).create_engine()


@contextmanager
def answering_in_tls() -> Iterator[int]:
    """Run a server that takes one connection and reads until its end, and give its port."""
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(CLIENT)

    def serve(listener: socket.socket) -> None:
        with listener.accept()[0] as plain, own.wrap_socket(plain, server_side=True) as served:
            served.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve, args=[listener])
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_a_connection_in_tls_is_closed_after_its_event_loop_too() -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    async def connect(port: int) -> asyncio.Transport:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(
            asyncio.Protocol, "127.0.0.1", port, ssl=context
        )
        return transport

    with answering_in_tls() as port:
        transport = asyncio.run(connect(port))
        close_without_loop(SimpleNamespace(_transport=transport, close=transport.close))
        assert transport.get_extra_info("socket").fileno() == -1
    del transport
    gc.collect()  # which would warn here of what has stayed open
