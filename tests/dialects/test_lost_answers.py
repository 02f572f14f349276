"""A connection that is lost before the answer came: what the caller is told is what is stored."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from synthorg.persistence import (
    DuplicateRecordError,
    OutcomeUnknownError,
    PersistenceConfig,
    PersistenceConnectionError,
    QueryError,
    TransactionalBackend,
    VersionConflictError,
)
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.drivers.faults import Diagnosis, Fault
from synthorg.persistence.sql.execution.failures import redacted, transaction_failure
from synthorg.persistence.testing.kinds import (
    COST_RECORDS,
    DEFINITIONS,
    MESSAGES,
    TASKS,
)
from tests.conftest import checked_out_connections
from tests.dialects.places import Place, by_fast_drivers, connected, task
from tests.dialects.relay import Relay, relayed
from tests.dialects.test_servers import kill, other_sessions

MARK: Final = "lost-answer"
COMMIT: Final = r"COMMIT(?!TED)"
UNKNOWN: Final = "may or may not"

losses = pytest.mark.parametrize(
    ("route", "what"),
    [("true", MARK), ("false", MARK), ("false", COMMIT)],
    ids=["lane", "pool", "pool-commit"],
)
"""A lane sends no COMMIT for one statement."""

routes = pytest.mark.parametrize("route", ["true", "false"], ids=["lanes", "pool"])


@dataclass
class Cut:
    """A backend behind a relay that can lose the answer to what it is told."""

    backend: TransactionalBackend
    relay: Relay

    async def lose(self, call: Callable[[], Awaitable[object]], what: str = MARK) -> object:
        """Make a call, whose answer is lost once what it is about was sent."""
        async with self.backend.transaction() as unit:
            await unit.tasks.get("warm")  # a new connection is told things of its own
        self.relay.cut_at, self.relay.cuts_once = what.encode(), True
        try:
            return await asyncio.wait_for(call(), 20)
        finally:
            assert self.relay.cut_at is None, "the answer was not lost"


@asynccontextmanager
async def cut(place: Place, route: str) -> AsyncIterator[Cut]:
    """Connect a backend through a relay, with all that it prepares already prepared."""
    async with (
        relayed(place.url) as (url, relay),
        connected(url, prepared_statements=route) as backend,
    ):
        await backend.tasks.save(TASKS.keyed("warm"))
        await backend.messages.save(MESSAGES.keyed("warm"))
        await backend.cost_records.save(COST_RECORDS.keyed("warm"))
        await backend.tasks.delete("nothing")
        yield Cut(backend, relay)


@contextmanager
def not_written() -> Iterator[None]:
    """Expect an error that says so."""
    with pytest.raises(PersistenceConnectionError) as raised:
        yield
    assert not isinstance(raised.value, OutcomeUnknownError)


def is_before_commit(place: Place, route: str, what: str) -> bool:
    """Tell whether what is sent then is not committed yet, which it is at once on a lane."""
    return what == MARK and not (place.is_fast and route == "true")


@losses
async def test_a_save_that_replaces_is_made_again_when_its_answer_is_lost(
    place: Place, route: str, what: str
) -> None:
    async with cut(place, route) as it:
        with not_written() if is_before_commit(place, route, what) else nullcontext():
            await it.lose(lambda: it.backend.tasks.save(task(MARK)), what)
        found = await it.backend.tasks.get(MARK)
        assert found == (None if is_before_commit(place, route, what) else task(MARK))


@losses
async def test_an_append_whose_answer_is_lost_is_stored_once_or_told_not_to_be(
    place: Place, route: str, what: str
) -> None:
    message = MESSAGES.altered(MESSAGES.example, channel=MARK)
    async with cut(place, route) as it:
        with not_written() if is_before_commit(place, route, what) else nullcontext():
            await it.lose(lambda: it.backend.messages.save(message), what)
        if is_before_commit(place, route, what):
            await it.backend.messages.save(message)
        assert await it.backend.messages.get_history(MARK) == (message,)
        with pytest.raises(DuplicateRecordError):
            await it.backend.messages.save(message)


@by_fast_drivers()
async def test_an_append_that_meets_another_record_after_its_answer_was_lost_is_a_duplicate(
    place: Place,
) -> None:
    stored = MESSAGES.altered(MESSAGES.example, channel="other")
    async with cut(place, "true") as it:
        await it.backend.messages.save(stored)
        with pytest.raises(DuplicateRecordError):
            await it.lose(lambda: it.backend.messages.save(MESSAGES.altered(stored, channel=MARK)))
        assert await it.backend.messages.get_history("other") == (stored,)


@losses
async def test_a_cost_whose_answer_is_lost_is_never_stored_twice_and_its_error_is_true(
    place: Place, route: str, what: str
) -> None:
    cost = COST_RECORDS.make(agent_id=MARK)
    async with cut(place, route) as it:
        with pytest.raises(PersistenceConnectionError) as raised:
            await it.lose(lambda: it.backend.cost_records.save(cost), what)
        stored = await it.backend.cost_records.query(agent_id=MARK)
        if is_before_commit(place, route, what):
            assert not isinstance(raised.value, OutcomeUnknownError)
            assert stored == ()
        else:
            assert isinstance(raised.value, OutcomeUnknownError)
            assert UNKNOWN in str(raised.value)
            assert len(stored) <= 1


@by_fast_drivers()
async def test_a_deletion_whose_answer_is_lost_says_true_only_where_it_is(place: Place) -> None:
    async with cut(place, "true") as it:
        await it.backend.tasks.save(task(MARK))
        with pytest.raises(OutcomeUnknownError, match="nothing to delete"):
            await it.lose(lambda: it.backend.tasks.delete(MARK))
        assert await it.backend.tasks.get(MARK) is None


@by_fast_drivers()
async def test_what_depends_on_what_is_stored_is_not_made_again(place: Place) -> None:
    definition = DEFINITIONS.make(name=MARK)
    later = DEFINITIONS.altered(definition, version=2)
    async with cut(place, "true") as it:
        settings = it.backend.settings
        await settings.set("n", "k", "value", "1")
        with pytest.raises(OutcomeUnknownError):
            await it.lose(lambda: settings.set("n", "k", MARK, "2", expected_updated_at="1"))
        assert await settings.get("n", "k") in ((MARK, "2"), ("value", "1"))
        with pytest.raises(OutcomeUnknownError):
            await it.lose(
                lambda: settings.set("n", "new", MARK, "2", expected_updated_at=""),
            )
        await settings.set(MARK, "k", "value", "1")
        with pytest.raises(OutcomeUnknownError):  # or it would tell that nothing was deleted
            await it.lose(lambda: settings.delete_namespace(MARK))
        with pytest.raises(OutcomeUnknownError):
            await it.lose(lambda: it.backend.workflow_definitions.save(definition))
        if await it.backend.workflow_definitions.get(definition.id) is None:
            await it.backend.workflow_definitions.save(definition)
        with pytest.raises(OutcomeUnknownError):
            await it.lose(lambda: it.backend.workflow_definitions.save(later))
        if await it.backend.workflow_definitions.get(definition.id) == later:
            with pytest.raises(VersionConflictError):
                await it.backend.workflow_definitions.save(later)


async def test_each_of_those_who_share_a_lost_connection_is_told_the_same(place: Place) -> None:
    async with cut(place, "true") as it:
        costs = [COST_RECORDS.make(agent_id=f"{MARK}-{number}") for number in range(8)]
        results = await it.lose(
            lambda: asyncio.gather(
                *map(it.backend.cost_records.save, costs), return_exceptions=True
            )
        )
        assert isinstance(results, list)
        stored = {each.agent_id for each in await it.backend.cost_records.query()}
        for cost, result in zip(costs, results, strict=True):
            if result is None:
                assert cost.agent_id in stored
            else:
                assert isinstance(result, PersistenceConnectionError), result
                assert "connection" in str(result)
                if not isinstance(result, OutcomeUnknownError):
                    assert cost.agent_id not in stored


@pytest.mark.parametrize("what", [MARK, COMMIT])
@routes
async def test_many_records_that_replace_are_saved_again_when_the_answer_is_lost(
    place: Place, route: str, what: str
) -> None:
    records = [task(f"{MARK}-{number}") for number in range(3)]
    async with cut(place, route) as it:
        with not_written() if what == MARK else nullcontext():
            await it.lose(lambda: it.backend.tasks.save_many(records), what)
        found = await it.backend.tasks.get_many([each.id for each in records])
        assert len(found) == (0 if what == MARK else 3)


@routes
async def test_many_records_that_can_be_read_once_are_not_saved_again(
    place: Place, route: str
) -> None:
    async with cut(place, route) as it:
        with pytest.raises(OutcomeUnknownError):
            await it.lose(lambda: it.backend.tasks.save_many(iter([task(MARK)])), COMMIT)
        with pytest.raises(OutcomeUnknownError):
            await it.lose(lambda: it.backend.tasks.delete_many([MARK, "warm"]), COMMIT)
        costs = [COST_RECORDS.make(agent_id=MARK)]
        with pytest.raises(OutcomeUnknownError):
            await it.lose(lambda: it.backend.cost_records.save_many(costs), COMMIT)
        assert len(await it.backend.cost_records.query(agent_id=MARK)) <= 1


async def test_what_is_lost_when_a_connection_is_given_back_makes_no_failure_of_a_call(
    place: Place,
) -> None:
    """It is told to roll back then: after a read everywhere, after a write on some servers."""
    async with cut(place, "false") as it:
        assert await it.lose(lambda: it.backend.tasks.get("warm"), "ROLLBACK") is not None
        cost = COST_RECORDS.make(agent_id=MARK)
        for _ in range(8 if place.kind == "mariadb" else 0):
            await it.lose(lambda: it.backend.cost_records.save(cost), "ROLLBACK")
        assert checked_out_connections(it.backend) == 0
        costs = await it.backend.cost_records.query(agent_id=MARK)
        assert len(costs) == (8 if place.kind == "mariadb" else 0)


@routes
async def test_while_the_server_is_away_nothing_is_written_and_everybody_is_told_so(
    place: Place, route: str
) -> None:
    calls: list[Callable[[TransactionalBackend], Awaitable[object]]] = [
        lambda backend: backend.tasks.get("x"),
        lambda backend: backend.tasks.list_tasks(),
        lambda backend: backend.tasks.save(task("x")),
        lambda backend: backend.tasks.delete("x"),
        lambda backend: backend.cost_records.save(COST_RECORDS.example),
        lambda backend: backend.tasks.save_many([task("x")]),
    ]
    async with cut(place, route) as it:
        it.relay.hang_up()
        await asyncio.sleep(0.1)  # until they have noticed
        for _ in range(2):
            results = await asyncio.gather(
                *[call(it.backend) for call in calls * 3], return_exceptions=True
            )
            for result in results:
                assert isinstance(result, PersistenceConnectionError), result
                assert not isinstance(result, OutcomeUnknownError)


@routes
async def test_what_is_written_after_the_sessions_were_killed_is_written(
    place: Place, route: str
) -> None:
    """Also what was not written before, and what cannot be written twice."""
    async with connected(place.url) as killer, killer.get_db().connect() as connection:
        spared = await other_sessions(place, connection)
        async with connected(place.url, prepared_statements=route) as backend:
            writes: list[Callable[[], Awaitable[object]]] = [
                lambda: backend.cost_records.save(COST_RECORDS.example),
                lambda: backend.messages.save(MESSAGES.example),
                lambda: backend.settings.set("n", "k", "v", "1", expected_updated_at=""),
                lambda: backend.tasks.save_many([task("one"), task("two")]),
                lambda: backend.tasks.delete("one"),
                lambda: backend.settings.set("n", "k", "v", "2", expected_updated_at="1"),
            ]
            await backend.tasks.save(task("one"))
            await backend.tasks.list_tasks()
            for write in writes:
                await connection.rollback()  # PostgreSQL shows a transaction one list of sessions
                await kill(place, connection, await other_sessions(place, connection) - spared)
                await asyncio.sleep(0.05)  # a connection that was used a moment ago is not asked
                assert await write() in (None, True)


async def test_an_error_is_not_emptied_for_others_who_met_it_too(place: Place) -> None:
    dialect = create_dialect(PersistenceConfig.from_url(place.url))
    async with connected(place.url) as backend:
        with pytest.raises(DBAPIError) as raised:
            async with backend.get_db().connect() as connection:
                await connection.execute(text("SELECT * FROM no_such_table"))
    assert "no_such_table" in str(raised.value.orig)
    assert redacted(raised.value) is not raised.value
    assert dialect.diagnose(raised.value).fault is Fault.SCHEMA


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.MISSING])
def test_a_transaction_that_is_refused_at_its_end_has_lost_no_connection(fault: Fault) -> None:
    """Such as one that is too large for a cluster."""
    error = transaction_failure(Diagnosis(fault, "it is too large"))
    assert type(error) is QueryError
