"""Behind a pooler of transactions, nothing of a session is relied on, and nothing is left there."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import text

from synthorg.persistence import QueryError, TransactionalBackend
from tests.dialects.places import connected, task
from tests.poolers.conftest import Through, by_each_driver

ONE_CONNECTION: Final = ("default_pool_size = 1", "max_db_connections = 1")
FEW_CONNECTIONS: Final = ("default_pool_size = 3", "max_db_connections = 3")

LEFT_BEHIND: Final = """
SELECT 'setting ' || name FROM pg_settings WHERE source = 'session' AND name NOT IN (
    'client_encoding', 'application_name', 'DateStyle', 'TimeZone', 'standard_conforming_strings')
UNION ALL SELECT 'statement ' || name FROM pg_prepared_statements
UNION ALL SELECT 'channel ' || channel FROM pg_listening_channels() AS channel
UNION ALL SELECT 'table ' || relname FROM pg_class WHERE relpersistence = 't'
UNION ALL SELECT 'cursor ' || name FROM pg_cursors WHERE is_holdable
UNION ALL SELECT 'lock ' || objid FROM pg_locks
    WHERE locktype = 'advisory' AND pid = pg_backend_pid()
"""
"""What others could meet in a session; a pooler sets the first five settings for each client."""


@asynccontextmanager
async def stranger(url: str) -> AsyncIterator[Any]:
    """A client that is not of the library."""
    address = url.partition("?")[0]
    connecting = psycopg.AsyncConnection.connect(address, prepare_threshold=None, autocommit=True)
    async with await connecting as connection:
        yield connection


async def all_of(client: Any, question: str) -> list[Any]:
    return [value for (value,) in await (await client.execute(question)).fetchall()]


async def use(backend: TransactionalBackend) -> None:
    """Do something of each kind."""
    for number in range(8):
        await backend.tasks.save(task(f"{number}"))
        await backend.tasks.get(f"{number}")
        async with backend.transaction() as unit:
            await unit.tasks.save(task(f"unit {number}"))
            await unit.tasks.list_tasks()
    await backend.tasks.save_many([task(f"many {number}") for number in range(50)])
    await asyncio.gather(*[backend.tasks.save(task(f"at once {number}")) for number in range(20)])
    async with backend.transaction(read_only=True) as unit:
        assert len(await unit.tasks.list_tasks(project="p")) == 86
    async for _ in backend.tasks.stream():
        pass
    async with backend.get_db().connect() as connection:
        await connection.execute(text("SELECT count(*) FROM tasks WHERE id = :id"), {"id": "1"})


@by_each_driver
async def test_nothing_is_left_in_a_session_that_others_share(
    through: Through, driver: str
) -> None:
    url = through("transaction", driver, *ONE_CONNECTION)
    async with stranger(url) as client:
        before = await all_of(client, LEFT_BEHIND)
        async with connected(url, statement_timeout_seconds=7, schema="public") as backend:
            await backend.migrate()
            await use(backend)
            assert await all_of(client, LEFT_BEHIND) == before
            assert await all_of(client, "SHOW statement_timeout") == ["0"]


@by_each_driver
async def test_what_others_leave_in_a_session_does_not_matter(
    through: Through, driver: str
) -> None:
    url = through("transaction", driver, *ONE_CONNECTION)
    async with stranger(url) as client, connected(url, statement_timeout_seconds=7) as backend:
        for setting in (
            "search_path = pg_catalog",
            "statement_timeout = 100",
            "lock_timeout = 100",
            "synchronous_commit = off",
            "timezone = 'Asia/Tokyo'",
            "transform_null_equals = on",
            "default_transaction_isolation = 'repeatable read'",
        ):
            await client.execute(f"SET {setting}")
        await use(backend)
        async with backend.get_db().connect() as connection:
            found = {
                name: (await connection.exec_driver_sql(f"SHOW {name}")).scalar_one()
                for name in (
                    "statement_timeout",
                    "search_path",
                    "timezone",
                    "transaction_isolation",
                )
            }
        assert found == {
            "statement_timeout": "7s",
            "search_path": '"$user", public',
            "timezone": "UTC",
            "transaction_isolation": "read committed",
        }


@by_each_driver
async def test_the_limits_of_the_role_hold(through: Through, database: str, driver: str) -> None:
    async with stranger(database) as owner:
        (name,) = await all_of(owner, "SELECT current_database()")
        await owner.execute(f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = 4321")
        await owner.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        try:
            url = through("transaction", driver, *ONE_CONNECTION)
            async with connected(url) as backend, backend.get_db().connect() as connection:
                idle = await connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout")
                assert idle.scalar_one() == "4321ms"
                durable = await connection.exec_driver_sql("SHOW synchronous_commit")
                assert durable.scalar_one() == "on"
        finally:
            await owner.execute(f"ALTER DATABASE {name} RESET ALL")


@by_each_driver
async def test_a_statement_that_takes_too_long_is_ended(through: Through, driver: str) -> None:
    url = through("transaction", driver, *FEW_CONNECTIONS)
    async with connected(url, statement_timeout_seconds=0.3) as backend:
        await backend.tasks.save(task("held"))
        async with stranger(url) as client, client.transaction():
            await client.execute("SELECT 1 FROM tasks WHERE id = 'held' FOR UPDATE")
            with pytest.raises(QueryError, match="statement timeout"):
                await backend.tasks.save(task("held", title="Changed"))
        assert await backend.tasks.get("held") == task("held")


@by_each_driver
async def test_a_row_that_is_held_keeps_nobody_waiting_for_another(
    through: Through, driver: str
) -> None:
    url = through("transaction", driver, *FEW_CONNECTIONS)
    async with connected(url) as backend, stranger(url) as client:
        await backend.tasks.save(task("held"))
        async with client.transaction():
            await client.execute("SELECT 1 FROM tasks WHERE id = 'held' FOR UPDATE")
            waiting = asyncio.create_task(backend.tasks.save(task("held", title="Changed")))
            await asyncio.sleep(0.05)
            began = time.monotonic()
            for number in range(30):
                await backend.tasks.save(task(f"{number}"))
            assert time.monotonic() - began < 2
            assert not waiting.done()
        await waiting
        assert await backend.tasks.get("held") == task("held", title="Changed")


@by_each_driver
async def test_a_cancelled_call_leaves_neither_a_transaction_nor_a_lock(
    through: Through, database: str, driver: str
) -> None:
    url = through("transaction", driver, *FEW_CONNECTIONS)
    async with (
        connected(url) as backend,
        stranger(database) as owner,
        stranger(database) as onlooker,  # what a transaction sees of the others does not change
    ):
        await backend.tasks.save(task("held"))
        for _ in range(5):
            async with owner.transaction():
                await owner.execute("SELECT 1 FROM tasks WHERE id = 'held' FOR UPDATE")
                calls = [asyncio.create_task(each) for each in blocked_calls(backend)]
                await asyncio.sleep(0.25)  # beyond the patience of a connection that is kept
                for call in calls:
                    call.cancel()
                done = await asyncio.gather(*calls, return_exceptions=True)
                assert all(isinstance(each, asyncio.CancelledError) for each in done)
                await nobody_is_busy_but(owner, onlooker)
            await asyncio.gather(*[backend.tasks.save(task(f"{number}")) for number in range(20)])
        assert await backend.tasks.get("held") == task("held")
        assert await all_of(owner, "SELECT title FROM tasks WHERE id = 'held'") == ["Count"]


def blocked_calls(backend: TransactionalBackend) -> Any:
    async def unit() -> None:
        async with backend.transaction() as work:
            await work.tasks.save(task("held", title="Changed in a unit"))

    return backend.tasks.save(task("held", title="Changed")), unit()


async def nobody_is_busy_but(owner: Any, onlooker: Any) -> None:
    """Wait until the server has nothing to do for the pooler."""
    question = (
        "SELECT state || ': ' || query FROM pg_stat_activity WHERE state <> 'idle' "
        "AND datname = current_database() "
        f"AND pid NOT IN ({owner.info.backend_pid}, pg_backend_pid())"
    )
    deadline = time.monotonic() + 5
    while busy := await all_of(onlooker, question):
        assert time.monotonic() < deadline, busy
        await asyncio.sleep(0.02)


@by_each_driver
async def test_calls_cancelled_at_any_moment_harm_no_others(through: Through, driver: str) -> None:
    url = through("transaction", driver, *FEW_CONNECTIONS)
    async with connected(url) as backend:
        kept = tuple(task(f"{number:02}") for number in range(20))
        await backend.tasks.save_many(kept)
        for number in range(60):
            calls = [asyncio.create_task(backend.tasks.get(each.id)) for each in kept]
            calls.append(asyncio.create_task(backend.tasks.save(task("other"))))
            await asyncio.sleep(number / 20_000)
            for call in calls[::3]:
                call.cancel()
            for each, call in zip(kept, calls, strict=False):
                with suppress(asyncio.CancelledError):
                    assert await call == each
            with suppress(asyncio.CancelledError):
                await calls[-1]
        left = [each for each in await backend.tasks.list_tasks() if each.id != "other"]
        assert tuple(left) == kept
