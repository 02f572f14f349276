"""Saving and deleting, for every kind of record."""

import os
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import DataObject, data
from sqlalchemy import func, select

from synthorg.entities import Entity
from synthorg.persistence import DuplicateRecordError, PersistenceBackend
from tests.conformance.kind import Kind
from tests.conformance.kinds import KINDS, kinds

EXAMPLES: Final = int(os.environ.get("TEST_EXAMPLES", "10"))
"""How many made-up records of each kind each database is given, other ones in each run."""

# Each example adds to the same database under keys of its own.
examples = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def test_every_field_of_every_kind_has_an_example_and_a_change() -> None:
    for kind in KINDS:
        assert {*kind.changes, *kind.key} == set(kind.fields), kind.repository
        changed = kind.make(**kind.changes)
        for name in kind.changes:
            assert getattr(changed, name) != getattr(kind.example, name), (kind.repository, name)


@kinds()
@examples
@given(data=data())
async def test_what_is_saved_is_read_back_equal_in_every_field(
    backend: PersistenceBackend, kind: Kind, data: DataObject
) -> None:
    record = kind.fresh(data.draw(kind.strategy))
    await kind.store(backend, record)
    stored = await kind.stored(backend, record)
    assert stored == record
    assert _spelled_out(stored) == _spelled_out(record)


@kinds(lambda kind: not kind.append_only)
async def test_saving_again_replaces_every_field(backend: PersistenceBackend, kind: Kind) -> None:
    changed = kind.make(**kind.changes)
    await kind.store(backend, kind.example, changed)
    kept = {name: getattr(kind.example, name) for name in kind.kept}
    assert await kind.stored(backend, changed) == kind.altered(changed, **kept)
    assert await _count(backend, kind) == 1


@kinds(lambda kind: not kind.append_only and not kind.versioned)
@examples
@given(data=data())
async def test_saving_again_replaces_anything_by_anything(
    backend: PersistenceBackend, kind: Kind, data: DataObject
) -> None:
    first = kind.fresh(data.draw(kind.strategy))
    second = kind.fresh(data.draw(kind.strategy))
    second = kind.altered(
        second, **{name: getattr(first, name) for name in (*kind.key, *kind.kept)}
    )
    await kind.store(backend, first, second, second)
    assert await kind.stored(backend, second) == second


@kinds(lambda kind: kind.append_only and "id" in kind.key)
async def test_a_stored_record_of_an_append_only_repository_never_changes(
    backend: PersistenceBackend, kind: Kind
) -> None:
    await kind.store(backend, kind.example)
    for again in (kind.example, kind.make(**kind.changes)):
        with pytest.raises(DuplicateRecordError, match=kind.table.name) as refusal:
            await kind.store(backend, again)
        assert f"id='{kind.example.id}'" in str(refusal.value)
    assert await kind.stored(backend, kind.example) == kind.example
    assert await _count(backend, kind) == 1


@kinds()
async def test_what_was_never_saved_is_not_found(backend: PersistenceBackend, kind: Kind) -> None:
    await kind.store(backend, kind.example)
    assert await kind.copies(backend, kind.fresh(kind.example)) == []


@kinds(lambda kind: kind.delete)
async def test_deleting_tells_whether_there_was_something_to_delete(
    backend: PersistenceBackend, kind: Kind
) -> None:
    assert kind.delete is not None
    other = kind.keyed("another")
    await kind.store(backend, kind.example, other)
    assert await kind.delete(backend, kind.example) == 1
    assert await kind.copies(backend, kind.example) == []
    assert await kind.delete(backend, kind.example) == 0
    assert await kind.stored(backend, other) == other


@kinds(lambda kind: kind.delete)
async def test_what_was_deleted_can_be_saved_as_if_it_had_never_been(
    backend: PersistenceBackend, kind: Kind
) -> None:
    assert kind.delete is not None
    await kind.store(backend, kind.example)
    await kind.delete(backend, kind.example)
    changed = kind.make(
        **{name: value for name, value in kind.changes.items() if name != "version"}
    )
    await kind.store(backend, changed)
    assert await kind.stored(backend, changed) == changed


def _spelled_out(record: Any) -> str:
    """Write a record such that 1, 1.0 and True differ, which are equal."""
    return record.model_dump_json() if isinstance(record, Entity) else repr(record)


async def _count(backend: PersistenceBackend, kind: Kind) -> int:
    async with backend.get_db().connect() as connection:
        return await connection.scalar(select(func.count()).select_from(kind.table)) or 0
