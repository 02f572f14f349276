"""INSERT ... ON CONFLICT on PostgreSQL, where two sessions insert the same new record at once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.entities import User
from synthorg.persistence import TransactionalBackend
from synthorg.persistence.testing.kinds import USERS
from tests.dialects.places import Place, connected, on
from tests.servers.postgresql import PostgreSQL

SLOW_INSERTS: Final = (
    """CREATE FUNCTION wait_in(id text) RETURNS text IMMUTABLE LANGUAGE plpgsql
    AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN id; END $$""",
    "ALTER TABLE users DROP CONSTRAINT users_pkey CASCADE",
    "CREATE INDEX ix_users_wait ON users (wait_in(id))",
    "ALTER TABLE users ADD PRIMARY KEY (id)",
)
"""The server looks for a row with the key, and then adds one to each index, the oldest first: when
both sessions wait in this one, neither has found the other's row, nor entered its key."""

WAITING: Final = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def execute(connection: AsyncConnection, *statements: str) -> int:
    """Run statements, commit, and give the number that the last one selects, if it does."""
    for statement in statements:
        result = await connection.execute(text(statement))
    number = result.scalar() if result.returns_rows else 0
    await connection.commit()
    return int(number or 0)


Save = Callable[[TransactionalBackend, User], Coroutine[Any, Any, None]]


async def save(backend: TransactionalBackend, user: User) -> None:
    await backend.users.save(user)


async def save_many(backend: TransactionalBackend, user: User) -> None:
    await backend.users.save_many([user])


async def save_in_a_unit(backend: TransactionalBackend, user: User) -> None:
    await backend.run_in_transaction(lambda unit: unit.users.save(user))


async def save_many_in_a_unit(backend: TransactionalBackend, user: User) -> None:
    await backend.run_in_transaction(lambda unit: unit.users.save_many([user]))


@on(PostgreSQL)
@pytest.mark.parametrize("prepared", [True, False], ids=["fast", "public"])
@pytest.mark.parametrize("way", [save, save_many, save_in_a_unit, save_many_in_a_unit])
async def test_a_new_user_whom_two_processes_save_at_once_is_saved_by_both(
    place: Place, way: Save, *, prepared: bool
) -> None:
    versions = [USERS.make(must_change_password=flag) for flag in (True, False)]
    async with (
        connected(place.url, prepared_statements=prepared) as one,
        connected(place.url, prepared_statements=prepared) as other,
        connected(place.url) as third,
        third.get_db().connect() as holder,
    ):
        await execute(holder, *SLOW_INSERTS, "SELECT 1 FROM pg_advisory_lock(1)")
        saves = [
            asyncio.create_task(way(backend, version))
            for backend, version in zip((one, other), versions, strict=True)
        ]
        while await execute(holder, WAITING) < len(saves):
            pass
        await execute(holder, "SELECT 1 FROM pg_advisory_unlock(1)")
        await asyncio.gather(*saves)
        assert await third.users.get(USERS.example.id) in versions
