"""Units of work: all or nothing, whatever happens in between."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import Any, Final

import pytest

from synthorg.entities import SYSTEM_USER_ID, HumanRole
from synthorg.persistence import (
    DuplicateRecordError,
    PersistenceBackend,
    PersistenceError,
    QueryError,
    VersionConflictError,
)
from synthorg.persistence.testing.awkward import NAIVE_TIME
from synthorg.persistence.testing.kinds import (
    API_KEYS,
    ARTIFACTS,
    AUDIT_ENTRIES,
    DEFINITIONS,
    EXECUTIONS,
    KINDS,
    LIFECYCLE_EVENTS,
    MESSAGES,
    TASKS,
    USERS,
)
from synthorg.persistence.testing.needs import needs
from synthorg.persistence.testing.units import Mishap, repositories, rolled_back
from synthorg.persistence.transactions import Stores, TransactionalBackend, UnitOfWork

PATIENCE_SECONDS: Final = 20
"""How long something may take that must not hang; less than any wait for a lock."""

Work = Callable[[UnitOfWork], Awaitable[Any]]


async def _run_in_unit(backend: TransactionalBackend, work: Work) -> None:
    async with backend.transaction() as unit:
        await work(unit)


async def stored_kinds(stores: Stores) -> list[str]:
    """Name the kinds whose example is stored."""
    backend = repositories(stores)
    return [repr(kind) for kind in KINDS if await kind.stored(backend, kind.example)]


ALL_KINDS: Final = [repr(kind) for kind in KINDS]

Act = Callable[[Stores], Awaitable[Any]]

REFUSED: Final[Mapping[str, tuple[Act, type[PersistenceError]]]] = {
    "an id that is taken": (
        lambda stores: stores.messages.save(MESSAGES.example),
        DuplicateRecordError,
    ),
    "an id of the audit trail that is taken": (
        lambda stores: stores.audit_entries.save(AUDIT_ENTRIES.make(reason="other")),
        DuplicateRecordError,
    ),
    "a username that is taken": (
        lambda stores: stores.users.save(USERS.make(id="other")),
        DuplicateRecordError,
    ),
    "a second ceo": (
        lambda stores: stores.users.save(
            USERS.make(id="other", username="other", role=HumanRole.CEO)
        ),
        DuplicateRecordError,
    ),
    "many with a username that is taken": (
        lambda stores: stores.users.save_many(
            [USERS.keyed("new 1"), USERS.make(id="other"), USERS.keyed("new 2")]
        ),
        DuplicateRecordError,
    ),
    "a user who is unknown": (
        lambda stores: stores.api_keys.save(
            API_KEYS.keyed("other").model_copy(update={"user_id": "unknown"})
        ),
        QueryError,
    ),
    "many with a user who is unknown": (
        lambda stores: stores.api_keys.save_many(
            [API_KEYS.keyed("a"), API_KEYS.altered(API_KEYS.keyed("b"), user_id="unknown")]
        ),
        QueryError,
    ),
    "a definition that has executions": (
        lambda stores: stores.workflow_definitions.delete(DEFINITIONS.example.id),
        QueryError,
    ),
    "many with a definition that has executions": (
        lambda stores: stores.workflow_definitions.delete_many(["b", DEFINITIONS.example.id]),
        QueryError,
    ),
    "a version that does not follow": (
        lambda stores: stores.workflow_definitions.save(DEFINITIONS.make(version=3)),
        VersionConflictError,
    ),
    "a first version again": (
        lambda stores: stores.workflow_definitions.save(DEFINITIONS.example),
        VersionConflictError,
    ),
    "many with a version that does not follow": (
        lambda stores: stores.workflow_definitions.save_many(
            [DEFINITIONS.make(version=2), DEFINITIONS.make(version=2)]
        ),
        VersionConflictError,
    ),
    "a text that cannot be stored": (
        lambda stores: stores.tasks.save(TASKS.forged(TASKS.example, title="\x00")),
        QueryError,
    ),
    "a time without a zone": (
        lambda stores: stores.messages.save(
            MESSAGES.forged(MESSAGES.keyed("new"), timestamp=NAIVE_TIME)
        ),
        QueryError,
    ),
    "a count below zero": (
        lambda stores: stores.tasks.save(TASKS.forged(TASKS.example, max_retries=-1)),
        QueryError,
    ),
    "a limit of zero": (lambda stores: stores.audit_entries.query(limit=0), QueryError),
    "a cursor of nowhere": (lambda stores: stores.tasks.page(after="nowhere"), QueryError),
    "the system user": (lambda stores: stores.users.delete(SYSTEM_USER_ID), QueryError),
}
"""Calls that fail, given the examples of the following kinds and that their user is the ceo."""

REFERRED_TO: Final = (TASKS, MESSAGES, AUDIT_ENTRIES, USERS, API_KEYS, DEFINITIONS, EXECUTIONS)

USES: Final[Mapping[str, Act]] = {
    "get": lambda stores: stores.tasks.get("1"),
    "get_many": lambda stores: stores.tasks.get_many(["1"]),
    "list": lambda stores: stores.tasks.list_tasks(),
    "page": lambda stores: stores.tasks.page(),
    "stream": lambda stores: anext(stores.tasks.stream()),
    "count": lambda stores: stores.tasks.count_by_status(),
    "totals": lambda stores: stores.cost_records.totals(["day"]),
    "aggregate": lambda stores: stores.cost_records.aggregate(),
}

WRITING_USES: Final[Mapping[str, Act]] = {
    "save": lambda stores: stores.tasks.save(TASKS.example),
    "save_many": lambda stores: stores.tasks.save_many([TASKS.example]),
    "save a version": lambda stores: stores.workflow_definitions.save(DEFINITIONS.example),
    "append": lambda stores: stores.lifecycle_events.save(LIFECYCLE_EVENTS.example),
    "delete": lambda stores: stores.tasks.delete("1"),
    "delete_many": lambda stores: stores.tasks.delete_many(["1"]),
    "set": lambda stores: stores.settings.set("n", "k", "v", "t"),
    "compare and swap": lambda stores: stores.settings.set(
        "n", "k", "v", "t", expected_updated_at=""
    ),
    "delete_namespace": lambda stores: stores.settings.delete_namespace("n"),
}


async def _raised_by(work: Awaitable[None]) -> BaseException | None:
    try:
        await work
    except BaseException as error:  # noqa: BLE001 (whatever it is)
        return error
    return None


Alone = Callable[[TransactionalBackend], Awaitable[Any]]

OUTSIDE_OF_THE_UNIT: Final[Mapping[str, Alone]] = {
    "save": lambda backend: backend.tasks.save(TASKS.make(id="outside")),
    "save_many": lambda backend: backend.tasks.save_many([TASKS.make(id="outside")]),
    "unit": lambda backend: _run_in_unit(
        backend, lambda unit: unit.tasks.save(TASKS.make(id="outside"))
    ),
    "run_in_transaction": lambda backend: backend.run_in_transaction(
        lambda unit: unit.tasks.save(TASKS.make(id="outside"))
    ),
}


class UnitsOfWork:
    """Units of work: all or nothing, whatever happens in between."""

    @needs(TransactionalBackend)
    async def test_leaving_a_unit_of_work_commits_what_it_wrote_to_all_tables(
        self,
        backend: TransactionalBackend,
    ) -> None:
        async with backend.transaction() as unit:
            for kind in KINDS:
                await kind.store(repositories(unit), kind.example)
            assert await stored_kinds(unit) == ALL_KINDS
        assert await stored_kinds(backend) == ALL_KINDS

    @needs(TransactionalBackend)
    @pytest.mark.parametrize("mishap", [Mishap(), asyncio.CancelledError(), KeyboardInterrupt()])
    async def test_an_exception_rolls_back_what_was_written_to_all_tables(
        self, backend: TransactionalBackend, mishap: BaseException
    ) -> None:
        async def work(unit: UnitOfWork) -> None:
            for kind in KINDS:
                await kind.store(repositories(unit), kind.example)
            raise mishap

        with pytest.raises(type(mishap)):
            await _run_in_unit(backend, work)
        assert await stored_kinds(backend) == []

    @needs(TransactionalBackend)
    async def test_changes_and_deletions_are_rolled_back_too(
        self, backend: TransactionalBackend
    ) -> None:
        changeable = [kind for kind in KINDS if kind.delete is not None]
        for kind in changeable:
            await kind.store(backend, kind.example, kind.keyed("other"))
        async with rolled_back(backend) as unit:
            for kind in changeable:
                changed, other = kind.make(**kind.changes), kind.keyed("other")
                await kind.store(repositories(unit), changed)
                assert await kind.stored(repositories(unit), changed) is not None
                assert kind.delete is not None
                assert await kind.delete(repositories(unit), other)
                assert await kind.copies(repositories(unit), other) == []
        for kind in changeable:
            for record in (kind.example, kind.keyed("other")):
                assert await kind.stored(backend, record) == record

    @needs(TransactionalBackend)
    async def test_nobody_else_sees_what_is_not_committed(
        self, backend: TransactionalBackend
    ) -> None:
        async def read() -> list[str]:
            return [task.id for task in await backend.tasks.list_tasks()]

        await backend.tasks.save(TASKS.make(id="before"))
        async with backend.transaction() as unit:
            await unit.tasks.save(TASKS.make(id="inside"))
            await unit.tasks.delete("before")
            # Where all share one connection, the reader waits for the end of the unit.
            reader = asyncio.ensure_future(read())
            await asyncio.wait([reader], timeout=0.2)
            seen_inside = reader.result() if reader.done() else ["before"]
        assert seen_inside == ["before"]
        assert await reader in (["before"], ["inside"])
        assert await read() == ["inside"]

    @needs(TransactionalBackend)
    async def test_nobody_else_ever_sees_what_is_rolled_back(
        self, backend: TransactionalBackend
    ) -> None:
        async with rolled_back(backend) as unit:
            await unit.tasks.save(TASKS.make(id="inside"))
            reader = asyncio.ensure_future(backend.tasks.list_tasks())
            await asyncio.wait([reader], timeout=0.2)
        assert await reader == ()

    @needs(TransactionalBackend)
    async def test_a_part_that_fails_alone_undoes_what_was_done_inside_it(
        self,
        backend: TransactionalBackend,
    ) -> None:
        async with backend.transaction() as unit:
            await unit.tasks.save(TASKS.make(id="1", title="first"))
            async with rolled_back(unit) as part:
                await part.tasks.save(TASKS.make(id="1", title="changed"))
                await unit.tasks.save(TASKS.make(id="2"))
                await part.tasks.save_many([TASKS.make(id="3")])
            assert [task.title for task in await unit.tasks.list_tasks()] == ["first"]
            async with unit.transaction() as part:
                await part.tasks.save(TASKS.make(id="4"))
        assert [task.id for task in await backend.tasks.list_tasks()] == ["1", "4"]
        assert (await backend.tasks.list_tasks())[0].title == "first"

    @needs(TransactionalBackend)
    async def test_parts_can_be_nested_and_each_undoes_what_is_in_it(
        self,
        backend: TransactionalBackend,
    ) -> None:
        async with backend.transaction() as unit:
            async with rolled_back(unit):
                await unit.tasks.save(TASKS.make(id="undone 1"))
                async with unit.transaction():
                    await unit.tasks.save(TASKS.make(id="undone 2"))
            async with unit.transaction() as outer:
                await outer.tasks.save(TASKS.make(id="1"))
                async with rolled_back(outer) as inner:
                    await inner.tasks.save(TASKS.make(id="undone 3"))
                await outer.tasks.save(TASKS.make(id="2"))
        assert [task.id for task in await backend.tasks.list_tasks()] == ["1", "2"]

    @needs(TransactionalBackend)
    async def test_a_part_that_succeeded_goes_with_its_unit(
        self, backend: TransactionalBackend
    ) -> None:
        async with rolled_back(backend) as unit, unit.transaction() as part:
            await part.tasks.save(TASKS.example)
        assert await backend.tasks.list_tasks() == ()

    @needs(TransactionalBackend)
    @pytest.mark.parametrize("refused", REFUSED)
    async def test_a_call_that_fails_has_written_nothing_and_the_unit_goes_on(
        self, backend: TransactionalBackend, refused: str
    ) -> None:
        act, error = REFUSED[refused]
        for kind in REFERRED_TO:
            await kind.store(backend, kind.example)
        await backend.users.save(ceo := USERS.make(role=HumanRole.CEO))
        await backend.workflow_definitions.save(DEFINITIONS.keyed("b"))
        async with backend.transaction() as unit:
            await unit.tasks.save(TASKS.make(id="before"))
            with pytest.raises(error) as inside:
                await act(unit)
            await unit.tasks.save(TASKS.make(id="between"))
            async with rolled_back(unit) as part:
                await part.tasks.save(TASKS.make(id="undone"))
                with pytest.raises(error):
                    await act(part)
                await part.tasks.save(TASKS.make(id="undone too"))
            await unit.tasks.save(TASKS.make(id="after"))
        assert [task.id for task in await backend.tasks.list_tasks()] == sorted(
            ["before", "between", "after", TASKS.example.id]
        )
        with pytest.raises(error) as outside:
            await act(backend)
        assert str(outside.value) == str(inside.value)
        await backend.users.save(USERS.altered(ceo, role=USERS.example.role))
        for kind in REFERRED_TO:
            assert await kind.stored(backend, kind.example) == kind.example
        assert await backend.users.count() == 1
        assert len(await backend.workflow_definitions.list_definitions()) == 2
        assert len(await backend.api_keys.list_by_user(USERS.example.id)) == 1

    @needs(TransactionalBackend)
    async def test_a_compare_and_swap_that_fails_in_a_unit_is_false_and_the_unit_goes_on(
        self,
        backend: TransactionalBackend,
    ) -> None:
        async with backend.transaction() as unit:
            assert await unit.settings.set("n", "k", "1", "t1", expected_updated_at="")
            assert not await unit.settings.set("n", "k", "2", "t2", expected_updated_at="")
            assert not await unit.settings.set("n", "k", "2", "t2", expected_updated_at="t0")
            assert await unit.settings.set("n", "k", "3", "t3", expected_updated_at="t1")
        assert await backend.settings.get("n", "k") == ("3", "t3")

    @needs(TransactionalBackend)
    @pytest.mark.parametrize("fails", [False, True], ids=["committed", "rolled back"])
    async def test_a_unit_that_has_ended_refuses_every_use(
        self, backend: TransactionalBackend, *, fails: bool
    ) -> None:
        async with rolled_back(backend) if fails else backend.transaction() as unit:
            await unit.tasks.save_many(TASKS.make(id=f"{number:04}") for number in range(1001))
            started = unit.tasks.stream()
            await anext(started)
        before = await backend.tasks.list_tasks()
        for act in {**USES, **WRITING_USES}.values():
            with pytest.raises(QueryError, match=r"unit of work has ended"):
                await act(unit)
        with pytest.raises(QueryError, match=r"unit of work has ended"):
            async with unit.transaction():
                pass
        with pytest.raises(QueryError, match=r"unit of work has ended"):
            assert [task async for task in started]
        assert await backend.tasks.list_tasks() == before

    @needs(TransactionalBackend)
    async def test_two_tasks_that_use_one_unit_at_once_are_told_so(
        self,
        backend: TransactionalBackend,
    ) -> None:
        async with backend.transaction() as unit:
            saves = [unit.tasks.save(TASKS.make(id=str(number))) for number in range(3)]
            outcomes = await asyncio.gather(*saves, return_exceptions=True)
            assert outcomes[0] is None
            for refusal in outcomes[1:]:
                assert isinstance(refusal, QueryError)
                assert "two tasks use the same unit of work at once" in str(refusal)
            await unit.tasks.save(TASKS.make(id="after"))
        assert [task.id for task in await backend.tasks.list_tasks()] == ["0", "after"]

    @needs(TransactionalBackend)
    @pytest.mark.parametrize("mishaps", list(product((None, Mishap()), repeat=2)))
    async def test_two_tasks_that_mix_parts_of_one_unit_are_told_so_and_nothing_is_stored(
        self, backend: TransactionalBackend, mishaps: Sequence[Exception | None]
    ) -> None:
        async def part(
            unit: UnitOfWork, begun: asyncio.Event, end: asyncio.Event, mishap: Exception | None
        ) -> None:
            async with unit.transaction() as part:
                await part.tasks.save(TASKS.make(id=str(id(end))))
                begun.set()
                await end.wait()
                if mishap is not None:
                    raise mishap

        async def work(unit: UnitOfWork) -> None:
            tasks: dict[asyncio.Event, asyncio.Task[None]] = {}
            for mishap in mishaps:
                begun, end = asyncio.Event(), asyncio.Event()
                tasks[end] = asyncio.create_task(part(unit, begun, end, mishap))
                await begun.wait()
            for end, task in tasks.items():  # the first ends before the second, which is in it
                end.set()
                await asyncio.wait([task])
            outcomes = await asyncio.gather(*tasks.values(), return_exceptions=True)
            expected = [QueryError if mishap is None else Mishap for mishap in mishaps]
            assert [type(outcome) for outcome in outcomes] == expected

        with pytest.raises(QueryError, match=r"two tasks use the same unit of work at once"):
            await _run_in_unit(backend, work)
        assert await backend.tasks.list_tasks() == ()

    @needs(TransactionalBackend)
    async def test_a_unit_may_be_handed_to_another_task(
        self, backend: TransactionalBackend
    ) -> None:
        async with backend.transaction() as unit:
            await asyncio.create_task(unit.tasks.save(TASKS.make(id="1")))
            await unit.tasks.save(TASKS.make(id="2"))
            async with asyncio.timeout(PATIENCE_SECONDS), unit.transaction():
                await unit.tasks.save(TASKS.make(id="3"))
        assert len(await backend.tasks.list_tasks()) == 3

    @needs(TransactionalBackend)
    async def test_a_read_only_unit_refuses_to_write_and_goes_on(
        self,
        backend: TransactionalBackend,
    ) -> None:
        await backend.tasks.save(TASKS.make(id="1"))
        async with backend.transaction(read_only=True) as unit:
            for refused in WRITING_USES.values():
                with pytest.raises(QueryError, match=r"unit of work is read-only"):
                    await refused(unit)
            for act in USES.values():
                await act(unit)
            async with unit.transaction() as part:
                assert await part.tasks.get("1") is not None
        assert len(await backend.tasks.list_tasks()) == 1
        assert await stored_kinds(backend) == []

    @needs(TransactionalBackend)
    async def test_a_read_only_unit_sees_one_state_while_others_write(
        self,
        backend: TransactionalBackend,
    ) -> None:
        async def write() -> None:
            await backend.tasks.save(TASKS.make(id="1", title="changed"))
            await backend.tasks.delete("2")
            async with backend.transaction() as unit:
                await unit.tasks.save(TASKS.make(id="3"))
                await unit.artifacts.save(ARTIFACTS.example)

        await TASKS.store(backend, TASKS.make(id="1"), TASKS.make(id="2"))
        async with backend.transaction(read_only=True) as unit:
            before = await unit.tasks.list_tasks()
            writer = asyncio.ensure_future(write())
            # Where all share one connection, the writer waits for the end of the unit.
            await asyncio.wait([writer], timeout=0.3)
            assert await unit.tasks.list_tasks() == before
            assert [await unit.tasks.get(id_) for id_ in ("1", "2", "3")] == [*before, None]
            assert await unit.artifacts.list_artifacts() == ()
            assert [task async for task in unit.tasks.stream()] == list(before)
            assert sum((await unit.tasks.count_by_status()).values()) == 2
        await writer
        assert [task.id for task in await backend.tasks.list_tasks()] == ["1", "3"]

    @needs(TransactionalBackend)
    async def test_an_exception_of_the_caller_in_a_unit_that_failed_comes_out_unchanged(
        self,
        backend: TransactionalBackend,
    ) -> None:
        await backend.messages.save(MESSAGES.example)
        own = OSError("no such file")

        async def fail(unit: UnitOfWork) -> None:
            try:
                await unit.messages.save(MESSAGES.example)
            except DuplicateRecordError:
                raise own from None

        assert await _raised_by(_run_in_unit(backend, fail)) is own

    @needs(TransactionalBackend)
    @pytest.mark.parametrize("outside", OUTSIDE_OF_THE_UNIT)
    async def test_writing_beside_ones_own_unit_works_or_is_a_clear_error_and_never_hangs(
        self, backend: TransactionalBackend, outside: str
    ) -> None:
        refused = False
        async with asyncio.timeout(PATIENCE_SECONDS), backend.transaction() as unit:
            await unit.tasks.save(TASKS.make(id="inside 1"))
            try:
                await OUTSIDE_OF_THE_UNIT[outside](backend)
            except PersistenceError as error:
                assert "this task has a transaction open" in str(error)  # noqa: PT017 (one of two ways)
                refused = True
            await unit.tasks.save(TASKS.make(id="inside 2"))
        expected = ["inside 1", "inside 2"] + ["outside"] * (not refused)
        assert [task.id for task in await backend.tasks.list_tasks()] == expected
        await backend.tasks.save(TASKS.make(id="later"))

    @needs(TransactionalBackend)
    async def test_a_timeout_inside_a_unit_leaves_the_backend_usable(
        self,
        backend: TransactionalBackend,
    ) -> None:
        async def dawdle(unit: UnitOfWork) -> None:
            async with asyncio.timeout(0.1):
                await unit.tasks.save(TASKS.example)
                await asyncio.sleep(PATIENCE_SECONDS)

        with pytest.raises(TimeoutError):
            await _run_in_unit(backend, dawdle)
        assert await backend.tasks.list_tasks() == ()
        await backend.tasks.save(TASKS.example)

    @needs(TransactionalBackend)
    async def test_a_part_that_runs_out_of_time_is_undone_and_the_unit_goes_on(
        self,
        backend: TransactionalBackend,
    ) -> None:
        async with backend.transaction() as unit:
            await unit.tasks.save(TASKS.make(id="before"))
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as limit, unit.transaction() as part:
                    await part.tasks.save(TASKS.make(id="in the part"))
                    limit.reschedule(0)
                    await asyncio.Event().wait()
            assert limit.expired()
            await unit.tasks.save(TASKS.make(id="after"))
        assert [task.id for task in await backend.tasks.list_tasks()] == ["after", "before"]

    @needs(TransactionalBackend)
    @pytest.mark.parametrize("first", ["saves", "unit"])
    async def test_what_is_saved_beside_a_unit_that_is_rolled_back_is_stored(
        self, backend: TransactionalBackend, first: str
    ) -> None:
        begun = asyncio.Event()

        async def save(id_: str) -> None:
            if first == "unit":
                await begun.wait()
            await backend.tasks.save(TASKS.make(id=id_))

        async def work_in_vain() -> None:
            async with rolled_back(backend) as unit:
                await unit.settings.set("in", "the unit", "1", "now")
                begun.set()
                for _ in range(
                    5
                ):  # others may write meanwhile, or else have to wait for their turn
                    await unit.settings.get("in", "the unit")

        ids = ["1", "2", "3"]
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*map(save, ids), work_in_vain())
        assert [task.id for task in await backend.tasks.list_tasks()] == ids
        assert await backend.settings.get_all() == ()

    @needs(TransactionalBackend)
    async def test_units_of_many_tasks_at_once_are_all_carried_out(
        self,
        backend: TransactionalBackend,
    ) -> None:
        async def work(number: int) -> None:
            async def save(unit: UnitOfWork) -> None:
                await unit.tasks.save(TASKS.make(id=f"{number:02}"))
                await unit.artifacts.save(ARTIFACTS.make(id=f"{number:02}"))
                if number % 3 == 0:
                    raise Mishap

            await backend.run_in_transaction(save)

        outcomes = await asyncio.gather(*map(work, range(40)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [
            type(None) if number % 3 else Mishap for number in range(40)
        ]
        saved = [f"{number:02}" for number in range(40) if number % 3]
        assert [task.id for task in await backend.tasks.list_tasks()] == saved
        assert [artifact.id for artifact in await backend.artifacts.list_artifacts()] == saved

    @needs(TransactionalBackend)
    async def test_the_backend_and_its_units_are_what_the_protocols_say(
        self,
        backend: TransactionalBackend,
    ) -> None:
        async with backend.transaction() as unit:
            assert isinstance(unit, UnitOfWork)
            assert not isinstance(unit, PersistenceBackend)
        for connected in (True, False):
            assert backend.is_connected == connected
            assert isinstance(backend, PersistenceBackend)
            assert isinstance(backend, TransactionalBackend)
            await backend.disconnect()
        await backend.connect()

    @needs(TransactionalBackend)
    async def test_an_unconnected_backend_begins_no_unit(
        self, backend: TransactionalBackend
    ) -> None:
        await backend.disconnect()
        with pytest.raises(PersistenceError, match=r"not connected"):
            async with backend.transaction():
                pass
        with pytest.raises(PersistenceError, match=r"not connected"):
            await backend.run_in_transaction(lambda unit: unit.tasks.list_tasks())
