"""A server that has become read-only, as after a failover: the next write finds another one."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import pytest
from sqlalchemy import text

from synthorg.persistence import (
    OutcomeUnknownError,
    PersistenceConnectionError,
    TransactionalBackend,
)
from synthorg.persistence.sql.drivers.asyncmy import AsyncmyDriver
from synthorg.persistence.testing.kinds import COST_RECORDS
from tests.dialects.places import Place, connected, task
from tests.dialects.test_silence import ROUTES


async def unit(backend: TransactionalBackend) -> None:
    async with backend.transaction() as work:
        await work.tasks.save(task("two"))


WRITES: Final[list[Callable[[TransactionalBackend], Awaitable[object]]]] = [
    lambda backend: backend.tasks.save(task("one")),
    lambda backend: backend.cost_records.save(COST_RECORDS.example),
    lambda backend: backend.tasks.save_many([task("two"), task("three")]),
    unit,
]


@contextmanager
def refused() -> Iterator[None]:
    """Expect a write to be refused for certain."""
    with pytest.raises(PersistenceConnectionError, match="read-only") as raised:
        yield
    assert not isinstance(raised.value, OutcomeUnknownError)


@asynccontextmanager
async def demoted(place: Place, **options: object) -> AsyncIterator[TransactionalBackend]:
    """Connect to a server on which every session that was begun by then is read-only."""
    async with connected(place.url) as other, other.get_db().connect() as connection:
        name = await connection.scalar(text("SELECT current_database()"))
        await connection.execute(
            text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        )
        await connection.commit()
        async with connected(place.url, **options) as backend:
            for write in WRITES:  # on each kept connection, and on some of the pool
                with refused():
                    await write(backend)
            await backend.tasks.get("one")
            await connection.execute(
                text(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
            )
            await connection.commit()
            yield backend


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("number", range(len(WRITES)))
async def test_a_refused_write_has_all_connections_replaced(
    place: Place, route: str, number: int
) -> None:
    if place.kind != "postgresql":
        pytest.skip("its sessions are read-only by a setting of the whole server")
    async with demoted(place, **ROUTES[route]) as backend:
        try:
            await WRITES[number](backend)
        except PersistenceConnectionError:
            for write in WRITES:
                await write(backend)
        await backend.tasks.list_tasks()


@pytest.mark.parametrize("prepared", ["true", "false"])
async def test_a_pooled_session_that_is_read_only_is_replaced(place: Place, prepared: str) -> None:
    read_only = {
        "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "mariadb": "SET SESSION TRANSACTION READ ONLY",
    }
    options = {"prepared_statements": prepared, "pool_size": 1}
    async with connected(place.url, **options) as backend:
        for write in WRITES:
            async with backend.get_db().connect() as connection:
                await connection.execute(text(read_only[place.kind]))
                await connection.commit()
            if write in WRITES[:2]:  # one statement, which is run again
                await write(backend)
            else:
                with refused():
                    await write(backend)
            await write(backend)


async def test_a_kept_session_that_is_read_only_is_replaced(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place.kind != "mariadb":
        pytest.skip("see above")
    drivers: list[AsyncmyDriver] = []
    send = AsyncmyDriver.send

    async def watched(driver: AsyncmyDriver, call: object) -> object:
        drivers.append(driver)
        return await send(driver, call)  # type: ignore[arg-type]

    monkeypatch.setattr(AsyncmyDriver, "send", watched)
    async with connected(place.url) as backend:
        await WRITES[1](backend)
        kept = drivers[-1].connection
        await drivers[-1].run("SET SESSION TRANSACTION READ ONLY")
        await WRITES[1](backend)  # on a connection of the pool
        await WRITES[1](backend)
        assert drivers[-1].connection is not kept
        assert len(await backend.cost_records.query()) == 3
