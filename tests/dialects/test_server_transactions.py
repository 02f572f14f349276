"""Transactions on servers: their trips, their savepoints, and how they leave the connection."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import OperationalError

from synthorg.entities import Task
from synthorg.persistence import (
    DuplicateRecordError,
    OutcomeUnknownError,
    PersistenceConfig,
    PersistenceConnectionError,
    QueryError,
    TransactionalBackend,
)
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.drivers import idle_connections
from synthorg.persistence.sql.drivers.faults import Fault
from synthorg.persistence.sql.execution.connections import COMMIT_UNKNOWN
from synthorg.persistence.sql.repositories.chunks import ROWS_AT_ONCE
from synthorg.persistence.testing.kinds import COST_RECORDS, MESSAGES, TASKS
from synthorg.persistence.testing.units import Mishap
from synthorg.persistence.transactions import UnitOfWork
from tests.conformance.cancelling import cancelled_at_each_wait
from tests.conftest import checked_out_connections
from tests.dialects.places import Place, by_fast_drivers, connected, on, task
from tests.dialects.relay import relayed
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

SECONDS = 20
"""How long something may take that must not hang."""

MANY = 520
"""More records than are written together."""

HALF = 0.5

USES = 8
"""More than after which a driver prepares a statement."""


async def driver_of(backend: TransactionalBackend) -> Any:
    """Give the driver's connection that the pool hands out next."""
    async with backend.get_db().connect() as connection:
        return (await connection.get_raw_connection()).driver_connection


async def transactions_left_open(place: Place, backend: TransactionalBackend) -> int:
    """Count the transactions on the connection that the pool hands out next."""
    driver = await driver_of(backend)
    if place.kind == "postgresql":
        if place.is_fast:
            return int(driver.is_in_transaction())
        return int(driver.info.transaction_status.name != "IDLE")
    cursor = driver.cursor()
    await cursor.execute("SELECT @@in_transaction")
    ((left,),) = await cursor.fetchall()
    return int(left)


async def work_on_everything(unit: UnitOfWork, name: str) -> None:
    """Read, write, append, write together, and do so in a part as well."""
    await unit.tasks.get(name)
    await unit.tasks.save(task(name))
    await unit.messages.save(MESSAGES.keyed(name))
    async with unit.transaction():
        await unit.tasks.save_many(task(f"{name}-{copy}") for copy in range(3))
    await unit.cost_records.save(COST_RECORDS.keyed(name))


async def get_save_and_append(backend: TransactionalBackend, name: str) -> None:
    async with backend.transaction() as unit:
        await unit.tasks.get(name)
        await unit.tasks.save(task(name))
        await unit.messages.save(MESSAGES.keyed(name))
        await unit.cost_records.save(COST_RECORDS.keyed(name))


async def get_save_and_append_without_savepoints(backend: TransactionalBackend, name: str) -> None:
    async with backend.transaction(savepoints=False) as unit:
        await unit.tasks.get(name)
        await unit.tasks.save(task(name))
        await unit.messages.save(MESSAGES.keyed(name))
        await unit.tasks.save_many(task(f"{name}-{copy}") for copy in range(3))


async def read_twice(backend: TransactionalBackend, name: str) -> None:
    async with backend.transaction(read_only=True) as unit:
        await unit.tasks.get(name)
        await unit.tasks.list_tasks()


async def write_in_parts(backend: TransactionalBackend, name: str) -> None:
    async with backend.transaction() as unit:
        async with unit.transaction():
            await unit.tasks.save(task(name))
        async with unit.transaction():
            await unit.tasks.save(task(name, title="changed"))


async def save_together(backend: TransactionalBackend, name: str) -> None:
    await backend.tasks.save_many([task(f"{name}-{number:03}") for number in range(3)])


Work = Callable[[TransactionalBackend, str], Coroutine[Any, Any, None]]

# A write is one trip; a read as well. On PostgreSQL, what begins the transaction and the savepoint
# before a write go in the same one. On MariaDB, the first statement begins one like that before.
TRIPS: list[tuple[Work, Mapping[str, int]]] = [
    (get_save_and_append, {"postgresql": 4 + 1, "mariadb": 4 + 1}),
    (
        get_save_and_append_without_savepoints,
        {"postgresql": 4 + 1, "mariadb": 3 + 2 + 1},
    ),
    (read_twice, {"postgresql": 2 + 1, "mariadb": 1 + 2 + 1}),
    (write_in_parts, {"postgresql": 2 * (1 + 1 + 1) + 1, "mariadb": 2 * (1 + 1 + 1) + 1}),
    (save_together, {"postgresql": 1 + 1 + 1, "mariadb": 1 + 1 + 1}),
]


@by_fast_drivers()
@pytest.mark.parametrize(("work", "trips"), TRIPS, ids=lambda case: getattr(case, "__name__", ""))
async def test_a_transaction_makes_no_more_trips_than_it_has_to(
    place: Place, work: Work, trips: Mapping[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle_connections, "IDLE_SECONDS", math.inf)
    async with relayed(place.url) as (url, relay), connected(url) as backend:
        await work(backend, "warms up")  # the driver prepares statements
        before = relay.trips
        await work(backend, "counts")
        assert relay.trips - before == trips[place.kind]


@on(PostgreSQL)
@pytest.mark.parametrize(
    ("prepared", "ahead"), [(True, 2 * ROWS_AT_ONCE), (False, ROWS_AT_ONCE)], ids=["fast", "public"]
)
async def test_the_next_records_are_made_while_the_server_stores_the_last_ones_on_the_fast_route(
    place: Place, *, prepared: bool, ahead: int
) -> None:
    made = 0
    goes_on = asyncio.Event()

    def records() -> Iterator[Task]:
        nonlocal made
        for made in range(1, 3 * MANY):
            if made == ahead:
                goes_on.set()
            yield task(str(made))

    async with (
        connected(place.url, prepared_statements=prepared) as backend,
        connected(place.url) as other,
        other.get_db().connect() as holder,
    ):
        await holder.execute(text("LOCK TABLE tasks"))
        saving = asyncio.create_task(backend.tasks.save_many(records()))
        async with asyncio.timeout(SECONDS):
            await goes_on.wait()
        await asyncio.sleep(0.1)
        assert made == ahead  # and no more of them pile up
        await holder.rollback()
        await saving
        assert len(await backend.tasks.list_tasks()) == made


@on(MariaDB)  # where a transaction that has ended goes back without a rollback
async def test_a_transaction_that_was_left_open_is_rolled_back_when_its_connection_goes_back(
    place: Place,
) -> None:
    async with connected(place.url) as backend:
        async with backend.transaction() as unit:  # after which the connection has ended one
            await unit.tasks.save(task("a"))
        async with backend.get_db().connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            await driver.cursor().execute("BEGIN")
            await driver.cursor().execute("UPDATE tasks SET title = 'left open'")
        assert await transactions_left_open(place, backend) == 0
        found = await backend.tasks.get("a")
        assert found is not None
        assert found.title != "left open"


LEVEL = {"postgresql": "SHOW transaction_isolation", "mariadb": "SELECT @@tx_isolation"}


@contextmanager
def levels_on_the_server(place: Place, backend: TransactionalBackend) -> Iterator[set[str]]:
    """Ask the server, in each transaction that goes through SQLAlchemy, how isolated it is."""
    question = LEVEL[place.kind]
    engine = backend.get_db().sync_engine
    answers: set[str] = set()

    def ask(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement != question:
            answer = connection.exec_driver_sql(question).scalar_one()
            answers.add(str(answer).upper().replace("-", " "))

    event.listen(engine, "after_cursor_execute", ask)
    yield answers
    event.remove(engine, "after_cursor_execute", ask)


ISOLATED: list[tuple[Work, str]] = [
    (get_save_and_append, "SERIALIZABLE"),
    (read_twice, "REPEATABLE READ"),
    (save_together, "READ COMMITTED"),
]


@by_fast_drivers()
@pytest.mark.parametrize(("work", "level"), ISOLATED)
async def test_a_transaction_is_as_isolated_as_it_should_be_on_the_fast_route(
    place: Place, work: Work, level: str
) -> None:
    async with (
        relayed(place.url) as (url, relay),
        connected(url, prepared_statements=True) as backend,
    ):
        await work(backend, "warms up")  # a new connection is told its usual level
        await (save_together if work is get_save_and_append else get_save_and_append)(backend, "a")
        relay.sent.clear()
        await work(backend, "counts")
        sent = relay.sent.decode(errors="replace").upper()
        assert "START TRANSACTION" in sent or "BEGIN ISOLATION" in sent
        assert ("READ ONLY" in sent) == (work is read_twice)
        others = {"SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED"} - {level}
        assert f"ISOLATION LEVEL {level}" in sent
        assert not any(other in sent for other in others)


async def ask_by_sql(backend: TransactionalBackend, _name: str) -> None:
    async with backend.get_db().connect() as connection:
        await connection.execute(text("SELECT 1"))


async def ask_on_another_level(backend: TransactionalBackend, _name: str) -> None:
    async with backend.get_db().connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        await connection.execute(text("SELECT 1"))


async def choose_another_level_alone(backend: TransactionalBackend, _name: str) -> None:
    async with backend.get_db().connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")


async def set_another_level(backend: TransactionalBackend, _name: str) -> None:
    driver = await driver_of(backend)
    await driver.cursor().execute("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")


async def set_another_level_in_a_unit(backend: TransactionalBackend, name: str) -> None:
    async with backend.transaction() as unit:
        await unit.tasks.save(task(name))
        own = await unit.connection()
        await own.execute(text("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED"))


async def set_another_level_at_once(backend: TransactionalBackend, _name: str) -> None:
    async with backend.transaction() as unit:
        own = await unit.connection()
        await own.execute(text("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED"))


async def begin_nothing(backend: TransactionalBackend, _name: str) -> None:
    async with backend.transaction():
        pass


async def fail(backend: TransactionalBackend, name: str) -> None:
    with suppress(Mishap):
        async with backend.transaction() as unit:
            await unit.tasks.save(task(name))
            raise Mishap


async def locks_what_it_reads(
    backend: TransactionalBackend, other: TransactionalBackend, name: str
) -> bool:
    """Tell whether a unit locks the task that it reads, as only those do that are serializable."""
    question = text("SELECT id FROM tasks WHERE id = :name FOR UPDATE NOWAIT")
    async with backend.transaction() as unit:
        assert await unit.tasks.get(name) is not None
        async with other.get_db().connect() as connection:
            try:
                await connection.execute(question, {"name": name})
            except OperationalError:
                return True
    return False


USES_BEFORE: list[Work] = [
    get_save_and_append,
    read_twice,
    save_together,
    ask_by_sql,
    ask_on_another_level,
    choose_another_level_alone,
    begin_nothing,
    fail,
]


@on(MariaDB)  # where a session remembers the level of the unit before
@pytest.mark.parametrize(
    "use",
    [
        *USES_BEFORE,
        set_another_level,
        set_another_level_in_a_unit,
        set_another_level_at_once,
    ],
)
async def test_a_unit_is_serializable_whoever_had_its_connection_before(
    place: Place, use: Work
) -> None:
    async with connected(place.url) as backend, connected(place.url) as other:
        await get_save_and_append(backend, "a")
        await use(backend, "b")
        assert await locks_what_it_reads(backend, other, "a")


@on(MariaDB)
@pytest.mark.parametrize("use", USES_BEFORE)
async def test_sql_of_an_applications_own_keeps_its_level_after_a_unit(
    place: Place, use: Work
) -> None:
    async with connected(place.url) as backend:
        await get_save_and_append(backend, "a")
        await use(backend, "b")
        async with backend.get_db().connect() as connection:
            assert await connection.scalar(text(LEVEL["mariadb"])) == "READ-COMMITTED"


@on(MariaDB)
async def test_a_unit_can_be_undone_where_sql_has_made_its_session_commit_by_itself(
    place: Place,
) -> None:
    async with connected(place.url) as backend:
        await get_save_and_append(backend, "a")
        await (await driver_of(backend)).cursor().execute("SET autocommit = 1")
        await fail(backend, "b")
        await get_save_and_append(backend, "c")
        await fail(backend, "d")
        assert await backend.tasks.get("b") is None
        assert await backend.tasks.get("d") is None


async def list_tasks(backend: TransactionalBackend, _name: str) -> None:
    await backend.tasks.list_tasks()


async def save(backend: TransactionalBackend, name: str) -> None:
    await backend.tasks.save(task(name))


@pytest.mark.parametrize(
    ("work", "level"), [*ISOLATED, (list_tasks, "READ COMMITTED"), (save, "READ COMMITTED")]
)
async def test_a_transaction_is_as_isolated_as_it_should_be_through_sqlalchemy(
    place: Place, work: Work, level: str
) -> None:
    """And the next one on the same connection as well, whatever that one asks for."""
    names = map(str, count())
    async with connected(place.url, prepared_statements=False, pool_size=1) as backend:
        for before, level_before in [(work, level), *ISOLATED]:
            with levels_on_the_server(place, backend) as answers:
                await before(backend, next(names))
                await work(backend, next(names))
            assert answers == {level_before, level}


class RandomUnit:
    """Does one thing after the other in parts of parts, and knows what has to come of it.

    Args:
        seed: What is done.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._names = map(str, count())
        self.stored: frozenset[str] = frozenset()
        """The tasks that have to be there."""

    async def fill(self, unit: UnitOfWork, depth: int) -> None:
        """Do a few things.

        Args:
            unit: In what.
            depth: How many parts may be in each other.
        """
        for _ in range(self._random.randint(1, 5)):
            things: list[Callable[[UnitOfWork], Awaitable[None]]] = [
                self._save,
                self._save_many,
                self._list,
                self._refused,
                self._refused_among_many,
                self._refused_by_the_database,
                *[partial(self._savepoint, depth=depth - 1)] * (3 if depth else 0),
            ]
            await self._random.choice(things)(unit)

    async def _save(self, unit: UnitOfWork) -> None:
        name = next(self._names)
        await unit.tasks.save(task(name))
        self.stored |= {name}

    async def _save_many(self, unit: UnitOfWork) -> None:
        names = [next(self._names), next(self._names)]
        await unit.tasks.save_many(map(task, names))
        self.stored |= {*names}

    async def _list(self, unit: UnitOfWork) -> None:
        assert {each.id for each in await unit.tasks.list_tasks()} == self.stored

    async def _refused(self, unit: UnitOfWork) -> None:
        with pytest.raises(DuplicateRecordError):
            await unit.messages.save(MESSAGES.example)

    async def _refused_among_many(self, unit: UnitOfWork) -> None:
        unstorable = TASKS.forged(TASKS.example, title="\x00")
        with pytest.raises(QueryError):
            await unit.tasks.save_many([task(next(self._names)), unstorable])

    async def _refused_by_the_database(self, unit: UnitOfWork) -> None:
        below_zero = TASKS.forged(TASKS.example, max_retries=-1)
        with pytest.raises(QueryError):
            await unit.tasks.save_many([task(next(self._names)), below_zero])

    async def _savepoint(self, unit: UnitOfWork, depth: int) -> None:
        before = self.stored
        with suppress(Mishap):
            async with unit.transaction() as part:
                await self.fill(part, depth)
                if self._random.random() < HALF:
                    self.stored = before
                    raise Mishap


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_fails_in_whatever_part_undoes_itself_alone(place: Place, seed: int) -> None:
    random = RandomUnit(seed)
    async with connected(place.url) as backend:
        await backend.messages.save(MESSAGES.example)
        async with backend.transaction() as unit:
            for _ in range(6):
                await random.fill(unit, depth=3)
        assert {each.id for each in await backend.tasks.list_tasks()} == random.stored


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
async def test_a_unit_cancelled_at_any_wait_leaves_no_transaction_to_the_next_user(
    place: Place, times: int
) -> None:
    async with connected(place.url) as backend:

        async def work(number: int) -> None:
            async with backend.transaction() as unit:
                await work_on_everything(unit, str(number))

        async for number in cancelled_at_each_wait(work, times):
            assert checked_out_connections(backend) == 0
            assert await transactions_left_open(place, backend) == 0
            saved = await backend.tasks.get(str(number)) is not None
            assert await backend.tasks.count_by_status() == ({"created": 4} if saved else {})
            await backend.tasks.delete_many(task.id for task in await backend.tasks.list_tasks())
        assert saved


@by_fast_drivers()
async def test_many_runs_of_a_statement_can_be_cancelled_at_any_wait(place: Place) -> None:
    """Records of one key are saved one after the other, and so by many runs."""
    large = "x" * 600
    async with connected(place.url) as backend:

        async def save(number: int) -> None:
            await backend.tasks.save_many([task(str(number), description=large)] * MANY)

        async with asyncio.timeout(3 * SECONDS):
            async for number in cancelled_at_each_wait(save):
                assert checked_out_connections(backend) == 0
                stored = await backend.tasks.get(str(number))
                assert stored is None or stored.description == large


async def test_many_large_records_can_be_cancelled_at_any_wait(place: Place) -> None:
    large = "x" * 600
    async with connected(place.url) as backend:

        async def save(number: int) -> None:
            names = (f"{number}-{copy:04}" for copy in range(MANY))
            await backend.tasks.save_many([task(name, description=large) for name in names])

        async with asyncio.timeout(3 * SECONDS):
            async for _ in cancelled_at_each_wait(save):
                assert checked_out_connections(backend) == 0
                assert len(await backend.tasks.list_tasks()) % MANY == 0


@by_fast_drivers()  # others have the server stop what runs
async def test_a_cancelled_unit_that_waits_for_a_lock_gives_its_connection_up(place: Place) -> None:
    async def save_both() -> None:
        async with backend.transaction() as unit:
            await unit.tasks.save(task("two", title="ours"))
            await unit.tasks.save(task("one", title="ours"))

    async with connected(place.url) as backend, connected(place.url) as other:
        await backend.tasks.save_many([task("one"), task("two")])
        used = await driver_of(backend)
        async with other.transaction() as holder:
            await holder.tasks.save(task("one", title="theirs"))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(save_both(), 0.3)
            assert checked_out_connections(backend) == 0
            assert await driver_of(backend) is not used
        async with asyncio.timeout(SECONDS):
            await backend.tasks.save(task("two", title="later"))
        titles = {each.id: each.title for each in await backend.tasks.list_tasks()}
        assert titles == {"one": "theirs", "two": "later"}


async def test_a_connection_that_is_lost_at_the_commit_leaves_the_outcome_unknown(
    place: Place,
) -> None:
    runs = 0

    async def work(unit: UnitOfWork) -> None:
        nonlocal runs
        runs += 1
        await unit.tasks.save(task("one"))

    async with relayed(place.url) as (url, relay), connected(url) as backend:
        await backend.tasks.list_tasks()
        relay.cut_at = rb"COMMIT(?!TED)"
        with pytest.raises(OutcomeUnknownError) as raised:
            await backend.run_in_transaction(work)
        assert str(raised.value) == COMMIT_UNKNOWN
        assert runs == 1
        relay.cut_at = None
        assert checked_out_connections(backend) == 0
        assert await transactions_left_open(place, backend) == 0
        await backend.run_in_transaction(work)
        assert await backend.tasks.get("one") is not None


async def test_a_connection_that_is_lost_at_a_write_is_told_and_replaced(place: Place) -> None:
    async with relayed(place.url) as (url, relay), connected(url) as backend:

        async def work(unit: UnitOfWork) -> None:
            await unit.tasks.save(task("one"))
            relay.cut_at = b"two"
            await unit.tasks.save(task("two"))

        await backend.tasks.list_tasks()
        with pytest.raises(PersistenceConnectionError):
            await backend.run_in_transaction(work)
        relay.cut_at = None
        assert checked_out_connections(backend) == 0
        assert await backend.tasks.list_tasks() == ()
        async with backend.transaction() as unit:
            await unit.tasks.save(task("three"))


@on(PostgreSQL)  # the only one that does so
async def test_a_commit_that_the_server_turned_into_a_rollback_is_an_error(place: Place) -> None:
    dialect = create_dialect(PersistenceConfig.from_url(place.url))
    engine = dialect.create_engine()
    async with engine.connect() as connection:
        transaction = await dialect.driver_transaction(connection, dialect.unit_options())
        assert transaction is not None
        await transaction.begin_savepoint()
        driver: Any = (await connection.get_raw_connection()).driver_connection
        with pytest.raises(dialect.driver_errors):
            await driver.execute("SELEKT 1")
        with pytest.raises(PersistenceConnectionError, match="rolled back"):
            await transaction.commit()
        assert await connection.scalar(text("SELECT 1")) == 1
    await engine.dispose()


@on(PostgreSQL)
async def test_what_asyncpg_says_between_the_farewell_and_the_end_is_a_lost_connection(
    place: Place,
) -> None:
    asyncpg = pytest.importorskip("asyncpg")
    dialect = create_dialect(PersistenceConfig.from_url(place.url))
    await dialect.create_engine().dispose()
    error = asyncpg.InternalClientError("another operation is in progress")
    assert isinstance(error, dialect.driver_errors)
    assert dialect.diagnose(error).fault is Fault.CONNECTION


@pytest.mark.parametrize("route", ["true", "false"])
async def test_a_unit_whose_prepared_statements_went_stale_is_run_again(
    place: Place, route: str
) -> None:
    """As when another process migrates a table meanwhile."""
    runs = 0

    async def work(unit: UnitOfWork) -> None:
        nonlocal runs
        runs += 1
        assert await unit.tasks.get("one") == task("one")
        await unit.tasks.save(task("two"))

    async with (
        connected(place.url) as other,
        connected(place.url, prepared_statements=route) as backend,
    ):
        await backend.tasks.save(task("one"))
        for _ in range(USES):
            await backend.run_in_transaction(work)
        async with other.get_db().begin() as connection:
            change = {
                "postgresql": "ALTER COLUMN id TYPE varchar(300)",
                "mariadb": "ADD COLUMN new INT",
            }
            await connection.execute(text(f"ALTER TABLE tasks {change[place.kind]}"))
        await backend.run_in_transaction(work)
        assert runs == USES + 1 + (place.kind == "postgresql")
