"""What servers do beyond SQLite: refuse, time out, lock, kill sessions; provoked on real ones."""

import asyncio
import random
import socket
import sys
import traceback
from collections.abc import Iterator

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.entities import ParkedContext
from synthorg.entities.base import now
from synthorg.persistence import (
    PersistenceConfig,
    PersistenceConnectionError,
    PersistenceError,
    QueryError,
    TransactionConflictError,
    create_backend,
)
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.drivers.faults import Fault
from tests.dialects.places import Place, connected, on, task
from tests.servers.mariadb import MariaDB

OTHER_SESSIONS = {
    "postgresql": "SELECT pid FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mariadb": "SELECT id FROM information_schema.processlist "
    "WHERE db = DATABASE() AND id <> CONNECTION_ID()",
}
OWN_SESSION = {"postgresql": "SELECT pg_backend_pid()", "mariadb": "SELECT CONNECTION_ID()"}
KILL = {"postgresql": "SELECT pg_terminate_backend({})", "mariadb": "KILL {}"}
SLEEP = {"postgresql": "SELECT pg_sleep(10)", "mariadb": "SELECT SLEEP(10) FROM tasks"}
READ_ONLY = {
    "postgresql": "SET TRANSACTION READ ONLY",
    "mariadb": "START TRANSACTION READ ONLY",
}
SHORT_LOCK_WAIT = {
    "postgresql": "SET LOCAL lock_timeout = '100ms'",
    "mariadb": "SET innodb_lock_wait_timeout = 1",
}


async def other_sessions(place: Place, connection: AsyncConnection) -> set[int]:
    """List the sessions of the database, but for this one."""
    rows = await connection.execute(text(OTHER_SESSIONS[place.kind]))
    return {session for (session,) in rows}


async def kill(place: Place, connection: AsyncConnection, sessions: set[int]) -> None:
    for session in sessions:
        await connection.execute(text(KILL[place.kind].format(session)))


PROVOKED = [
    ("a text that is too long", "UPDATE tasks SET id = REPEAT('x', 300)", Fault.REFUSED),
    ("a broken check", "UPDATE tasks SET max_retries = -1", Fault.REFUSED),
    ("a missing value", "UPDATE tasks SET title = NULL", Fault.MISSING),
    ("a duplicate key", "INSERT INTO tasks SELECT * FROM tasks", Fault.DUPLICATE),
    ("a missing table", "SELECT * FROM no_such_table", Fault.SCHEMA),
    ("a missing column", "SELECT no_such_column FROM tasks", Fault.SCHEMA),
    ("a statement that is none", "SELEKT 1", Fault.REFUSED),
]


@pytest.mark.parametrize(
    ("statement", "fault"), [case[1:] for case in PROVOKED], ids=[case[0] for case in PROVOKED]
)
async def test_what_a_server_refuses_is_told_apart_by_its_code(
    place: Place, statement: str, fault: Fault
) -> None:
    dialect = create_dialect(PersistenceConfig.from_url(place.url))
    async with connected(place.url) as backend:
        await backend.tasks.save(task("one"))
        with pytest.raises(DBAPIError) as raised:
            async with backend.get_db().begin() as connection:
                await connection.execute(text(statement))
        assert dialect.diagnose(raised.value).fault is fault


async def test_a_lock_that_is_held_too_long_is_worth_another_attempt(place: Place) -> None:
    dialect = create_dialect(PersistenceConfig.from_url(place.url))
    async with connected(place.url) as backend:
        await backend.tasks.save(task("one"))
        change = text("UPDATE tasks SET max_retries = max_retries + 1")
        async with backend.get_db().begin() as holder:
            await holder.execute(change)
            async with backend.get_db().connect() as waiter:
                await waiter.execute(text(SHORT_LOCK_WAIT[place.kind]))
                with pytest.raises(DBAPIError) as raised:
                    await waiter.execute(change)
                await waiter.invalidate()  # its setting must not go back to the pool
        assert dialect.diagnose(raised.value).fault is Fault.TRANSIENT


async def test_a_row_that_another_transaction_changed_is_worth_another_attempt(
    place: Place,
) -> None:
    """On MariaDB with `innodb_snapshot_isolation`, which is the default from 11.6 on."""
    dialect = create_dialect(PersistenceConfig.from_url(place.url))
    change = text("UPDATE tasks SET max_retries = max_retries + 1")
    async with connected(place.url) as backend:
        await backend.tasks.save(task("one"))
        async with backend.get_db().connect() as connection:
            if place.kind == "mariadb":
                await connection.execute(text("SET SESSION innodb_snapshot_isolation = ON"))
                await connection.commit()
            await connection.execution_options(isolation_level="REPEATABLE READ")
            await connection.execute(text("SELECT * FROM tasks"))
            await backend.tasks.save(task("one", title="changed"))
            with pytest.raises(DBAPIError) as raised:
                await connection.execute(change)
            await connection.invalidate()  # its setting must not go back to the pool
        assert dialect.diagnose(raised.value).fault is Fault.TRANSIENT


async def test_a_read_only_server_counts_as_one_that_cannot_be_used(place: Place) -> None:
    dialect = create_dialect(PersistenceConfig.from_url(place.url))
    async with connected(place.url) as backend:
        connection = await backend.get_db().connect()
        try:
            await connection.execute(
                text(
                    "SET SESSION TRANSACTION READ ONLY"
                    if place.kind == "mariadb"
                    else "SET TRANSACTION READ ONLY"
                )
            )
            if place.kind == "mariadb":
                await connection.commit()
            with pytest.raises(DBAPIError) as raised:
                await connection.execute(text("UPDATE tasks SET max_retries = 0"))
            assert dialect.diagnose(raised.value).fault is Fault.CONNECTION
        finally:
            await connection.invalidate()
            await connection.close()


async def test_a_statement_over_its_time_limit_is_refused(place: Place) -> None:
    dialect = create_dialect(PersistenceConfig.from_url(place.url))
    async with connected(place.url, statement_timeout_seconds=0.2) as backend:
        await backend.tasks.save(task("one"))
        with pytest.raises(DBAPIError) as raised:
            async with backend.get_db().connect() as connection:
                await connection.execute(text(SLEEP[place.kind]))
        assert dialect.diagnose(raised.value).fault is Fault.REFUSED


async def test_two_units_in_a_deadlock_do_not_both_fail(place: Place) -> None:
    barrier = asyncio.Barrier(2)

    async def change(first: str, second: str) -> None:
        async with backend.transaction() as work:
            await work.tasks.save(task(first, title="changed"))
            await barrier.wait()
            await work.tasks.save(task(second, title="changed"))

    async with connected(place.url) as backend:
        await backend.tasks.save_many([task("one"), task("two")])
        outcomes = await asyncio.gather(
            change("one", "two"), change("two", "one"), return_exceptions=True
        )
        failures = [outcome for outcome in outcomes if outcome is not None]
        assert [type(failure) for failure in failures] == [TransactionConflictError]


async def test_a_save_waits_for_a_row_that_another_session_holds(place: Place) -> None:
    async with connected(place.url) as backend, connected(place.url) as other:
        await backend.tasks.save(task("one"))
        async with other.transaction() as work:
            await work.tasks.save(task("one", title="theirs"))
            saving = asyncio.create_task(backend.tasks.save(task("one", title="ours")))
            await asyncio.wait_for(backend.tasks.save(task("two")), 10)
            await asyncio.sleep(0.3)
            assert not saving.done()
        await asyncio.wait_for(saving, 30)
        stored = await backend.tasks.get("one")
        assert stored is not None
        assert stored.title == "ours"


async def test_after_its_sessions_were_killed_the_next_call_works(place: Place) -> None:
    async with connected(place.url) as killer, killer.get_db().connect() as connection:
        spared = await other_sessions(place, connection)
        async with connected(place.url) as backend:
            for round_ in range(5):
                await backend.tasks.save(task("one"))
                assert await backend.tasks.get("one") is not None
                assert len(await backend.tasks.list_tasks()) == 1
                await kill(place, connection, await other_sessions(place, connection) - spared)
                await backend.tasks.save(task("one", title=f"round {round_}"))
                stored = await backend.tasks.get("one")
                assert stored is not None
                assert stored.title == f"round {round_}"
                async with backend.transaction() as work:
                    assert len(await work.tasks.list_tasks()) == 1


async def test_a_call_whose_session_is_killed_is_a_connection_error(place: Place) -> None:
    async with (
        connected(place.url) as killer,
        killer.get_db().connect() as connection,
        killer.get_db().connect() as holder,
    ):
        await holder.execute(text("SELECT * FROM tasks"))
        spared = await other_sessions(place, connection)
        async with connected(place.url) as backend:
            await connection.rollback()  # PostgreSQL shows a transaction one list of sessions
            await backend.tasks.save(task("one"))
            await holder.execute(text("UPDATE tasks SET max_retries = 7"))
            saving = asyncio.create_task(backend.tasks.save(task("one", title="late")))
            await asyncio.sleep(2)
            await kill(place, connection, await other_sessions(place, connection) - spared)
            with pytest.raises(PersistenceConnectionError):
                await asyncio.wait_for(saving, 20)
            await holder.rollback()
            await backend.tasks.save(task("two"))


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port where nobody listens, nor can begin to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("wrong", ["port", "host", "user", "database"])
async def test_a_server_that_cannot_be_reached_is_named_without_the_password(
    place: Place, wrong: str, closed_port: int
) -> None:
    url = make_url(place.url).set(password="S3CRET-pa55")
    url = {
        "port": url.set(port=closed_port),
        "host": url.set(host="no-such-host.invalid"),
        "user": url.set(username="nobody_knows_me"),
        "database": url.set(password=make_url(place.url).password, database="no_such_database"),
    }[wrong]
    backend = create_backend(PersistenceConfig.from_url(url.render_as_string(hide_password=False)))
    with pytest.raises(PersistenceConnectionError) as raised:
        await backend.connect()
    assert not backend.is_connected
    assert str(url.host) in str(raised.value)
    assert "S3CRET" not in "".join(traceback.format_exception(raised.value))


async def test_an_exhausted_pool_is_a_connection_error_and_recovers(place: Place) -> None:
    async with connected(place.url, pool_size=1, pool_timeout_seconds=0.2) as backend:
        async with backend.transaction() as work:
            await work.tasks.save(task("one"))
            with pytest.raises(PersistenceConnectionError, match="pool"):
                await backend.tasks.get("one")
        assert await backend.tasks.get("one") is not None


async def test_calls_one_after_the_other_use_the_same_session(place: Place) -> None:
    """Even after a burst: each then follows so soon that nobody asks whether it is alive."""
    async with connected(place.url, prepared_statements="false") as backend:

        async def session(burst: asyncio.Barrier | None = None) -> int:
            async with backend.get_db().connect() as connection:
                if burst is not None:
                    await burst.wait()
                return int(await connection.scalar(text(OWN_SESSION[place.kind])) or 0)

        at_once = asyncio.Barrier(3)
        assert len(set(await asyncio.gather(*(session(at_once) for _ in range(3))))) == 3
        assert len({await session() for _ in range(6)}) == 1


@on(MariaDB)  # the only one with such a limit
@pytest.mark.parametrize("prepared", ["true", "false"])
@pytest.mark.parametrize(
    ("character", "share"), [("x", 1), ("'", 0.6)], ids=["plain", "sent with a backslash"]
)
async def test_a_payload_above_the_limit_of_the_server_is_refused_before_it_is_sent(
    place: Place, prepared: str, character: str, share: float
) -> None:
    async with connected(place.url, prepared_statements=prepared) as backend:
        async with backend.get_db().connect() as connection:
            limit = await connection.scalar(text("SELECT @@max_allowed_packet"))
        assert limit is not None
        context = ParkedContext(
            id="large",
            execution_id="e",
            agent_id="a",
            approval_id="ap",
            parked_at=now(),
            context_json=f'"{character * int(limit * share)}"',
        )
        with pytest.raises(QueryError, match="max_allowed_packet"):
            await backend.parked_contexts.save(context)
        async with backend.transaction() as work:
            with pytest.raises(QueryError, match="max_allowed_packet"):
                await work.parked_contexts.save_many([context])
        assert await backend.parked_contexts.get("large") is None


@pytest.mark.parametrize("prepared", ["true", "false"])
async def test_many_coroutines_share_a_small_pool_without_error(
    place: Place, prepared: str
) -> None:
    seconds, chance = 1.0, random.Random(1)
    loop = asyncio.get_running_loop()

    async def work(number: int) -> int:
        done = 0
        while loop.time() < end:
            key = f"task-{chance.randrange(40)}"
            match chance.randrange(5):
                case 0:
                    await backend.tasks.get(key)
                case 1:
                    await backend.tasks.list_tasks(project="p")
                case 2:
                    async with backend.transaction(read_only=True) as unit:
                        await unit.tasks.get(key)
                case 3:
                    await backend.tasks.delete(f"own-{number}")
                case _:
                    await backend.tasks.save(task(key, title=f"by {number}"))
            done += 1
        return done

    async with connected(place.url, pool_size=5, prepared_statements=prepared) as backend:
        end = loop.time() + seconds
        counts = await asyncio.gather(*(work(number) for number in range(64)))
        assert min(counts) > 0
        assert backend.get_db().sync_engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_a_missing_driver_is_an_error_that_names_the_extra(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, place.driver, None)
    backend = create_backend(PersistenceConfig.from_url(place.url))
    with pytest.raises(PersistenceError, match=rf"synthorg-persistence\[{place.kind}\]"):
        await backend.connect()
