"""What lists cost on MariaDB, in rows that the server looks at rather than in time."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.entities import Message
from synthorg.persistence import MariaDBConfig, TransactionalBackend
from synthorg.persistence.sql.dialects.mysql import MariaDBDialect
from synthorg.persistence.sql.drivers.asyncmy import AsyncmyDriver
from synthorg.persistence.sql.drivers.base import Call
from synthorg.persistence.sql.drivers.batching import Outcome
from synthorg.persistence.sql.repositories.messages import SQLMessageRepository
from synthorg.persistence.sql.statements.queries import LIMIT
from synthorg.persistence.testing.kinds import COST_RECORDS, MESSAGES, MOMENT
from tests.conftest import ServerPool
from tests.dialects.places import connected
from tests.servers.mariadb import MariaDB

DIALECT = MariaDBDialect(MariaDBConfig(database="any"))
MESSAGES_STORED = 2000
PAGE = 20
AGENTS = [f"agent {number}" for number in range(20)]


@pytest.fixture
async def backend(server_pool: ServerPool) -> AsyncIterator[TransactionalBackend]:
    """A backend with one channel that has all the messages."""
    with server_pool.get(MariaDB).migrated_database() as url:
        async with connected(url) as backend:
            await backend.messages.save_many(messages())
            yield backend


def messages() -> Iterator[Message]:
    for number in range(MESSAGES_STORED):
        moment = MOMENT + timedelta(seconds=number // 4)
        yield MESSAGES.altered(MESSAGES.keyed(str(number)), timestamp=moment, channel="all")


async def rows_read(connection: AsyncConnection, seconds: int) -> int:
    """Read the page after a moment, and give how many rows the server has looked at for it."""
    listing = SQLMessageRepository.listing
    position = listing.after((MOMENT + timedelta(seconds=seconds), 4 * seconds))
    statement, parameters = listing.narrowed({"channel": "all", LIMIT: PAGE, **position})
    await connection.execute(text("FLUSH STATUS"))  # of this session
    rows = (await connection.execute(statement.build(DIALECT), statement.coerce(parameters))).all()
    assert len(rows) == PAGE
    status = await connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read_%'"))
    return sum(int(value) for _, value in status)


async def test_a_page_costs_the_same_wherever_it_is(backend: TransactionalBackend) -> None:
    last = MESSAGES_STORED // 4
    async with backend.get_db().connect() as connection:
        read = [await rows_read(connection, at) for at in range(last, PAGE, -last // 10)]
    assert len(read) == 10
    assert max(read) <= PAGE + 5


async def test_a_sum_looks_at_nothing_but_its_index_even_after_rows_were_added(
    backend: TransactionalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that is prepared on the server forgets then that the index has all it needs."""
    connections: list[Any] = []
    send = AsyncmyDriver.send

    async def watched(driver: AsyncmyDriver, call: Call) -> Outcome:
        connections.append(driver.connection)
        return await send(driver, call)

    async def spent() -> float:
        return await backend.cost_records.aggregate(agent_id=AGENTS[0])

    monkeypatch.setattr(AsyncmyDriver, "send", watched)
    records = [COST_RECORDS.altered(COST_RECORDS.example, agent_id=agent) for agent in AGENTS]
    await backend.cost_records.save_many(records * 20)
    await spent()
    await backend.cost_records.save(records[0])
    assert await spent() == pytest.approx(21 * records[0].cost_usd)
    cursor = connections[-1].cursor()
    await cursor.execute("SHOW SESSION STATUS LIKE 'Handler_icp_attempts'")
    ((_, rows_checked_before_they_were_read),) = await cursor.fetchall()
    assert int(rows_checked_before_they_were_read) == 0
