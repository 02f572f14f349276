"""Saving, reading and deleting many records at once: the same as one by one, but all or none."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from itertools import product
from random import Random
from typing import Any, Final

import pytest

from synthorg.entities import SYSTEM_USER_ID, Artifact
from synthorg.persistence import (
    InvalidArgumentError,
    PersistenceError,
    QueryError,
    TransactionConflictError,
)
from synthorg.persistence.testing.awkward import KEYS, UNSTORABLE_TEXTS
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import (
    API_KEYS,
    ARTIFACTS,
    CHECKPOINTS,
    COST_RECORDS,
    DEFINITIONS,
    EXECUTIONS,
    SETTINGS,
    TASKS,
    USERS,
    kinds,
)
from synthorg.persistence.testing.needs import needs
from synthorg.persistence.testing.units import Mishap, repositories
from synthorg.persistence.transactions import Stores, TransactionalBackend

CHUNK: Final = 500
"""How many records are written together."""


def keyed(kind: Kind) -> bool:
    """Tell whether records of a kind are read and deleted by their keys."""
    return kind.delete is not None and kind not in (SETTINGS, CHECKPOINTS)


async def save_many(
    stores: Stores, kind: Kind, records: Iterable[Any] | AsyncIterable[Any]
) -> None:
    """Save records of a kind together."""
    await getattr(stores, kind.repository).save_many(records)


async def prepare(backend: TransactionalBackend, kind: Kind, records: Iterable[Any]) -> None:
    """Save what records refer to."""
    if kind.prepare is not None:
        for record in records:
            await kind.prepare(backend, record)


async def asynchronously(records: Iterable[Any]) -> AsyncIterator[Any]:
    """Yield records as an asynchronous source does."""
    for record in records:
        yield record


def variation(kind: Kind, random: Random, record: Any) -> Any:
    """Make a record with the key of another and some other values, that may be refused."""
    changes = {name: value for name, value in kind.changes.items() if random.random() < 0.2}
    if kind.versioned:
        changes["version"] = random.choice((1, 2, 2, 3))
    if "nodes" in changes:  # what is stored has to be readable
        changes["edges"] = kind.changes["edges"]
    return kind.forged(record, **changes)


class Bulk:
    """Many records at once: the same as one by one, but all or none."""

    @needs(TransactionalBackend)
    @kinds()
    async def test_many_records_are_saved_as_one_after_the_other(
        self, backend: TransactionalBackend, kind: Kind
    ) -> None:
        """Also with keys that come twice, with versions, and with records that are refused."""
        random = Random(str(kind))
        keys = [kind.keyed(text) for text in ("1", "2", "3")]
        await prepare(backend, kind, [kind.example, kind.make(**kind.changes)])
        for _ in range(3):
            records = [variation(kind, random, random.choice(keys)) for _ in range(6)]

            async def stored(stores: Stores, records: list[Any] = records) -> list[Any]:
                backend = repositories(stores)
                return [await kind.copies(backend, record) for record in [*keys, *records]]

            refusal = None
            with suppress(Mishap):
                async with backend.transaction() as unit:
                    try:
                        for record in records:
                            await kind.save(repositories(unit), record)
                    except PersistenceError as error:
                        refusal = error
                    expected = await stored(unit)
                    raise Mishap
            if refusal is None:
                await save_many(backend, kind, iter(records))
            else:
                expected = await stored(backend)
                with pytest.raises(type(refusal)) as raised:
                    await save_many(backend, kind, iter(records))
                assert str(raised.value) == str(refusal)
            assert await stored(backend) == expected, records

    @needs(TransactionalBackend)
    async def test_of_several_records_that_are_refused_the_first_is_named(
        self,
        backend: TransactionalBackend,
    ) -> None:
        await backend.users.save(USERS.make(id="owner", username="taken"))
        duplicate = USERS.make(id="duplicate", username="taken")
        unstorable = USERS.forged(USERS.keyed("unstorable"), password_hash="\x00")
        good = [USERS.keyed(str(number)) for number in range(4)]
        for first, second in ((duplicate, unstorable), (unstorable, duplicate)):
            with pytest.raises(PersistenceError, match=f"id='{first.id}'"):
                await backend.users.save_many([*good[:2], first, *good[2:], second])
        assert await backend.users.count() == 1

    @needs(TransactionalBackend)
    @pytest.mark.parametrize("form", [iter, asynchronously], ids=["plain", "asynchronous"])
    async def test_an_error_of_the_source_comes_out_unchanged_and_nothing_is_saved(
        self, backend: TransactionalBackend, form: Callable[[Iterable[Any]], Any]
    ) -> None:
        def records(place: int, own: Exception) -> Iterator[Any]:
            for number in range(place):
                yield TASKS.make(id=str(number))
            raise own

        for place, own in product((0, 3, CHUNK + 3), (Mishap(), OSError("no such file"))):
            with pytest.raises(type(own)) as raised:
                await backend.tasks.save_many(form(records(place, own)))
            assert raised.value is own
            assert await backend.tasks.list_tasks() == ()

    @needs(TransactionalBackend)
    @pytest.mark.parametrize("form", [iter, asynchronously], ids=["plain", "asynchronous"])
    async def test_records_that_can_be_read_only_once_are_not_saved_again_without_the_first(
        self, backend: TransactionalBackend, form: Callable[[Iterable[Any]], Any]
    ) -> None:
        """After a conflict, of which there is one while the records are read."""
        conflicts: list[TransactionConflictError] = []

        def record(number: int) -> Any:
            if number == CHUNK + 3 and not conflicts:
                conflicts.append(TransactionConflictError())
                raise conflicts[0]
            return TASKS.make(id=f"{number:04}")

        with pytest.raises(TransactionConflictError):
            await backend.tasks.save_many(form(map(record, range(CHUNK + 20))))
        assert await backend.tasks.list_tasks() == ()

    @needs(TransactionalBackend)
    async def test_many_records_can_be_made_of_a_stream_in_the_same_unit_of_work(
        self,
        backend: TransactionalBackend,
    ) -> None:
        numbers = range(CHUNK + 20)
        await backend.tasks.save_many(TASKS.make(id=f"{number:04}") for number in numbers)

        async with backend.transaction() as unit:

            async def artifacts() -> AsyncIterator[Artifact]:
                async for task in unit.tasks.stream():
                    yield ARTIFACTS.make(id=task.id)

            await unit.artifacts.save_many(artifacts())
        listed = await backend.artifacts.list_artifacts()
        assert [artifact.id for artifact in listed] == [f"{number:04}" for number in numbers]

    @needs(TransactionalBackend)
    async def test_costs_that_are_saved_together_are_kept_in_their_order(
        self,
        backend: TransactionalBackend,
    ) -> None:
        records = [COST_RECORDS.keyed(f"{number % 7} {number}") for number in range(CHUNK + 20)]
        await backend.cost_records.save_many(records)
        assert list(await backend.cost_records.query()) == records

    @needs(TransactionalBackend)
    @kinds(keyed)
    async def test_many_records_are_read_by_their_keys_in_the_order_of_the_keys(
        self, backend: TransactionalBackend, kind: Kind
    ) -> None:
        records = {key: kind.keyed(key) for key in KEYS}
        await prepare(backend, kind, records.values())
        await save_many(backend, kind, records.values())
        repository = getattr(backend, kind.repository)
        order = [*KEYS, "unknown", *KEYS[::2], ""]
        Random(str(kind)).shuffle(order)
        found = await repository.get_many(key for key in order)
        expected = {key: records[key] for key in dict.fromkeys(order) if key in records}
        assert list(found.items()) == list(expected.items())
        assert await repository.get_many([]) == {}
        assert await repository.get_many(["unknown"]) == {}

    @needs(TransactionalBackend)
    @kinds(keyed)
    async def test_many_records_are_deleted_by_their_exact_keys(
        self, backend: TransactionalBackend, kind: Kind
    ) -> None:
        records = [kind.keyed(key) for key in KEYS]
        await prepare(backend, kind, records)
        await save_many(backend, kind, records)
        repository = getattr(backend, kind.repository)
        gone, left = KEYS[::2], KEYS[1::2]
        assert await repository.delete_many(["unknown", *gone, *gone[:3]]) == len(gone)
        assert list(await repository.get_many(KEYS)) == list(left)
        assert await repository.delete_many(key for key in gone) == 0
        assert await repository.delete_many([]) == 0
        assert list(await repository.get_many(KEYS)) == list(left)

    @needs(TransactionalBackend)
    async def test_thousands_of_keys_are_read_and_deleted(
        self, backend: TransactionalBackend
    ) -> None:
        keys = [f"{number:05}" for number in range(3000)]
        await backend.tasks.save_many(TASKS.make(id=key) for key in keys[::2])
        found = await backend.tasks.get_many(reversed(keys))
        assert list(found) == [*reversed(keys[::2])]
        assert all(task.id == key for key, task in found.items())
        assert await backend.tasks.delete_many(keys[:2000]) == 1000
        assert [task.id for task in await backend.tasks.list_tasks()] == keys[2000::2]

    @needs(TransactionalBackend)
    async def test_a_key_that_cannot_be_stored_is_refused_among_many(
        self,
        backend: TransactionalBackend,
    ) -> None:
        await backend.tasks.save(TASKS.example)
        others = [TASKS.example.id, *map(str, range(CHUNK))]
        for keys in ([*others, key] for key in (*UNSTORABLE_TEXTS, "x" * 256)):
            with pytest.raises(InvalidArgumentError, match=r"tasks"):
                await backend.tasks.get_many(keys)
            with pytest.raises(InvalidArgumentError, match=r"tasks"):
                await backend.tasks.delete_many(keys)
        assert await backend.tasks.get(TASKS.example.id) is not None

    @needs(TransactionalBackend)
    async def test_the_system_user_is_not_deleted_among_many_and_neither_is_anybody(
        self,
        backend: TransactionalBackend,
    ) -> None:
        users = [USERS.make(id=id_, username=id_) for id_ in ("1", SYSTEM_USER_ID, "2")]
        await backend.users.save_many(users)
        with pytest.raises(InvalidArgumentError, match=r"system user"):
            await backend.users.delete_many(user.id for user in users)
        assert len(await backend.users.get_many(["1", SYSTEM_USER_ID, "2"])) == 3

    @needs(TransactionalBackend)
    async def test_a_record_that_others_refer_to_keeps_all_from_being_deleted(
        self,
        backend: TransactionalBackend,
    ) -> None:
        keys = [f"{number:04}" for number in range(CHUNK + 4)]
        some = (keys[0], keys[1], keys[-1])
        await backend.workflow_definitions.save_many(DEFINITIONS.make(id=key) for key in some)
        for key in some:
            await backend.workflow_executions.save(EXECUTIONS.make(definition_id=key))
            with pytest.raises(QueryError, match=r"workflow_definitions"):
                await backend.workflow_definitions.delete_many(keys)
            assert len(await backend.workflow_definitions.list_definitions()) == len(some)
            await backend.workflow_executions.delete_many([EXECUTIONS.example.id])
        assert await backend.workflow_definitions.delete_many(keys) == len(some)

    @needs(TransactionalBackend)
    async def test_deleting_many_users_deletes_their_keys(
        self, backend: TransactionalBackend
    ) -> None:
        for name in ("1", "2", "3"):
            await backend.users.save(USERS.make(id=name, username=name))
            await backend.api_keys.save(API_KEYS.altered(API_KEYS.keyed(name), user_id=name))
        assert await backend.users.delete_many(["1", "3"]) == 2
        assert list(await backend.api_keys.get_many(["1", "2", "3"])) == ["2"]
