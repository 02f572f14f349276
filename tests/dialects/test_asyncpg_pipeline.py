"""Statements that go ahead of another one in its trip to PostgreSQL."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import text

from synthorg.persistence import TransactionalBackend
from synthorg.persistence.sql.drivers import asyncpg_pipeline
from synthorg.persistence.sql.drivers.asyncpg_pipeline import Prepared, is_supported, send_behind
from synthorg.persistence.sql.drivers.base import Call
from synthorg.persistence.sql.execution.ping import Question
from synthorg.persistence.transactions import UnitOfWork
from tests.dialects.places import Place, connected, on, task
from tests.servers.postgresql import PostgreSQL

BEGIN = ("BEGIN ISOLATION LEVEL SERIALIZABLE", "SAVEPOINT step")


async def driver_of(backend: TransactionalBackend) -> Any:
    """Give the driver's connection that the pool hands out next."""
    async with backend.get_db().connect() as connection:
        return (await connection.get_raw_connection()).driver_connection


def no_statements() -> Prepared:
    return {}


async def ask(
    connection: Any, prepared: Prepared, statements: Sequence[str], sql: str, *values: object
) -> Any:
    """Give the first value that a query returns behind other statements."""
    rows, _ = await send_behind(connection, prepared, statements, Call(Question(sql), values))
    return rows[0][0]


@on(PostgreSQL)
async def test_statements_begin_the_transaction_in_which_the_one_behind_them_runs(
    place: Place,
) -> None:
    async with connected(place.url) as backend:
        connection, prepared = await driver_of(backend), no_statements()
        question = "SELECT current_setting('transaction_isolation') || $1::text"
        for _ in range(3):
            assert await ask(connection, prepared, BEGIN, question, "!") == "serializable!"
            assert connection.is_in_transaction()
            await connection.execute("ROLLBACK TO SAVEPOINT step; ROLLBACK")


@on(PostgreSQL)
async def test_the_one_behind_does_not_run_when_one_before_it_fails(place: Place) -> None:
    async with connected(place.url) as backend:
        connection, prepared = await driver_of(backend), no_statements()
        await connection.execute("CREATE TEMPORARY TABLE written (number int)")
        write = "INSERT INTO written VALUES ($1) RETURNING number"
        assert await ask(connection, prepared, ("BEGIN", "COMMIT"), write, 1) == 1
        for _ in range(2):
            with pytest.raises(Exception, match="savepoint"):
                await ask(connection, prepared, ("BEGIN", "RELEASE SAVEPOINT no"), write, 2)
            await connection.execute("ROLLBACK")
        assert await connection.fetchval("SELECT sum(number) FROM written") == 1


@on(PostgreSQL)
async def test_a_connection_is_closed_when_its_driver_refuses_the_one_behind(place: Place) -> None:
    async with connected(place.url) as backend:
        connection, prepared = await driver_of(backend), no_statements()
        assert await ask(connection, prepared, BEGIN, "SELECT $1::int8", 1) == 1
        await connection.execute("ROLLBACK")
        with pytest.raises(Exception, match="invalid input"):
            await ask(connection, prepared, BEGIN, "SELECT $1::int8", "no number")
        assert connection.is_closed()


@on(PostgreSQL)
async def test_a_statement_that_meets_a_duplicate_stays_prepared(place: Place) -> None:
    async with connected(place.url) as backend:
        connection, prepared = await driver_of(backend), no_statements()
        await connection.execute("CREATE TEMPORARY TABLE written (number int PRIMARY KEY)")
        write = "INSERT INTO written VALUES ($1) RETURNING number"
        assert await ask(connection, prepared, ("BEGIN", "COMMIT"), write, 1) == 1
        (statement,) = prepared.values()
        with pytest.raises(Exception, match="duplicate"):
            await ask(connection, prepared, BEGIN, write, 1)
        await connection.execute("ROLLBACK")
        assert await ask(connection, prepared, BEGIN, write, 2) == 2
        assert [*prepared.values()] == [statement]


@on(PostgreSQL)
async def test_a_statement_that_is_out_of_date_is_prepared_anew(place: Place) -> None:
    async def get(unit: UnitOfWork) -> object:
        return await unit.tasks.get("a")

    async with connected(place.url) as backend, connected(place.url) as other:
        await backend.tasks.save(task("a"))
        for kind in ("varchar(900)", "text"):
            await backend.run_in_transaction(get)
            async with other.get_db().begin() as connection:
                await connection.execute(text(f"ALTER TABLE tasks ALTER title TYPE {kind}"))
            assert await backend.run_in_transaction(get) == task("a")


@on(PostgreSQL)
async def test_no_more_are_prepared_than_a_few(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthorg.persistence.sql.drivers.asyncpg.MOST_PREPARED", 1)
    async with connected(place.url) as backend:
        for _ in range(2):
            async with backend.transaction() as unit:
                await unit.tasks.save(task("a"))
                await unit.tasks.delete("b")
        async with backend.get_db().connect() as connection:
            prepared = (await connection.get_raw_connection()).info["synthorg_prepared"]
        assert len(prepared) == 1


@on(PostgreSQL)
async def test_a_release_of_the_driver_that_nobody_knows_gets_one_statement_at_a_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncpg_pipeline, "KNOWN_RELEASES", ("0.31.",))
    is_supported.cache_clear()
    try:
        async with connected(place.url) as backend:
            async with backend.transaction() as unit:
                await unit.tasks.save(task("a"))
                assert await unit.tasks.get("a") == task("a")
            async with backend.get_db().connect() as connection:
                assert "synthorg_prepared" not in (await connection.get_raw_connection()).info
    finally:
        is_supported.cache_clear()


@pytest.mark.parametrize("is_plain", [True, False])
async def test_what_goes_ahead_is_sent_before_what_follows(*, is_plain: bool) -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setblocking(False)  # noqa: FBT003 (the signature is Python's)
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        way = transport if is_plain else Wrapped(transport)
        large = bytes(2**22)  # more than a socket takes at once
        for each in (b"first", b"second" + large, b"third"):
            asyncpg_pipeline._write_ahead(way, each)  # noqa: SLF001 (of a plain transport and of others)
        way.write(b"last")
        received = b""
        async with asyncio.timeout(20):
            while not received.endswith(b"last"):
                received += await loop.sock_recv(theirs, 2**20)
        assert received == b"firstsecond" + large + b"thirdlast"
        transport.close()


class Wrapped:
    """A transport of which nothing is known but what all have, as that of TLS."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.write = transport.write
