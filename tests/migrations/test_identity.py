"""Costs are numbered in the order of recording, whichever revision a database comes from."""

from collections.abc import AsyncIterator

import pytest
from alembic import command
from sqlalchemy import Connection, inspect, select

from synthorg.persistence.sql.tables import cost_records
from synthorg.persistence.testing.kinds import COST_RECORDS
from tests.conftest import ServerPool
from tests.migrations.support import HEAD, Site, site_at
from tests.servers.postgresql import PostgreSQL

BEFORE = "0001_initial_schema"
MODELS = ("first", "second", "third", "fourth")


@pytest.fixture
async def old_site(server_pool: ServerPool) -> AsyncIterator[Site]:
    """A database on PostgreSQL at the revision before identity columns."""
    with server_pool.get(PostgreSQL).empty_database() as url:
        async with site_at(url) as site:
            await site.alembic(command.upgrade, BEFORE)
            yield site


async def record(site: Site, *models: str) -> None:
    for model in models:
        await site.backend.cost_records.save(COST_RECORDS.forged(COST_RECORDS.example, model=model))


async def numbers(site: Site) -> list[int]:
    def read(connection: Connection) -> list[int]:
        return list(connection.scalars(select(cost_records.c.sequence_number)))

    return sorted(await site.run(read))


async def test_numbers_go_on_where_they_were_in_both_directions(old_site: Site) -> None:
    await record(old_site, MODELS[0])
    async with old_site.engine.begin() as connection:
        await connection.exec_driver_sql(f"SELECT nextval('{await sequence(old_site)}')")  # a gap

    await old_site.alembic(command.upgrade, HEAD)
    await record(old_site, MODELS[1])
    await old_site.alembic(command.downgrade, BEFORE)
    await record(old_site, MODELS[2])
    await old_site.alembic(command.upgrade, HEAD)
    await record(old_site, MODELS[3])

    assert await numbers(old_site) == [1, 3, 4, 5]
    costs = await old_site.backend.cost_records.query()
    assert tuple(cost.model for cost in costs) == MODELS


async def sequence(site: Site) -> str:
    async with site.engine.connect() as connection:
        question = "SELECT pg_get_serial_sequence('cost_records', 'sequence_number')"
        return str((await connection.exec_driver_sql(question)).scalar_one())


async def test_numbers_that_rows_brought_along_are_not_given_again(old_site: Site) -> None:
    await record(old_site, MODELS[0])
    async with old_site.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE cost_records SET sequence_number = 7")

    await old_site.alembic(command.upgrade, HEAD)
    await record(old_site, MODELS[1])

    assert await numbers(old_site) == [7, 8]


async def test_a_downgrade_gives_the_earlier_schema_again(old_site: Site) -> None:
    def counter(connection: Connection) -> str:
        columns = inspect(connection).get_columns("cost_records")
        return repr(next(column for column in columns if column["name"] == "sequence_number"))

    before = await old_site.run(counter)
    schema = await old_site.schema()

    await old_site.alembic(command.upgrade, HEAD)
    assert await old_site.run(counter) != before
    await old_site.alembic(command.downgrade, BEFORE)

    assert await old_site.run(counter) == before
    assert await old_site.schema() == schema
