"""Calls that take long are logged, with their plan where that is asked for."""

import logging
from typing import Any

import pytest

from synthorg.persistence import ObservedCall
from synthorg.persistence.sql.drivers.observation import Observed
from synthorg.persistence.sql.statements.statement import Statement
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import TASKS, kinds
from tests.conformance.beside import until
from tests.conformance.conftest import ROUTES
from tests.conformance.observer import Recorder, arguments, called, methods_of, observed
from tests.servers.base import Server

EVENTS = ("call_slow", "call_explained", "call_unexplained")

each_route = pytest.mark.parametrize("route", ROUTES)


def slow(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """Give what was logged of slow calls."""
    return [record for record in caplog.records if getattr(record, "event", "") in EVENTS]


@each_route
async def test_a_slow_call_is_logged_with_its_facts(
    server: Server, route: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with observed(server, route, slow_call_seconds="0") as backend:
        caplog.clear()
        await backend.tasks.save_many([TASKS.keyed("secret-1"), TASKS.keyed("secret-2")])
        assert backend.observing is not None
    (record,) = slow(caplog)
    assert record.levelno == logging.WARNING
    assert record.message == f"a call was slow: tasks.save_many took {record.milliseconds} ms"
    assert (record.repository, record.operation, record.table) == ("tasks", "save_many", "tasks")
    assert (record.rows, record.attempts, record.error) == (2, 1, None)
    assert record.database == backend.backend_name
    assert 0 <= record.waited_milliseconds <= record.milliseconds
    assert record.route in ROUTES
    assert "secret" not in str(vars(record))


@each_route
async def test_calls_that_are_fast_enough_are_not_logged(
    server: Server, route: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with observed(server, route, slow_call_seconds="1000") as backend:
        await backend.tasks.save(TASKS.example)
    assert slow(caplog) == []


async def test_nothing_is_observed_by_default(server: Server) -> None:
    async with observed(server, "fast") as backend:
        assert backend.observing is None
        assert type(backend.tasks).__mro__[1].__name__ != type(backend.tasks).__name__


@each_route
async def test_the_plan_of_a_slow_call_is_logged_once_a_minute(
    server: Server, route: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    parameters = {"slow_call_seconds": "0", "explain_slow_calls": "true"}
    async with observed(server, route, **parameters) as backend:
        for _ in range(3):
            await backend.tasks.list_tasks(project="secret")
        await until(lambda: len(slow(caplog)) == 4)
        await backend.disconnect()
    (plan,) = [record for record in slow(caplog) if hasattr(record, "plan")]
    assert (plan.levelno, plan.repository, plan.operation) == (
        logging.WARNING,
        "tasks",
        "list_tasks",
    )
    assert "tasks" in plan.plan
    assert "secret" not in str(vars(plan))


async def test_a_slow_call_in_a_unit_is_explained_after_its_end(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    parameters = {"slow_call_seconds": "0", "explain_slow_calls": "true"}
    async with observed(server, "fast", **parameters) as backend:
        async with backend.transaction() as unit:
            await unit.tasks.list_tasks()
        await until(lambda: any(hasattr(record, "plan") for record in slow(caplog)))


@kinds()
@each_route
async def test_every_statement_has_a_plan(server: Server, route: str, kind: Kind) -> None:
    class Timer(Recorder):
        def call_started(self, call: ObservedCall, /) -> bool:
            assert isinstance(call, Observed)
            call.times_statements = True
            return super().call_started(call)

    recorder = Timer()
    async with observed(server, route, recorder) as backend:
        database = backend.database_for("a test")
        repository = getattr(backend, kind.repository)
        await kind.store(backend, kind.example)
        for method in methods_of(repository):
            recorder.forget()
            await called(repository, method, *arguments(kind, repository, method))
            statement = getattr(recorder.of("call")[0], "statement", None)
            assert isinstance(statement, Statement)
            lines = await database.plan(statement)
            assert lines or not statement.reads  # SQLite tells none of an INSERT
