"""Saving, reading and deleting many records at once: the same as one by one, but all or none."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

from synthorg.entities import Task
from synthorg.persistence import (
    DuplicateRecordError,
    PersistenceError,
    QueryError,
    VersionConflictError,
)
from synthorg.persistence.testing.backend.bulk import asynchronously, prepare, save_many
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import (
    API_KEYS,
    DEFINITIONS,
    EXECUTIONS,
    MESSAGES,
    PROJECTS,
    TASKS,
    USERS,
    kinds,
)
from synthorg.persistence.transactions import TransactionalBackend
from tests.conformance.cancelling import cancelled_at_each_wait
from tests.conformance.units import count
from tests.conftest import checked_out_connections

SMALL_CHUNK: Final = 30

"""How many are where size does not matter."""


def key_of(kind: Kind, record: Any) -> Any:
    """Give the key of a record, of one field."""
    (key,) = kind.identity(record)
    return key


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
        with pytest.raises(fault.error, match=kind.repository) as refusal:
            await save_many(backend, kind, given)
        assert key in str(refusal.value)
        assert await count(backend, kind) == len(fault.stored)
    await save_many(backend, kind, records)
    assert await count(backend, kind) == len(fault.stored) + len(records)


@pytest.mark.parametrize("chunk", [2, 500])
async def test_saving_many_records_can_be_cancelled_at_any_wait(
    backend: TransactionalBackend, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthorg.persistence.sql.repositories.base.ROWS_AT_ONCE", chunk)

    async def save(number: int) -> None:
        tasks = [TASKS.make(id=f"{number}-{copy}") for copy in range(5)]
        await backend.tasks.save_many(tasks)

    async for number in cancelled_at_each_wait(save):
        saved = await backend.tasks.get_many([f"{number}-{copy}" for copy in range(5)])
        assert len(saved) in (0, 5)
        assert checked_out_connections(backend) == 0
    assert len(saved) == 5


async def test_the_last_of_many_records_with_the_same_key_stays(
    backend: TransactionalBackend,
) -> None:
    await backend.tasks.save_many(
        TASKS.make(id=str(number % 7), title=f"title {number}") for number in range(613)
    )
    saved = await backend.tasks.list_tasks()
    assert {task.title for task in saved} == {f"title {number}" for number in range(606, 613)}


async def test_what_the_database_refuses_comes_before_a_later_record_that_is_unfit(
    backend: TransactionalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthorg.persistence.sql.repositories.base.ROWS_AT_ONCE", 2)
    stored = MESSAGES.keyed("stored")
    await backend.messages.save(stored)
    unfit = MESSAGES.forged(MESSAGES.keyed("unfit"), content="\x00")
    for given in ([stored, MESSAGES.keyed("good"), unfit], [MESSAGES.keyed("good"), stored, unfit]):
        with pytest.raises(DuplicateRecordError):
            await backend.messages.save_many(given)
        with pytest.raises(QueryError, match="NUL"):
            await backend.messages.save_many(given[::-1])
    assert await count(backend, MESSAGES) == 1


async def test_an_asynchronous_input_may_read_in_the_unit_that_saves_it(
    backend: TransactionalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthorg.persistence.sql.repositories.base.ROWS_AT_ONCE", 2)
    async with backend.transaction() as unit:

        async def tasks() -> AsyncIterator[Task]:
            for number in range(7):
                written = len(await unit.tasks.list_tasks())
                yield TASKS.make(id=str(number), title=f"after {written}")

        await unit.tasks.save_many(tasks())
    saved = sorted(await backend.tasks.list_tasks(), key=lambda task: task.id)
    assert [task.title for task in saved] == [f"after {n - n % 2}" for n in range(7)]


async def test_an_input_that_fails_saves_nothing(
    backend: TransactionalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthorg.persistence.sql.repositories.base.ROWS_AT_ONCE", 2)

    def tasks() -> Iterator[Task]:
        yield from [TASKS.make(id=str(number)) for number in range(5)]
        raise LookupError

    with pytest.raises(LookupError):
        await backend.tasks.save_many(tasks())
    assert await backend.tasks.list_tasks() == ()
    assert checked_out_connections(backend) == 0


TEXTS: Final = (
    "",
    "\x1f",
    "\x1e",
    "a\x1fb",
    "\x1e\x1f\x1e",
    "plain",
    " ",
    "é\U0001f600",
)
"""What might be taken for a mark between texts, or for none, where many are sent as one."""


@pytest.mark.parametrize("others", [0, 1, 40])
@pytest.mark.parametrize("text", TEXTS, ids=ascii)
async def test_text_that_is_saved_together_with_other_text_is_read_as_it_was(
    backend: TransactionalBackend, text: str, others: int
) -> None:
    projects = [PROJECTS.make(id="0", description=text, lead=None)]
    projects += [PROJECTS.make(id=f"{each + 1}", description="other") for each in range(others)]
    await backend.projects.save_many(projects)
    assert [await backend.projects.get(each.id) for each in projects] == projects
