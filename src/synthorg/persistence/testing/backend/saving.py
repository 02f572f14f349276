"""Saving and deleting, for every kind of record."""

import os
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import DataObject, data

from synthorg.entities import Entity
from synthorg.persistence import PersistenceBackend
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import kinds

EXAMPLES: Final = int(os.environ.get("TEST_EXAMPLES", "10"))
"""How many made-up records of each kind each database is given, other ones in each run."""

examples = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def _spelled_out(record: Any) -> str:
    """Write a record such that 1, 1.0 and True differ, which are equal."""
    return record.model_dump_json() if isinstance(record, Entity) else repr(record)


class Saving:
    """Saving and deleting, for every kind of record."""

    @kinds()
    @examples
    @given(data=data())
    async def test_what_is_saved_is_read_back_equal_in_every_field(
        self, backend: PersistenceBackend, kind: Kind, data: DataObject
    ) -> None:
        record = kind.fresh(data.draw(kind.strategy))
        await kind.store(backend, record)
        stored = await kind.stored(backend, record)
        assert stored == record
        assert _spelled_out(stored) == _spelled_out(record)

    @kinds(lambda kind: not kind.append_only and not kind.versioned)
    @examples
    @given(data=data())
    async def test_saving_again_replaces_anything_by_anything(
        self, backend: PersistenceBackend, kind: Kind, data: DataObject
    ) -> None:
        first = kind.fresh(data.draw(kind.strategy))
        second = kind.fresh(data.draw(kind.strategy))
        second = kind.altered(
            second, **{name: getattr(first, name) for name in (*kind.key, *kind.kept)}
        )
        await kind.store(backend, first, second, second)
        assert await kind.stored(backend, second) == second

    @kinds()
    async def test_what_was_never_saved_is_not_found(
        self, backend: PersistenceBackend, kind: Kind
    ) -> None:
        await kind.store(backend, kind.example)
        assert await kind.copies(backend, kind.fresh(kind.example)) == []

    @kinds(lambda kind: kind.delete)
    async def test_deleting_tells_whether_there_was_something_to_delete(
        self, backend: PersistenceBackend, kind: Kind
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
        self, backend: PersistenceBackend, kind: Kind
    ) -> None:
        assert kind.delete is not None
        await kind.store(backend, kind.example)
        await kind.delete(backend, kind.example)
        changed = kind.make(
            **{name: value for name, value in kind.changes.items() if name != "version"}
        )
        await kind.store(backend, changed)
        assert await kind.stored(backend, changed) == changed
