"""Each finding is found on a real database that has it, and on no other."""

import asyncio
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.diagnosis import Examination, Severity, examine_database
from synthorg.persistence.sql.dialects import (
    mysql_examination,
    postgresql_examination,
    server_examination,
    sqlite_examination,
)
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.testing.kinds import COST_RECORDS, TASKS
from tests.conftest import SERVERS, ServerPool
from tests.servers.base import Server
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.sqlite import SQLiteFiles, SQLiteMemory

LASTING = tuple(kind for kind in SERVERS if kind is not SQLiteMemory)
SECRET = "the stored value"

Url = Callable[[type[Server]], str]


@pytest.fixture(params=LASTING, ids=lambda kind: kind.name)
def url(request: pytest.FixtureRequest, server_pool: ServerPool) -> Iterator[str]:
    """An empty database of each kind."""
    with server_pool.get(request.param).empty_database() as url:
        yield url


@pytest.fixture
def sqlite_url(server_pool: ServerPool) -> Iterator[str]:
    with server_pool.get(SQLiteFiles).empty_database() as url:
        yield url


@pytest.fixture
def postgresql_url(server_pool: ServerPool) -> Iterator[str]:
    with server_pool.get(PostgreSQL).empty_database() as url:
        yield url


@pytest.fixture
def mariadb_url(server_pool: ServerPool) -> Iterator[str]:
    with server_pool.get(MariaDB).empty_database() as url:
        yield url


async def examine(url: str) -> Examination:
    return await examine_database(PersistenceConfig.from_url(url))


async def fill(url: str, *statements: str, tasks: int = 3) -> None:
    """Make the tables with some records, and then do what the library never does."""
    async with create_backend(PersistenceConfig.from_url(url)) as backend:
        await backend.migrate()
        await backend.tasks.save_many(
            TASKS.make(id=f"job-{number}", title=SECRET) for number in range(tasks)
        )
        await backend.cost_records.save(COST_RECORDS.example)
        async with backend.get_db().begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))


def topics(found: Examination, severity: Severity | None = None) -> list[str]:
    """Name the topics of what was found."""
    return [each.topic for each in found.findings if severity in (None, each.severity)]


async def test_a_sound_database_is_healthy(url: str) -> None:
    await fill(url)
    found = await examine(url)
    assert topics(found, Severity.ERROR) == []
    assert {*topics(found, Severity.WARNING)} <= {"durability", "space", "statistics"}


async def test_a_database_without_tables_says_what_to_do(url: str) -> None:
    async with create_backend(PersistenceConfig.from_url(url)):
        pass
    (schema,) = (each for each in (await examine(url)).findings if each.topic == "schema")
    assert schema.severity is Severity.ERROR
    assert "migrate" in schema.what


async def test_a_record_that_cannot_be_read_is_named_by_its_key_without_a_value(url: str) -> None:
    await fill(url, "UPDATE tasks SET status = 'no such status' WHERE id = 'job-1'")
    found = await examine(url)
    (finding,) = (each for each in found.findings if each.topic == "records")
    assert finding.what == "cannot read tasks (id='job-1')"
    assert SECRET not in repr(found)
    assert "no such status" not in repr(found)
    assert not found.is_healthy


async def test_records_are_read_of_tables_that_are_as_they_should_be_beside_others(
    url: str,
) -> None:
    await fill(
        url,
        "UPDATE tasks SET status = 'nonsense' WHERE id = 'job-1'",
        "ALTER TABLE cost_records DROP COLUMN call_category",
        "ALTER TABLE heartbeats ADD COLUMN extra INTEGER",
    )
    found = (await examine(url)).findings
    assert {each.topic for each in found if each.severity is Severity.ERROR} == {"drift", "records"}
    (unreadable,) = (each.what for each in found if each.topic == "records")
    assert unreadable == "cannot read tasks (id='job-1')"


async def test_many_records_that_cannot_be_read_are_counted(sqlite_url: str) -> None:
    await fill(sqlite_url, "UPDATE tasks SET status = 'no such status'", tasks=25)
    found = await examine(sqlite_url)
    assert topics(found).count("records") == 21
    assert "cannot read 5 more of tasks" in [each.what for each in found.findings]


async def test_a_table_that_has_changed_is_drift(url: str) -> None:
    await fill(url, "ALTER TABLE tasks ADD COLUMN extra INTEGER")
    found = await examine(url)
    assert "drift" in topics(found, Severity.ERROR)
    assert "records" not in topics(found)


@pytest.mark.parametrize("pages", [(5, 6), (10, 30), (40, 41)])
async def test_a_damaged_file_is_an_error_and_not_unreachable(
    sqlite_url: str, pages: tuple[int, int]
) -> None:
    await fill(sqlite_url, tasks=200)
    damage(Path(sqlite_url.removeprefix("sqlite:///").partition("?")[0]), *pages)
    found = await examine(sqlite_url)
    assert {*topics(found, Severity.ERROR)} & {"storage", "drift"}
    assert not found.is_healthy


def damage(file: Path, first: int, last: int) -> None:
    """Write nonsense over some pages."""
    content = bytearray(file.read_bytes())
    content[4096 * first : 4096 * last] = random.Random(first).randbytes(4096 * (last - first))
    file.write_bytes(content)


async def test_a_file_that_is_not_durable_is_noted(sqlite_url: str) -> None:
    await fill(sqlite_url)
    assert topics(await examine(f"{sqlite_url}?synchronous=normal")) == ["durability"]


async def test_space_log_and_statistics_of_a_file_are_looked_at(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limits are lowered, since files of their size take long to make."""
    monkeypatch.setattr(sqlite_examination, "MUCH_UNUSED", 2**16)
    monkeypatch.setattr(sqlite_examination, "LARGE_LOG", 2**14)
    monkeypatch.setattr(sqlite_examination, "MANY_ROWS_OF_PAGES", 10)
    await fill(sqlite_url, "DELETE FROM tasks", tasks=1_000)
    async with create_backend(PersistenceConfig.from_url(sqlite_url)) as backend:
        await backend.tasks.save_many(TASKS.make(id=f"{number}") for number in range(100))
        found = await examine(sqlite_url)
    assert sorted(topics(found)) == ["log", "space", "statistics"]


async def test_a_disk_that_is_nearly_full_is_a_warning(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(sqlite_url)
    path = Path(sqlite_url.removeprefix("sqlite:///").partition("?")[0])
    usage = shutil.disk_usage(path.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=4096))
    assert topics(await examine(sqlite_url), Severity.WARNING) == ["space"]


@pytest.mark.parametrize("kind", [PostgreSQL, MariaDB], ids=lambda kind: kind.name)
async def test_a_transaction_that_is_open_for_long_is_a_warning(
    server_pool: ServerPool, kind: type[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (postgresql_examination, mysql_examination):
        monkeypatch.setattr(module, "LONG_SECONDS", 1)
    with server_pool.get(kind).empty_database() as url:
        await fill(url)
        engine = create_dialect(PersistenceConfig.from_url(url)).create_engine()
        async with engine.connect() as connection:
            await connection.execute(text("UPDATE tasks SET max_retries = 7"))
            await asyncio.sleep(2.1)
            found = await examine(url)
            await connection.rollback()
        await engine.dispose()
    (finding,) = (each for each in found.findings if each.topic == "transactions")
    assert "waits for its client" in finding.what


async def test_a_sequence_behind_its_table_is_an_error(postgresql_url: str) -> None:
    await fill(
        postgresql_url,
        "INSERT INTO cost_records SELECT 500, agent_id, task_id, provider, model, input_tokens, "
        "output_tokens, cost_usd, timestamp, call_category FROM cost_records",
    )
    assert topics(await examine(postgresql_url), Severity.ERROR) == ["counters"]


async def test_settings_that_lose_what_was_acknowledged_are_warnings(
    mariadb_url: str, postgresql_url: str
) -> None:
    await fill(mariadb_url)
    engine = create_dialect(PersistenceConfig.from_url(mariadb_url)).create_engine()

    def settings(connection: Any) -> dict[str, str]:
        shown = connection.execute(text("SHOW GLOBAL VARIABLES"))
        return {str(row[0]): str(row[1]) for row in shown}

    async with engine.connect() as connection:
        found = await connection.run_sync(settings)
    await engine.dispose()
    careful = {"innodb_flush_log_at_trx_commit": "1", "innodb_doublewrite": "ON"}
    careful |= {"max_allowed_packet": str(2**24), "sync_binlog": "1"}
    examine_settings = mysql_examination._settings  # noqa: SLF001 (of a server nobody may change)
    assert list(examine_settings({**found, **careful})) == []
    careless = {"innodb_flush_log_at_trx_commit": "2", "innodb_doublewrite": "OFF"}
    careless |= {"log_bin": "ON", "sync_binlog": "0", "max_allowed_packet": "1024"}
    assert [each.topic for each in examine_settings({**found, **careless})] == [
        "durability",
        "durability",
        "durability",
        "limits",
    ]


def test_a_clock_that_differs_is_a_warning() -> None:
    now = datetime.now(UTC)
    assert not list(server_examination.clock_skew(now))
    (behind,) = server_examination.clock_skew(now - timedelta(minutes=1))
    (ahead,) = server_examination.clock_skew(now + timedelta(minutes=1))
    assert "60 s behind" in behind.what
    assert "ahead of" in ahead.what


def test_a_server_that_is_nearly_full_is_a_warning() -> None:
    assert not list(server_examination.crowd(79, 100))
    assert [each.topic for each in server_examination.crowd(80, 100)] == ["connections"]
