"""An application's own SQL in a unit of work: one transaction with what the repositories write."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio
from sqlalchemy import Column, Connection, MetaData, String, Table, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from synthorg.persistence import (
    DuplicateRecordError,
    PersistenceError,
    QueryError,
    TransactionalBackend,
    UnitOfWork,
    UsageError,
)
from synthorg.persistence.testing.kinds import AUDIT_ENTRIES, TASKS
from synthorg.persistence.testing.units import rolled_back

OWN: Final = Table("own", MetaData(), Column("id", String(9), primary_key=True))


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def own_table(backend: TransactionalBackend) -> AsyncIterator[None]:
    """A table of the application, beside those of the library."""
    async with backend.get_db().begin() as connection:
        await connection.run_sync(OWN.create)
    yield
    async with backend.get_db().begin() as connection:
        await connection.run_sync(OWN.drop)


async def ids(backend: TransactionalBackend) -> list[str]:
    async with backend.get_db().connect() as connection:
        return list((await connection.scalars(select(OWN.c.id).order_by(OWN.c.id))).all())


async def save_own(unit: UnitOfWork, id_: str) -> None:
    await (await unit.connection()).execute(insert(OWN).values(id=id_))


async def test_own_rows_are_stored_with_the_unit(backend: TransactionalBackend) -> None:
    for number in "12":
        async with backend.transaction() as unit:
            await save_own(unit, f"{number}a")
            await unit.tasks.save(TASKS.make(id=number))
            await save_own(unit, f"{number}b")
            connection = await unit.connection()
            assert await connection.scalar(select(func.count()).select_from(OWN)) == 2 * int(number)
    assert await ids(backend) == ["1a", "1b", "2a", "2b"]
    assert [task.id for task in await backend.tasks.list_tasks()] == ["1", "2"]
    await backend.tasks.save(TASKS.example)


async def test_own_rows_go_with_a_unit_that_is_rolled_back(backend: TransactionalBackend) -> None:
    async with rolled_back(backend) as unit:
        await unit.tasks.save(TASKS.example)
        await save_own(unit, "1")
    async with rolled_back(backend) as unit:
        await save_own(unit, "2")
    assert await ids(backend) == []
    assert await backend.tasks.list_tasks() == ()
    await backend.tasks.save(TASKS.example)


async def test_own_rows_go_with_a_part_that_is_rolled_back(backend: TransactionalBackend) -> None:
    async with backend.transaction() as unit:
        await save_own(unit, "1")
        async with rolled_back(unit) as part:
            await save_own(part, "2")
            await part.tasks.save(TASKS.example)
        await save_own(unit, "3")
    assert await ids(backend) == ["1", "3"]
    assert await backend.tasks.list_tasks() == ()


async def test_own_sql_that_fails_is_undone_alone_and_the_unit_goes_on(
    backend: TransactionalBackend,
) -> None:
    def insert_twice(connection: Connection) -> None:
        connection.execute(insert(OWN).values(id="2"))
        connection.execute(insert(OWN).values(id="2"))

    async with backend.transaction() as unit:
        await save_own(unit, "1")
        with pytest.raises(IntegrityError):
            await save_own(unit, "1")
        with pytest.raises(IntegrityError):
            await (await unit.connection()).run_sync(insert_twice)
        await unit.tasks.save(TASKS.example)
        await save_own(unit, "3")
    assert await ids(backend) == ["1", "3"]
    assert await backend.tasks.list_tasks() == (TASKS.example,)


async def test_a_call_that_fails_leaves_own_rows(backend: TransactionalBackend) -> None:
    await backend.audit_entries.save(AUDIT_ENTRIES.example)
    async with backend.transaction() as unit:
        await unit.tasks.save(TASKS.example)
        await save_own(unit, "1")
        with pytest.raises(DuplicateRecordError):
            await unit.audit_entries.save(AUDIT_ENTRIES.example)
        await save_own(unit, "2")
    assert await ids(backend) == ["1", "2"]


async def test_the_connection_of_a_unit_cannot_end_its_transaction(
    backend: TransactionalBackend,
) -> None:
    async with rolled_back(backend) as unit:
        await save_own(unit, "1")
        connection = await unit.connection()
        for end in (connection.commit, connection.rollback, connection.invalidate):
            with pytest.raises(UsageError, match="transaction"):
                await end()
        for begin in (connection.begin, connection.begin_nested):
            with pytest.raises(UsageError, match="transaction"):
                begin()
        async with connection:
            pass
        await connection.close()
        await connection.execute(insert(OWN).values(id="2"))
    assert await ids(backend) == []


async def test_a_connection_that_outlives_its_unit_refuses_every_use(
    backend: TransactionalBackend,
) -> None:
    async with backend.transaction() as unit:
        connection = await unit.connection()
    with pytest.raises(PersistenceError, match="has ended"):
        await connection.execute(insert(OWN).values(id="1"))
    with pytest.raises(PersistenceError, match="has ended"):
        await unit.connection()
    assert await ids(backend) == []


async def test_own_sql_that_is_cancelled_leaves_nothing_and_the_backend_usable(
    backend: TransactionalBackend,
) -> None:
    async def work() -> None:
        async with backend.transaction() as unit:
            await save_own(unit, "1")
            await unit.tasks.save(TASKS.example)
            await save_own(unit, "2")

    for steps in range(0, 60, 4):
        task = asyncio.create_task(work())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        stored = await ids(backend)
        assert stored in ([], ["1", "2"])
        assert len(await backend.tasks.list_tasks()) == len(stored) // 2
        assert isinstance(outcome, asyncio.CancelledError | None)
        async with backend.transaction() as unit:
            await (await unit.connection()).execute(text("DELETE FROM own"))
            await unit.tasks.delete(TASKS.example.id)


async def test_units_with_own_sql_that_meet_are_run_again(backend: TransactionalBackend) -> None:
    await backend.tasks.save(TASKS.example)
    async with backend.transaction() as first:
        await save_own(first, "0")

    async def count_up(_: int) -> None:
        async def work(unit: UnitOfWork) -> None:
            connection = await unit.connection()
            count = await connection.scalar(select(func.count()).select_from(OWN))
            await connection.execute(insert(OWN).values(id=str(count)))

        await backend.run_in_transaction(work)

    await asyncio.gather(*map(count_up, range(5)))
    assert await ids(backend) == [*"012345"]


async def test_own_sql_reads_first_in_a_unit_that_is_read_only(
    backend: TransactionalBackend,
) -> None:
    async with backend.transaction(read_only=True) as unit:
        connection = await unit.connection()
        assert await connection.scalar(select(func.count()).select_from(OWN)) == 0


async def test_own_sql_writes_nothing_in_a_unit_that_is_read_only(
    backend: TransactionalBackend,
) -> None:
    async with backend.transaction(read_only=True) as unit:
        with pytest.raises(QueryError, match="read-only"):
            await save_own(unit, "1")
        connection = await unit.connection()
        assert await connection.scalar(select(func.count()).select_from(OWN)) == 0
        assert await unit.tasks.list_tasks() == ()
    assert await ids(backend) == []
