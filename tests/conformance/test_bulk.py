"""Saving, reading and deleting many records at once: the same as one by one, but all or none."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any, Final

import pytest

from synthorg.entities import SYSTEM_USER_ID, Artifact
from synthorg.persistence import (
    DuplicateRecordError,
    PersistenceError,
    QueryError,
    TransactionConflictError,
    VersionConflictError,
)
from synthorg.persistence.transactions import Stores, TransactionalBackend
from tests.conformance.awkward import KEYS, UNSTORABLE_TEXTS
from tests.conformance.cancelling import cancelled_at_each_wait
from tests.conformance.kind import Kind
from tests.conformance.kinds import (
    API_KEYS,
    ARTIFACTS,
    CHECKPOINTS,
    COST_RECORDS,
    DEFINITIONS,
    EXECUTIONS,
    MESSAGES,
    SETTINGS,
    TASKS,
    USERS,
    kinds,
)
from tests.conformance.units import Mishap, count, repositories
from tests.conftest import checked_out_connections

CHUNK: Final = 500
"""How many records are written together."""

SMALL_CHUNK: Final = 30
"""How many are where size does not matter."""


def keyed(kind: Kind) -> bool:
    """Tell whether records of a kind are read and deleted by their keys."""
    return kind.delete is not None and kind not in (SETTINGS, CHECKPOINTS)


def key_of(kind: Kind, record: Any) -> Any:
    """Give the key of a record, of one field."""
    (key,) = kind.identity(record)
    return key


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


FORMS: Final[Mapping[str, Callable[[list[Any]], Iterable[Any] | AsyncIterable[Any]]]] = {
    "list": list,
    "tuple": tuple,
    "values": lambda records: dict(enumerate(records)).values(),
    "generator": lambda records: (record for record in records),
    "asynchronous generator": asynchronously,
}


@kinds()
async def test_many_records_are_saved_from_whatever_gives_them(
    backend: TransactionalBackend, kind: Kind
) -> None:
    for name, form in FORMS.items():
        records = [kind.keyed(f"{name} {number}") for number in range(5)]
        await prepare(backend, kind, records)
        await save_many(backend, kind, form(records))
        assert [await kind.stored(backend, record) for record in records] == records
        await save_many(backend, kind, form([]))
    assert await count(backend, kind) == 5 * len(FORMS)


@kinds()
async def test_many_records_are_saved_as_one_after_the_other(
    backend: TransactionalBackend, kind: Kind
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


def variation(kind: Kind, random: Random, record: Any) -> Any:
    """Make a record with the key of another and some other values, that may be refused."""
    changes = {name: value for name, value in kind.changes.items() if random.random() < 0.2}
    if kind.versioned:
        changes["version"] = random.choice((1, 2, 2, 3))
    if "nodes" in changes:  # what is stored has to be readable
        changes["edges"] = kind.changes["edges"]
    return kind.forged(record, **changes)


@dataclass(frozen=True)
class Fault:
    """A record that is refused: its kind, what is stored before, and the error that it leads to."""

    kind: Kind
    record: Any
    error: type[PersistenceError]
    stored: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}-{self.error.__name__}"


FAULTS: Final = (
    Fault(MESSAGES, MESSAGES.keyed("bad"), DuplicateRecordError, (MESSAGES.keyed("bad"),)),
    Fault(
        USERS,
        USERS.make(id="bad", username="taken"),
        DuplicateRecordError,
        (USERS.make(id="owner", username="taken"),),
    ),
    Fault(API_KEYS, API_KEYS.altered(API_KEYS.keyed("bad"), user_id="unknown"), QueryError),
    Fault(TASKS, TASKS.forged(TASKS.keyed("bad"), title="\x00"), QueryError),
    Fault(TASKS, TASKS.forged(TASKS.keyed("bad"), max_retries=-1), QueryError),
    Fault(DEFINITIONS, DEFINITIONS.make(id="bad", version=2), VersionConflictError),
    Fault(EXECUTIONS, EXECUTIONS.make(id="bad", definition_id="unknown"), QueryError),
    Fault(EXECUTIONS, EXECUTIONS.make(id="bad"), DuplicateRecordError, (EXECUTIONS.keyed("bad"),)),
)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_a_record_that_is_refused_at_any_place_is_named_and_nothing_is_saved(
    backend: TransactionalBackend, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who is to blame is found by saving the records that are written together one by one.
    monkeypatch.setattr("synthorg.persistence.sql.repositories.base.ROWS_AT_ONCE", SMALL_CHUNK)
    kind = fault.kind
    records = [kind.keyed(f"good {number}") for number in range(SMALL_CHUNK + 20)]
    await prepare(backend, kind, [kind.example])
    await kind.store(backend, *fault.stored)
    key = repr(str(kind.identity(fault.record)[0]))
    for place in (0, SMALL_CHUNK // 2, SMALL_CHUNK - 1, SMALL_CHUNK, len(records)):
        given = [*records[:place], fault.record, *records[place:]]
        with pytest.raises(fault.error, match=kind.table.name) as refusal:
            await save_many(backend, kind, given)
        assert key in str(refusal.value)
        assert await count(backend, kind) == len(fault.stored)
    await save_many(backend, kind, records)
    assert await count(backend, kind) == len(fault.stored) + len(records)


async def test_of_several_records_that_are_refused_the_first_is_named(
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


@pytest.mark.parametrize("form", [iter, asynchronously], ids=["plain", "asynchronous"])
async def test_an_error_of_the_source_comes_out_unchanged_and_nothing_is_saved(
    backend: TransactionalBackend, form: Callable[[Iterable[Any]], Any]
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


@pytest.mark.parametrize("form", [iter, asynchronously], ids=["plain", "asynchronous"])
async def test_records_that_can_be_read_only_once_are_not_saved_again_without_the_first(
    backend: TransactionalBackend, form: Callable[[Iterable[Any]], Any]
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


async def test_saving_many_records_can_be_cancelled_at_any_wait(
    backend: TransactionalBackend,
) -> None:
    async def save(number: int) -> None:
        tasks = [TASKS.make(id=f"{number}-{copy}") for copy in range(3)]
        await backend.tasks.save_many(tasks)

    async for number in cancelled_at_each_wait(save):
        saved = await backend.tasks.get_many([f"{number}-{copy}" for copy in range(3)])
        assert len(saved) in (0, 3)
        assert checked_out_connections(backend) == 0
    assert len(saved) == 3


async def test_many_records_can_be_made_of_a_stream_in_the_same_unit_of_work(
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


async def test_costs_that_are_saved_together_are_kept_in_their_order(
    backend: TransactionalBackend,
) -> None:
    records = [COST_RECORDS.keyed(f"{number % 7} {number}") for number in range(CHUNK + 20)]
    await backend.cost_records.save_many(records)
    assert list(await backend.cost_records.query()) == records


@kinds(keyed)
async def test_many_records_are_read_by_their_keys_in_the_order_of_the_keys(
    backend: TransactionalBackend, kind: Kind
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


@kinds(keyed)
async def test_many_records_are_deleted_by_their_exact_keys(
    backend: TransactionalBackend, kind: Kind
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


async def test_thousands_of_keys_are_read_and_deleted(backend: TransactionalBackend) -> None:
    keys = [f"{number:05}" for number in range(3000)]
    await backend.tasks.save_many(TASKS.make(id=key) for key in keys[::2])
    found = await backend.tasks.get_many(reversed(keys))
    assert list(found) == [*reversed(keys[::2])]
    assert all(task.id == key for key, task in found.items())
    assert await backend.tasks.delete_many(keys[:2000]) == 1000
    assert [task.id for task in await backend.tasks.list_tasks()] == keys[2000::2]


async def test_a_key_that_cannot_be_stored_is_refused_among_many(
    backend: TransactionalBackend,
) -> None:
    await backend.tasks.save(TASKS.example)
    others = [TASKS.example.id, *map(str, range(CHUNK))]
    for keys in ([*others, key] for key in (*UNSTORABLE_TEXTS, "x" * 256)):
        with pytest.raises(QueryError, match=r"tasks"):
            await backend.tasks.get_many(keys)
        with pytest.raises(QueryError, match=r"tasks"):
            await backend.tasks.delete_many(keys)
    assert await backend.tasks.get(TASKS.example.id) is not None


async def test_the_system_user_is_not_deleted_among_many_and_neither_is_anybody(
    backend: TransactionalBackend,
) -> None:
    users = [USERS.make(id=id_, username=id_) for id_ in ("1", SYSTEM_USER_ID, "2")]
    await backend.users.save_many(users)
    with pytest.raises(QueryError, match=r"system user"):
        await backend.users.delete_many(user.id for user in users)
    assert len(await backend.users.get_many(["1", SYSTEM_USER_ID, "2"])) == 3


async def test_a_record_that_others_refer_to_keeps_all_from_being_deleted(
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


async def test_deleting_many_users_deletes_their_keys(backend: TransactionalBackend) -> None:
    for name in ("1", "2", "3"):
        await backend.users.save(USERS.make(id=name, username=name))
        await backend.api_keys.save(API_KEYS.altered(API_KEYS.keyed(name), user_id=name))
    assert await backend.users.delete_many(["1", "3"]) == 2
    assert list(await backend.api_keys.get_many(["1", "2", "3"])) == ["2"]
