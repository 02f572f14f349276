"""With a prefix repositories do what they do without, beside an application's tables."""

from collections.abc import AsyncIterator
from random import Random
from typing import Final

import pytest
import pytest_asyncio
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError

from synthorg.persistence import (
    DuplicateRecordError,
    ManagedBackend,
    PersistenceConfig,
    QueryError,
    TransactionConflictError,
    create_backend,
)
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.owned_tables import LIBRARY
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import (
    AUDIT_ENTRIES,
    COST_RECORDS,
    EXECUTIONS,
    KINDS,
    LATER,
    MOMENT,
    TASKS,
    USERS,
)
from synthorg.persistence.testing.units import rolled_back
from synthorg.persistence.testing.walks import WALKS
from tests.conftest import checked_out_connections, on_route, with_parameter
from tests.servers.base import Server

PREFIX: Final = "app_"
OWN_USERS: Final = Table(
    "users", MetaData(), Column("number", Integer, primary_key=True), Column("name", String(9))
)
"""A table of the application, whose name this library has for one of its own."""


@pytest_asyncio.fixture(params=["true", "false"], ids=["fast", "public"], loop_scope="session")
async def prefixed(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[ManagedBackend]:
    """A backend with a prefix, on each route, beside an application's table with a row."""
    with server.empty_database() as url:
        own = with_parameter(on_route(url), f"table_prefix={PREFIX}")
        if "prepared_statements" not in own:
            own = with_parameter(own, f"prepared_statements={request.param}")
        async with create_backend(PersistenceConfig.from_url(own)) as backend:
            async with backend.get_db().begin() as connection:
                await connection.run_sync(OWN_USERS.create)
                await connection.execute(insert(OWN_USERS).values(number=1, name="bob"))
            await backend.migrate()
            yield backend
            async with backend.get_db().connect() as connection:
                assert (await connection.execute(select(OWN_USERS))).all() == [(1, "bob")]
                found = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
            assert checked_out_connections(backend) == 0
    assert set(found) == {"users", *(PREFIX + name for name in LIBRARY.names)}


async def delete(backend: ManagedBackend, kind: Kind) -> None:
    if kind.delete is not None:
        await kind.delete(backend, kind.example)
        assert await kind.stored(backend, kind.example) is None


async def test_each_kind_of_record_is_saved_found_walked_through_replaced_and_deleted(
    prefixed: ManagedBackend,
) -> None:
    for kind in KINDS:
        await kind.store(prefixed, kind.example)
        assert await kind.stored(prefixed, kind.example) == kind.example
        if not kind.append_only and not kind.versioned:
            await kind.store(prefixed, kind.example)

    for walk in WALKS:
        arguments = walk.widest(Random(1), [walk.kind.example])
        pages = [page async for page in walk.pages(prefixed, arguments, limit=1)]
        streamed = [record async for record in walk.stream(prefixed, arguments)]
        assert [record for page in pages for record in page.items] == streamed

    for kind in (EXECUTIONS, *reversed([each for each in KINDS if each is not EXECUTIONS])):
        await delete(prefixed, kind)


async def test_many_records_are_saved_found_counted_and_deleted_at_once(
    prefixed: ManagedBackend,
) -> None:
    tasks = [TASKS.keyed(f"task-{number:03}") for number in range(100)]
    entries = [AUDIT_ENTRIES.keyed(task.id) for task in tasks]

    await prefixed.tasks.save_many(tasks)
    await prefixed.audit_entries.save_many(entries)

    assert await prefixed.tasks.get_many([task.id for task in tasks]) == {
        task.id: task for task in tasks
    }
    assert len(await prefixed.audit_entries.query(since=MOMENT, until=LATER, limit=1000)) == len(
        [entry for entry in entries if MOMENT <= entry.timestamp <= LATER]
    )
    assert await prefixed.tasks.delete_many([task.id for task in tasks]) == len(tasks)


async def test_totals_join_the_tables_with_the_prefix(prefixed: ManagedBackend) -> None:
    record = COST_RECORDS.make(task_id=TASKS.example.id)
    await prefixed.tasks.save(TASKS.example)
    await prefixed.cost_records.save(record)

    (total,) = await prefixed.cost_records.totals(["project", "agent_id"])

    assert (total.project, total.agent_id) == (TASKS.example.project, record.agent_id)
    assert total.cost_usd == record.cost_usd == await prefixed.cost_records.aggregate()


async def test_a_unit_writes_both_tables_of_one_name_or_neither(prefixed: ManagedBackend) -> None:
    async with rolled_back(prefixed) as unit:
        await unit.users.save(USERS.example)
        connection = await unit.connection()
        await connection.execute(insert(OWN_USERS).values(number=2, name="al"))
    assert await prefixed.users.get(USERS.example.id) is None

    async with prefixed.transaction() as unit:
        await unit.users.save(USERS.example)
        connection = await unit.connection()
        await connection.execute(insert(OWN_USERS).values(number=2, name="al"))
        ours = select(func.count()).select_from(tables.users).where(tables.users.c.id != "x")
        assert await connection.scalar(ours) == 1
        assert await connection.scalar(select(func.count()).select_from(OWN_USERS)) == 1 + 1
        await connection.execute(OWN_USERS.delete().where(OWN_USERS.c.number == 1 + 1))
    assert await prefixed.users.get(USERS.example.id) == USERS.example


async def test_an_error_of_the_database_names_the_table_as_it_is_there(
    prefixed: ManagedBackend,
) -> None:
    await prefixed.users.save(USERS.example)
    other = USERS.make(id="other")
    with pytest.raises(DuplicateRecordError, match=r"^cannot save app_users \(id='other'\): "):
        await prefixed.users.save(other)
    async with prefixed.transaction() as unit:
        with pytest.raises(DuplicateRecordError, match=r"^cannot save app_users "):
            await unit.users.save(other)
    with pytest.raises((QueryError, TransactionConflictError), match="app_workflow_executions"):
        await prefixed.workflow_executions.save(EXECUTIONS.example)


async def test_the_database_itself_protects_the_audit_trail(prefixed: ManagedBackend) -> None:
    await prefixed.audit_entries.save(AUDIT_ENTRIES.example)

    for change in ("UPDATE app_audit_entries SET reason = ''", "DELETE FROM app_audit_entries"):
        with pytest.raises(DBAPIError, match="app_audit_entries is append-only"):
            async with prefixed.get_db().begin() as connection:
                await connection.execute(text(change))
    with pytest.raises(DuplicateRecordError, match="app_audit_entries"):
        await prefixed.audit_entries.save(AUDIT_ENTRIES.example)
