"""Reads on replicas that lag, end sessions, crash, die or are promoted."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

import pytest
from sqlalchemy import text

from synthorg.persistence import (
    Host,
    ManagedBackend,
    PersistenceConfig,
    PersistenceConnectionError,
    PostgreSQLConfig,
    QueryError,
    RoutedStores,
    TransactionConflictError,
    UnitOfWork,
    create_backend,
)
from synthorg.persistence.config import ServerConfig
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.sql.execution.replicas import Replica
from synthorg.persistence.testing.kinds import COST_RECORDS, TASKS
from tests.dialects.places import with_parameters
from tests.extensions.ledger import ApprovalRepository, ledger
from tests.servers import mariadb_replication, replication
from tests.servers.base import Unavailable, go_without
from tests.servers.network import LOOPBACK
from tests.topologies.following import (
    Following,
    MariaDBFollowing,
    PostgreSQLFollowing,
    hold,
    wait_until,
)

PAIRS: Final = int(os.environ.get("TEST_REPLICA_PAIRS", "600"))
CALLERS: Final = 24
PATIENCE: Final = {"replica_wait_seconds": 10}

LINES: Final = {
    "postgresql": {},
    "postgresql-sqlalchemy": {"prepared_statements": "false"},
    "postgresql-psycopg": {"driver": "psycopg"},
    "mariadb": {},
    "mariadb-sqlalchemy": {"prepared_statements": "false"},
}
KINDS: Final = {"postgresql": "postgresql_following", "mariadb": "mariadb_following"}


@pytest.fixture(scope="module")
def postgresql_following() -> Iterator[Following]:
    """A PostgreSQL primary and its standby, which tests leave as they were."""
    try:
        started = replication.pair()
        with started as pair:
            yield PostgreSQLFollowing(pair)
    except Unavailable as reason:
        go_without("a PostgreSQL standby", reason)


@pytest.fixture(scope="module")
def mariadb_following() -> Iterator[Following]:
    """A MariaDB primary and its replica, which tests leave as they were."""
    try:
        started = mariadb_replication.pair("organisation")
        with started as pair:
            yield MariaDBFollowing(pair)
    except Unavailable as reason:
        go_without("a MariaDB replica", reason)


@pytest.fixture(params=LINES)
def line(request: pytest.FixtureRequest) -> str:
    """The kind of server, the driver and the route."""
    name: str = request.param
    return name


@pytest.fixture
def following(line: str, request: pytest.FixtureRequest) -> Following:
    """The servers."""
    found: Following = request.getfixturevalue(KINDS[line.partition("-")[0]])
    return found


@pytest.fixture
def url(following: Following, line: str) -> Iterator[str]:
    """An empty database."""
    with following.database() as url:
        yield with_parameters(url, **LINES[line])


@asynccontextmanager
async def connected(url: str, **parameters: object) -> AsyncIterator[SQLPersistenceBackend]:
    """Give a migrated backend, of whose connections none is left in use."""
    config = PersistenceConfig.from_url(with_parameters(url, **parameters))
    async with create_backend(config, migrate=True) as backend:
        assert isinstance(backend, SQLPersistenceBackend)
        replica = the_replica_of(backend)
        yield backend
        pool = replica.database.engine.sync_engine.pool
        assert pool.checkedout() == 0  # type: ignore[attr-defined]


def the_replica_of(backend: SQLPersistenceBackend) -> Replica:
    """Give the only replica."""
    assert backend.replicas is not None
    (replica,) = backend.replicas.all
    return replica


async def answers_from_replica(following: Following, unit: UnitOfWork) -> bool:
    """Tell which server serves a unit."""
    connection = await unit.connection()
    return bool((await connection.execute(text(following.is_replica))).scalar())


async def titles(stores: RoutedStores) -> list[str]:
    """Read all titles of tasks."""
    return [task.title for task in await stores.tasks.list_tasks()]


async def write(backend: ManagedBackend, number: int, key: str, title: str) -> None:
    """Write one record, each time in another way."""
    task = TASKS.make(id=key, title=title, project=key)

    async def work(unit: UnitOfWork) -> None:
        await unit.tasks.save(task)

    match number % 5:
        case 0 | 1:
            await backend.tasks.save(task)
        case 2:
            await backend.tasks.save_many([task, TASKS.make(id=f"{key} again")])
        case 3:
            await backend.run_in_transaction(work)
        case 4:
            await backend.tasks.save(TASKS.make(id=key, title="earlier", project=key))
            async with backend.get_db().begin() as connection:
                update = text("UPDATE tasks SET title = :title WHERE id = :key")
                await connection.execute(update, {"title": title, "key": key})


async def read(backend: ManagedBackend, number: int, key: str) -> str:
    """Read that record's title, each time in another way."""
    stores = backend.reading("replica")
    match number % 4:
        case 0:
            (task,) = await stores.tasks.list_tasks(project=key)
        case 1:
            (task,) = (await stores.tasks.page(project=key)).items
        case 2:
            (task,) = [task async for task in stores.tasks.stream(project=key)]
        case _:
            async with backend.transaction(read_only=True, reads="replica") as unit:
                found = await unit.tasks.get(key)
            assert found is not None
            task = found
    return task.title


@pytest.mark.parametrize("milliseconds", [0, 10, 1000])
async def test_no_answer_is_older_than_the_last_write_of_its_caller(
    following: Following,
    url: str,
    line: str,
    milliseconds: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if milliseconds % 1000 and "mariadb" in line:
        pytest.skip("MariaDB delays by whole seconds")
    pairs = PAIRS if milliseconds < 1000 else PAIRS // 10
    numbers, stale, began = count(), list[tuple[str, str]](), time.monotonic()
    following.delay(milliseconds)
    async with connected(url, **PATIENCE) as backend:

        async def call(caller: int) -> None:
            key = f"caller {caller}"
            for number in numbers:
                if number >= pairs:
                    return
                title = f"write {number}"
                await write(backend, number, key, title)
                found = await read(backend, number // 5, key)
                if found != title:
                    stale.append((found, title))

        async with asyncio.TaskGroup() as group:
            for caller in range(CALLERS):
                group.create_task(call(caller))
        assert stale == []
        by_replica = the_replica_of(backend).answers
        with capsys.disabled():
            # Figures for whoever runs it.
            seconds = time.monotonic() - began
            print(f"\n{line}, {milliseconds} ms: {by_replica}/{pairs}, {seconds:.1f} s")  # noqa: T201
        assert by_replica >= pairs * 0.9


async def test_a_replica_that_lags_would_show_older_states(following: Following, url: str) -> None:
    """Without it, the test above would prove nothing."""
    async with connected(url, **PATIENCE) as backend:
        await backend.tasks.save(TASKS.make(id="one", title="old"))
        assert await titles(backend.reading("replica")) == ["old"]
        following.hold()
        async with connected(url) as other:
            await other.tasks.save(TASKS.make(id="one", title="new"))
        assert await titles(backend.reading("replica")) == ["old"]
        assert await titles(backend.reading("primary")) == ["new"]
        found = await backend.reading("replica").tasks.get("one")
        assert found is not None
        assert found.title == "new"  # a record by itself is of the primary
        following.go_on()
        backend.catch_up()
        assert await titles(backend.reading("replica")) == ["new"]


async def test_reads_go_to_the_replica_where_backend_unit_or_call_say_so(
    following: Following, url: str
) -> None:
    async with connected(url, **PATIENCE) as backend:
        replica = the_replica_of(backend)
        await backend.cost_records.save(COST_RECORDS.make(cost_usd=0.5))
        for stores, answers in ((backend, 0), (backend.reading("replica"), 5)):
            before = replica.answers
            assert len(await stores.cost_records.query()) == 1
            assert len((await stores.cost_records.page()).items) == 1
            assert len([each async for each in stores.cost_records.stream()]) == 1
            assert await stores.cost_records.aggregate() == 0.5
            assert await stores.tasks.count_by_status() == {}
            assert await stores.tasks.get("one") is None
            # A sum where nothing was rolled up also looks for that.
            assert replica.answers - before in (answers, answers + 1)
        async with backend.transaction(read_only=True, reads="replica") as unit:
            assert await answers_from_replica(following, unit)
        for unit_of in (
            backend.transaction(read_only=True),
            backend.transaction(read_only=True, reads="primary"),
            backend.transaction(),
        ):
            async with unit_of as unit:
                assert not await answers_from_replica(following, unit)
    async with connected(url, reads="replica", **PATIENCE) as backend:
        await backend.tasks.save(TASKS.make(id="one"))
        assert len(await backend.tasks.list_tasks()) == 1
        assert the_replica_of(backend).answers == 1
        assert len(await backend.reading("primary").tasks.list_tasks()) == 1
        assert the_replica_of(backend).answers == 1
        async with backend.transaction(read_only=True) as unit:
            assert await answers_from_replica(following, unit)
        async with backend.transaction() as unit:
            assert not await answers_from_replica(following, unit)


async def test_a_unit_on_a_replica_sees_one_state_and_refuses_writes(url: str) -> None:
    async with connected(url, **PATIENCE) as backend:
        await backend.tasks.save(TASKS.make(id="one"))
        async with backend.transaction(read_only=True, reads="replica") as unit:
            assert len(await unit.tasks.list_tasks()) == 1
            await backend.tasks.save(TASKS.make(id="two"))
            async with backend.transaction(read_only=True, reads="replica") as later:
                assert len(await later.tasks.list_tasks()) == 2
            assert len(await unit.tasks.list_tasks()) == 1
            with pytest.raises(QueryError, match="read-only"):
                await unit.tasks.save(TASKS.make(id="three"))


async def test_the_primary_answers_for_a_replica_that_lags_and_nobody_waits_for_it_again(
    following: Following, url: str
) -> None:
    async with connected(url, replica_wait_seconds=1) as backend:
        stores, replica = backend.reading("replica"), the_replica_of(backend)
        await backend.tasks.save(TASKS.make(id="one", title="old"))
        assert await titles(stores) == ["old"]
        following.hold()
        await backend.tasks.save(TASKS.make(id="one", title="new"))
        began = time.monotonic()
        assert await titles(stores) == ["new"]
        assert time.monotonic() - began < 5
        assert replica.reason == "it is more than 1 s behind"
        before = replica.answers
        for _ in range(10):
            assert await titles(stores) == ["new"]
            async with backend.transaction(read_only=True, reads="replica") as unit:
                assert not await answers_from_replica(following, unit)
        assert time.monotonic() - began < 5
        assert replica.answers == before
        following.go_on()
        async with asyncio.timeout(30):
            while replica.answers == before:
                assert await titles(stores) == ["new"]
                await asyncio.sleep(0.05)
        assert replica.reason is None


async def test_the_primary_answers_for_a_replica_that_has_not_the_table_yet(
    following: Following, url: str
) -> None:
    async with connected(url, **PATIENCE):
        pass
    config = PersistenceConfig.from_url(with_parameters(url, **PATIENCE))
    async with create_backend(config, extensions=[ledger]) as backend:
        assert isinstance(backend, SQLPersistenceBackend)
        stores = backend.reading("replica")
        assert await titles(stores) == []
        following.hold()
        async with create_backend(config, extensions=[ledger], migrate=True):
            pass
        approvals = stores.repository(ApprovalRepository)
        assert (await approvals.page()).items == ()
        assert the_replica_of(backend).reason == "the schema does not fit the statement"


async def test_time_does_not_run_backwards_after_the_primary_has_answered(
    following: Following, url: str
) -> None:
    async with connected(url, replica_wait_seconds=0.2) as backend:
        stores, replica = backend.reading("replica"), the_replica_of(backend)
        await backend.tasks.save(TASKS.make(id="one", title="old"))
        assert await titles(stores) == ["old"]
        following.hold()
        async with connected(url) as other:
            await backend.tasks.save(TASKS.make(id="two", title="own"))
            await other.tasks.save(TASKS.make(id="one", title="new"))
            assert await titles(stores) == ["new", "own"]
            # It may show no more than was there when the primary answered.
            following.go_on()
            async with asyncio.timeout(30):
                while replica.reason is not None:
                    assert await titles(stores) == ["new", "own"]
                    await asyncio.sleep(0.02)
            assert await titles(stores) == ["new", "own"]


class Load:
    """Callers that write and read what they have written, until they are told to end.

    Args:
        backend: The backend.
    """

    def __init__(self, backend: SQLPersistenceBackend) -> None:
        self._backend = backend
        self._is_over = False
        self._one_more = asyncio.Event()
        self.pairs = 0
        """How many answers there were."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have all callers write and read until the block ends."""
        async with asyncio.TaskGroup() as group:
            for caller in range(CALLERS):
                group.create_task(self._call(f"caller {caller}"))
            try:
                yield
            finally:
                self._is_over = True

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let them go on until there is something to see."""
        async with asyncio.timeout(60):
            while not condition():
                self._one_more.clear()
                await self._one_more.wait()

    async def _call(self, key: str) -> None:
        for number in count():
            if self._is_over:
                return
            await write(self._backend, 0, key, f"{number}")
            assert await read(self._backend, number % 3, key) == f"{number}"
            self.pairs += 1
            self._one_more.set()


async def test_no_caller_is_told_when_sessions_on_the_replica_end(
    following: Following, url: str
) -> None:
    async with connected(url, **PATIENCE) as backend:
        replica, load = the_replica_of(backend), Load(backend)
        async with load.running():
            for _ in range(5):
                seen = replica.answers
                await load.until(lambda: replica.answers > seen + 10)  # noqa: B023 (awaited)
                await asyncio.to_thread(following.end_sessions)
            answers = replica.answers
            await load.until(lambda: replica.answers > answers + 10)
            if isinstance(following, PostgreSQLFollowing):
                await asyncio.to_thread(following.crash_a_session)
            answers = replica.answers
            await load.until(lambda: replica.answers > answers + 100)


async def test_calls_that_are_cancelled_while_they_wait_for_a_replica_leave_nothing_behind(
    following: Following, url: str
) -> None:
    async with connected(url, **PATIENCE) as backend:
        stores = backend.reading("replica")
        await backend.tasks.save(TASKS.make(id="one", title="old"))
        assert await titles(stores) == ["old"]
        following.hold()
        await backend.tasks.save(TASKS.make(id="one", title="new"))
        calls = [asyncio.create_task(titles(stores)) for _ in range(20)]
        await asyncio.wait(calls, timeout=0.5)
        for each in calls:
            each.cancel()
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, asyncio.CancelledError)
        following.go_on()
        assert await titles(stores) == ["new"]


async def test_calls_that_are_cancelled_while_a_replica_answers_leave_its_connections_in_order(
    following: Following, url: str
) -> None:
    database = PersistenceConfig.from_url(url).section
    assert isinstance(database, ServerConfig)
    async with connected(url, **PATIENCE) as backend:
        stores, replica = backend.reading("replica"), the_replica_of(backend)
        await backend.tasks.save_many([TASKS.make(id=f"{number}") for number in range(10)])
        assert len(await stores.tasks.list_tasks()) == 10
        before = replica.answers
        with following.block_reads(database.database, "tasks"):
            calls = [asyncio.create_task(titles(stores)) for _ in range(20)]
            done, _ = await asyncio.wait(calls, timeout=0.5)
            assert not done
            for each in calls:
                each.cancel()
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(outcome, asyncio.CancelledError)
        counted = await asyncio.gather(*[stores.tasks.count_by_status() for _ in range(20)])
        assert [sum(each.values()) for each in counted] == [10] * 20
        assert replica.answers == before + 20


@pytest.fixture
def impatient(following: Following) -> Iterator[None]:
    """Have a standby wait for no reader of what it has to apply."""
    assert isinstance(following, PostgreSQLFollowing)
    for seconds in ("0", "DEFAULT"):
        following.on_replica(f"ALTER SYSTEM SET max_standby_streaming_delay = {seconds}")
        following.on_replica("SELECT pg_reload_conf()")
        if seconds == "0":
            yield


async def remove_for_good(backend: SQLPersistenceBackend, keys: list[str]) -> None:
    """Remove tasks, and what older states show of them."""
    await backend.tasks.delete_many(keys)
    async with backend.get_db().connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM tasks"))


ON_STANDBYS: Final = [line for line in LINES if "postgresql" in line]


@pytest.mark.parametrize("line", ON_STANDBYS)
@pytest.mark.usefixtures("impatient")
async def test_a_unit_whose_read_a_replica_cancels_for_what_it_applies_is_a_conflict(
    url: str,
) -> None:
    keys = [f"{number}" for number in range(500)]
    async with connected(url, **PATIENCE) as backend, asyncio.TaskGroup() as group:
        await backend.tasks.save_many([TASKS.make(id=key) for key in keys])

        async def read() -> None:
            # In a savepoint, PostgreSQL ends the session, not the statement.
            async with backend.transaction(
                read_only=True, reads="replica", savepoints=False
            ) as unit:
                await unit.tasks.list_tasks()
                connection = await unit.connection()
                group.create_task(remove_for_good(backend, keys))
                await connection.execute(text("SELECT pg_sleep(30)"))

        with pytest.raises(TransactionConflictError):
            await read()
        assert await titles(backend.reading("replica")) == []


@pytest.mark.parametrize("line", ON_STANDBYS)
@pytest.mark.usefixtures("impatient")
async def test_a_unit_that_reads_nothing_when_a_replica_ends_it_is_told_with_its_next_read(
    following: Following, url: str
) -> None:
    keys = [f"{number}" for number in range(500)]
    others = "SELECT true FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    async with connected(url, **PATIENCE) as backend:
        await backend.tasks.save_many([TASKS.make(id=key) for key in keys])

        async def read() -> None:
            async with backend.transaction(read_only=True, reads="replica") as unit:
                await unit.tasks.list_tasks()
                await remove_for_good(backend, keys)
                await asyncio.to_thread(wait_until, lambda: not following.on_replica(others))
                await unit.tasks.list_tasks()

        # asyncpg does not tell with which words a server has ended an idle session.
        with pytest.raises((TransactionConflictError, PersistenceConnectionError)):
            await read()
        assert await titles(backend.reading("replica")) == []


@pytest.fixture
def own(line: str) -> Iterator[Following]:
    """Servers that a test may end."""
    try:
        if line.startswith("postgresql"):
            with replication.pair() as pair:
                yield PostgreSQLFollowing(pair)
        else:
            with mariadb_replication.pair("organisation") as servers:
                yield MariaDBFollowing(servers)
    except Unavailable as reason:
        go_without("a pair of servers", reason)


async def test_no_caller_is_told_when_the_replica_is_killed(own: Following, line: str) -> None:
    with own.database() as plain:
        url = with_parameters(plain, **LINES[line])
        async with connected(url, **PATIENCE) as backend:
            replica, load = the_replica_of(backend), Load(backend)
            async with load.running():
                await load.until(lambda: replica.answers > 50)
                await asyncio.to_thread(own.kill)
                pairs = load.pairs
                await load.until(lambda: load.pairs > pairs + 200)
            assert replica.reason is not None


@pytest.mark.parametrize("line", ["postgresql", "postgresql-psycopg"])
async def test_time_does_not_run_backwards_from_one_replica_to_the_next(
    own: Following, line: str
) -> None:
    assert isinstance(own, PostgreSQLFollowing)
    with own.database() as plain, replication.another_standby(own.pair) as second:
        standbys = {each.url.port: each for each in (own.pair.standby, second)}
        two = f"{plain},{LOOPBACK}:{second.url.port}"
        url = with_parameters(two, replica_wait_seconds=0.5, **LINES[line])
        async with create_backend(PersistenceConfig.from_url(url), migrate=True) as backend:
            assert isinstance(backend, SQLPersistenceBackend)
            assert backend.replicas is not None
            stores = backend.reading("replica")
            await backend.tasks.save(TASKS.make(id="one", title="old"))
            assert await titles(stores) == ["old"]
            used, next_one = sorted(backend.replicas.all, key=lambda each: -each.answers)
            assert next_one.answers == 0
            async with create_backend(PersistenceConfig.from_url(plain)) as other:
                ahead, behind = (
                    next(each for port, each in standbys.items() if f":{port}/" in used_or_next)
                    for used_or_next in (used.description, next_one.description)
                )
                hold(behind)
                await other.tasks.save(TASKS.make(id="one", title="new"))
            async with asyncio.timeout(30):
                found = ["old"]
                while found == ["old"]:
                    found = await titles(stores)
            ahead.kill()
            own.is_gone = True
            for _ in range(20):
                assert await titles(stores) == ["new"]
            assert next_one.answers == 0
            behind.execute("SELECT pg_wal_replay_resume()")
            async with asyncio.timeout(30):
                while next_one.answers == 0:
                    assert await titles(stores) == ["new"]
                    await asyncio.sleep(0.05)


@pytest.mark.parametrize("line", ["postgresql", "postgresql-psycopg"])
async def test_the_primary_answers_for_a_replica_that_says_nothing_any_more(
    own: Following, line: str
) -> None:
    assert isinstance(own, PostgreSQLFollowing)
    limits = {"statement_timeout_seconds": 1, "connect_timeout_seconds": 1}
    with own.database() as plain:
        url = with_parameters(plain, replica_wait_seconds=0.5, **limits, **LINES[line])
        async with connected(url) as backend:
            stores, replica = backend.reading("replica"), the_replica_of(backend)
            await backend.tasks.save(TASKS.make(id="one", title="old"))
            assert await titles(stores) == ["old"]
            own.pair.standby.pause()
            own.is_gone = True
            try:
                await backend.tasks.save(TASKS.make(id="one", title="new"))
                async with asyncio.timeout(20):
                    found = await asyncio.gather(*[titles(stores) for _ in range(30)])
            finally:
                own.pair.standby.kill()
            assert found == [["new"]] * 30
            assert replica.reason is not None


@pytest.mark.parametrize("line", ["postgresql", "postgresql-psycopg"])
async def test_a_standby_of_another_primary_is_not_read(
    following: Following, own: Following, url: str, line: str
) -> None:
    database = PersistenceConfig.from_url(url).section
    assert isinstance(database, PostgreSQLConfig)
    assert database.password is not None
    own.on_primary(
        f"ALTER USER {database.username} PASSWORD '{database.password.get_secret_value()}'",
        f"CREATE DATABASE {database.database}",
    )
    _, first, second = own.accounts
    other = database.model_copy(update={"port": first, "replicas": ()})
    async with create_backend(
        PersistenceConfig(backend="postgresql", postgresql=other), migrate=True
    ) as backend:
        await backend.tasks.save(TASKS.make(id="one", title="other"))
    mistaken = database.model_copy(update={"replicas": (Host(name=LOOPBACK, port=second),)})
    async with create_backend(
        PersistenceConfig(backend="postgresql", postgresql=mistaken), migrate=True
    ) as backend:
        assert isinstance(backend, SQLPersistenceBackend)
        assert await titles(backend.reading("replica")) == []
        reason = the_replica_of(backend).reason
        assert reason is not None
        assert reason.startswith("it does not follow")


@pytest.mark.parametrize("line", ["postgresql", "postgresql-psycopg"])
async def test_a_server_that_was_promoted_beside_the_primary_is_not_read(
    own: Following, line: str
) -> None:
    with own.database() as plain:
        url = with_parameters(plain, **LINES[line])
        async with connected(url, **PATIENCE) as backend:
            stores = backend.reading("replica")
            await backend.tasks.save(TASKS.make(id="one", title="old"))
            assert await titles(stores) == ["old"]
            own.promote()
            # It goes ahead of the primary in a history of its own.
            own.on_replica("CREATE TABLE other AS SELECT generate_series(1, 100000)")
            await backend.tasks.save(TASKS.make(id="one", title="new"))
            assert await titles(stores) == ["new"]


@pytest.mark.parametrize("line", ["postgresql", "postgresql-psycopg", "mariadb"])
async def test_a_replica_that_has_become_the_primary_is_read(own: Following, line: str) -> None:
    with own.database() as plain:
        _, first, second = own.accounts
        hosts = f"{LOOPBACK}:{first},{LOOPBACK}:{second}"
        address, _, parameters = plain.partition("?")
        both = address.replace(f"{LOOPBACK}:{first}", hosts)
        url = with_parameters(
            f"{both}?{parameters}", failover_timeout_seconds=20, **PATIENCE, **LINES[line]
        )
        async with connected(url) as backend:
            stores, replica = backend.reading("replica"), the_replica_of(backend)
            await backend.tasks.save(TASKS.make(id="one", title="old"))
            assert await titles(stores) == ["old"]
            if isinstance(own, PostgreSQLFollowing):
                own.pair.primary.kill()
            elif isinstance(own, MariaDBFollowing):
                own.pair.kill()
            # What was seen before is there, also while nobody takes writes.
            assert await titles(stores) == ["old"]
            own.promote()
            await backend.tasks.save(TASKS.make(id="one", title="new"))
            before = replica.answers
            async with asyncio.timeout(60):
                while replica.answers < before + 10:
                    assert await titles(stores) == ["new"]
                    await asyncio.sleep(0.05)
