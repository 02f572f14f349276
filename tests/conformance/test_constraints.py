"""Rules that the database itself holds, whoever writes to it."""

from typing import Any, Final

import pytest
from sqlalchemy import BigInteger, Double, Executable, delete, update
from sqlalchemy.exc import DBAPIError

from synthorg.persistence import PersistenceBackend
from synthorg.persistence.sql import tables
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import (
    AGENT_STATES,
    API_KEYS,
    AUDIT_ENTRIES,
    COST_RECORDS,
    EXECUTIONS,
    TASK_METRICS,
    TASKS,
    USERS,
    kinds,
)
from tests.tables import table_of

RULES: Final[tuple[tuple[Kind, dict[str, Any]], ...]] = (
    (TASKS, {"parent_task_id": TASKS.example.id}),
    (TASKS, {"status": "created"}),
    (TASKS, {"status": "assigned", "assigned_to": None}),
    (TASKS, {"status": "completed", "assigned_to": None}),
    (COST_RECORDS, {"input_tokens": 0, "output_tokens": 0}),
    (TASK_METRICS, {"started_at": TASK_METRICS.example.completed_at}),
    (TASK_METRICS, {"quality_score": 10.5}),
    (API_KEYS, {"user_id": "nobody"}),
    (AGENT_STATES, {"status": "idle"}),
    (AGENT_STATES, {"execution_id": None}),
    (AGENT_STATES, {"started_at": None}),
    (EXECUTIONS, {"definition_id": "unknown"}),
    (EXECUTIONS, {"completed_at": None}),
    (EXECUTIONS, {"status": "running"}),
    (EXECUTIONS, {"error": None}),
    (EXECUTIONS, {"version": 0}),
)
"""Changes that would make the example of a kind invalid."""


@pytest.mark.parametrize(("kind", "changes"), RULES, ids=str)
async def test_the_database_refuses_an_invalid_row(
    backend: PersistenceBackend, kind: Kind, changes: dict[str, Any]
) -> None:
    await kind.store(backend, kind.example)
    with pytest.raises(DBAPIError):
        await execute(backend, update(table_of(kind)).values(changes))
    assert await kind.stored(backend, kind.example) == kind.example


@pytest.mark.parametrize(
    "statement",
    [
        update(tables.audit_entries).values(reason="It was harmless."),
        update(tables.audit_entries).values(reason=tables.audit_entries.c.reason),
        update(tables.audit_entries).values(id="another"),
        delete(tables.audit_entries),
        delete(tables.audit_entries).where(tables.audit_entries.c.id == AUDIT_ENTRIES.example.id),
    ],
    ids=str,
)
async def test_the_database_refuses_to_change_or_delete_an_audit_entry(
    backend: PersistenceBackend, statement: Executable
) -> None:
    await AUDIT_ENTRIES.store(backend, AUDIT_ENTRIES.example)
    with pytest.raises(DBAPIError):
        await execute(backend, statement)
    assert await backend.audit_entries.query() == (AUDIT_ENTRIES.example,)


async def test_the_database_refuses_a_second_ceo(backend: PersistenceBackend) -> None:
    await USERS.store(backend, USERS.make(role="ceo"), USERS.keyed("another"))
    another = tables.users.c.id == "another"
    with pytest.raises(DBAPIError):
        await execute(backend, update(tables.users).values(role="ceo").where(another))
    await execute(backend, update(tables.users).values(role="observer"))
    await execute(backend, update(tables.users).values(role="ceo").where(another))


@kinds(lambda kind: kind is not AUDIT_ENTRIES)
async def test_the_database_refuses_a_negative_number(
    backend: PersistenceBackend, kind: Kind
) -> None:
    await kind.store(backend, kind.example)
    for column in table_of(kind).columns:
        if isinstance(column.type, BigInteger | Double) and column.name in kind.fields:
            with pytest.raises(DBAPIError):
                await execute(backend, update(table_of(kind)).values({column.name: -1}))
    assert await kind.stored(backend, kind.example) == kind.example


@kinds(lambda kind: kind is not AUDIT_ENTRIES)
async def test_the_database_refuses_a_row_without_a_value_that_every_record_has(
    backend: PersistenceBackend, kind: Kind
) -> None:
    await kind.store(backend, kind.example)
    for column in table_of(kind).columns:
        if not column.nullable and column.name in kind.fields:
            with pytest.raises(DBAPIError):
                await execute(backend, update(table_of(kind)).values({column.name: None}))
    assert await kind.stored(backend, kind.example) == kind.example


async def execute(backend: PersistenceBackend, statement: Executable) -> None:
    """Run a statement past the repositories, in a transaction of its own."""
    async with backend.get_db().begin() as connection:
        await connection.execute(statement)
