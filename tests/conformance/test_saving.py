"""Saving and deleting, for every kind of record."""

import pytest
from sqlalchemy import func, select

from synthorg.persistence import DuplicateRecordError, PersistenceBackend
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import KINDS, kinds
from tests.tables import table_of


def test_every_field_of_every_kind_has_an_example_and_a_change() -> None:
    for kind in KINDS:
        assert {*kind.changes, *kind.key} == set(kind.fields), kind.repository
        changed = kind.make(**kind.changes)
        for name in kind.changes:
            assert getattr(changed, name) != getattr(kind.example, name), (kind.repository, name)


@kinds(lambda kind: not kind.append_only)
async def test_saving_again_replaces_every_field(backend: PersistenceBackend, kind: Kind) -> None:
    changed = kind.make(**kind.changes)
    await kind.store(backend, kind.example, changed)
    kept = {name: getattr(kind.example, name) for name in kind.kept}
    assert await kind.stored(backend, changed) == kind.altered(changed, **kept)
    assert await _count(backend, kind) == 1


@kinds(lambda kind: kind.append_only and "id" in kind.key)
async def test_a_stored_record_of_an_append_only_repository_never_changes(
    backend: PersistenceBackend, kind: Kind
) -> None:
    await kind.store(backend, kind.example)
    for again in (kind.example, kind.make(**kind.changes)):
        with pytest.raises(DuplicateRecordError, match=kind.repository) as refusal:
            await kind.store(backend, again)
        assert f"id='{kind.example.id}'" in str(refusal.value)
    assert await kind.stored(backend, kind.example) == kind.example
    assert await _count(backend, kind) == 1


async def _count(backend: PersistenceBackend, kind: Kind) -> int:
    async with backend.get_db().connect() as connection:
        return await connection.scalar(select(func.count()).select_from(table_of(kind))) or 0
