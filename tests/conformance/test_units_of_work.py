"""Units of work: all or nothing, whatever happens in between."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from synthorg.persistence import (
    DuplicateRecordError,
    PersistenceBackend,
    PersistenceError,
    QueryError,
)
from synthorg.persistence.testing.backend.units_of_work import Work, _raised_by, _run_in_unit
from synthorg.persistence.testing.kinds import (
    ARTIFACTS,
    MESSAGES,
    TASKS,
)
from synthorg.persistence.transactions import TransactionalBackend, UnitOfWork
from tests.conformance.cancelling import CancelledAt, cancelled_at_each_wait
from tests.conftest import checked_out_connections


async def _run_in_transaction(backend: TransactionalBackend, work: Work) -> None:
    await backend.run_in_transaction(work)


CALLERS_OWN: Final = (
    OSError("no such file"),
    ConnectionResetError("by somebody else"),
    ValueError("no number"),
    OverflowError("too much"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
    SQLAlchemyError("of another database"),
    OperationalError("SELECT 1", {}, Exception("of another database")),
    PersistenceError("of another library"),
    TimeoutError(),
    KeyError("name"),
)


@pytest.mark.parametrize("run", [_run_in_unit, _run_in_transaction])
async def test_the_callers_own_exceptions_come_out_unchanged(
    backend: TransactionalBackend, run: Callable[[TransactionalBackend, Work], Awaitable[None]]
) -> None:
    async def fail(unit: UnitOfWork) -> None:
        await unit.tasks.save(TASKS.example)
        async with unit.transaction() as part:
            await part.tasks.save(TASKS.make(id="2"))
            raise own

    for own in CALLERS_OWN:
        text, arguments, cause = str(own), own.args, own.__cause__
        assert await _raised_by(run(backend, fail)) is own
        assert (str(own), own.args, own.__cause__) == (text, arguments, cause)
        assert await backend.tasks.list_tasks() == ()


@pytest.mark.parametrize("times", [1, 2, 100], ids=["once", "twice", "again and again"])
async def test_a_unit_that_is_cancelled_at_any_wait_is_all_or_nothing(
    backend: TransactionalBackend, times: int
) -> None:
    async def work(number: int) -> None:
        async with backend.transaction() as unit:
            await unit.tasks.save(TASKS.make(id=str(number)))
            assert await unit.artifacts.get("artifact") is None
            async with unit.transaction():
                await unit.artifacts.save(ARTIFACTS.make(id=str(number)))
            await unit.tasks.save_many(TASKS.make(id=f"{number}-{copy}") for copy in range(3))

    number = -1
    async for number in cancelled_at_each_wait(work, times):
        assert checked_out_connections(backend) == 0
        tasks = await backend.tasks.get_many([str(number), *(f"{number}-{i}" for i in range(3))])
        artifact = await backend.artifacts.get(str(number))
        assert (len(tasks), artifact is not None) in ((0, False), (4, True)), number
    assert number > 0
    assert await backend.tasks.get(str(number)) is not None


@pytest.mark.parametrize("call", ["save", "save_many", "list", "delete", "part", "failure"])
async def test_a_call_that_is_cancelled_never_splits_the_unit_around_it(
    backend: TransactionalBackend, call: str
) -> None:
    async def part(unit: UnitOfWork) -> None:
        async with unit.transaction():
            await unit.tasks.save(TASKS.make(id="in the part"))

    async def failure(unit: UnitOfWork) -> None:
        with pytest.raises(DuplicateRecordError):
            await unit.messages.save(MESSAGES.example)

    calls: dict[str, Callable[[UnitOfWork], Awaitable[Any]]] = {
        "save": lambda unit: unit.tasks.save(TASKS.make(id="cancelled")),
        "save_many": lambda unit: unit.tasks.save_many(
            TASKS.make(id=f"cancelled {number}") for number in range(3)
        ),
        "list": lambda unit: unit.tasks.list_tasks(),
        "delete": lambda unit: unit.tasks.delete("cancelled"),
        "part": part,
        "failure": failure,
    }
    await backend.messages.save(MESSAGES.example)
    for place in range(1000):
        before, after = f"{place} before", f"{place} after"
        cancelled = None
        try:
            async with backend.transaction() as unit:
                await unit.tasks.save(TASKS.make(id=before))
                cancelled = CancelledAt(calls[call](unit), place)
                try:
                    await cancelled
                except asyncio.CancelledError:
                    _forget_the_cancellation()
                try:
                    await unit.tasks.save(TASKS.make(id=after))
                except QueryError as refusal:
                    assert "unit of work failed" in str(refusal)  # noqa: PT017 (one of two ways)
        except PersistenceError:
            expected = 0
        else:
            expected = 2
        assert len(await backend.tasks.get_many([before, after])) == expected, place
        assert checked_out_connections(backend) == 0
        if cancelled is None or not cancelled.reached:
            assert expected == 2
            return


def _forget_the_cancellation() -> None:
    """Do what `asyncio.timeout` does with a cancellation of its own."""
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()


def test_a_backend_of_the_plain_protocol_alone_is_not_transactional() -> None:
    names = [name for name in dir(PersistenceBackend) if not name.startswith("_")]
    plain = type("PlainBackend", (), dict.fromkeys(names, object()))()
    assert isinstance(plain, PersistenceBackend)
    assert not isinstance(plain, TransactionalBackend)
    assert not isinstance(plain, UnitOfWork)
    added = dict.fromkeys(("transaction", "run_in_transaction"), object())
    assert isinstance(type("Backend", (type(plain),), added)(), TransactionalBackend)
