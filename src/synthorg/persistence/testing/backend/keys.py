"""Keys compare exactly: nothing is folded, trimmed, normalised or cut."""

from synthorg.persistence import PersistenceBackend
from synthorg.persistence.testing.awkward import KEYS, LOOKALIKES
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import kinds


class Keys:
    """Keys compare exactly: nothing is folded, trimmed, normalised or cut."""

    @kinds(lambda kind: kind.gets)
    async def test_keys_that_look_alike_are_different_keys(
        self, backend: PersistenceBackend, kind: Kind
    ) -> None:
        records = [kind.keyed(key) for key in KEYS]
        await kind.store(backend, *records)
        for get in kind.gets:
            assert [await get(backend, record) for record in records] == records

    @kinds(lambda kind: kind.gets and not kind.versioned)
    async def test_saving_again_reaches_the_exact_key_alone(
        self, backend: PersistenceBackend, kind: Kind
    ) -> None:
        records = [kind.keyed(key) for key in LOOKALIKES]
        await kind.store(backend, *records)
        found_by = {*kind.key, *kind.unique, *kind.kept}
        changes = {name: value for name, value in kind.changes.items() if name not in found_by}
        changed = [kind.altered(record, **changes) for record in records[::2]]
        await kind.store(backend, *changed)
        for get in kind.gets:
            assert [await get(backend, record) for record in records[::2]] == changed
            assert [await get(backend, record) for record in records[1::2]] == records[1::2]

    @kinds(lambda kind: kind.delete)
    async def test_deleting_reaches_the_exact_key_alone(
        self, backend: PersistenceBackend, kind: Kind
    ) -> None:
        assert kind.delete is not None
        records = [kind.keyed(key) for key in LOOKALIKES]
        await kind.store(backend, *records)
        for record in records[::2]:
            assert await kind.delete(backend, record) == 1
        for get in kind.gets:
            assert [await get(backend, record) for record in records[1::2]] == records[1::2]
            assert {await get(backend, record) for record in records[::2]} == {None}
