"""What SQLite is asked to do on every connection, and what follows from it."""

import asyncio
import sqlite3
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Integer, String, cast, event, func, literal, literal_column, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import Pool

from synthorg.persistence import (
    MigrationError,
    PersistenceBackend,
    PersistenceConfig,
    PersistenceConnectionError,
    PersistenceError,
    QueryError,
    SQLiteConfig,
    UnreadableRecordError,
    UsageError,
    VersionConflictError,
)
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.statements.statement import from_expression
from synthorg.persistence.sql.types import UtcDateTime
from synthorg.persistence.sqlite import SQLitePersistenceBackend
from synthorg.persistence.testing.concurrency import outcomes, together
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import (
    AUDIT_ENTRIES,
    CHECKPOINTS,
    COST_RECORDS,
    DEFINITIONS,
    MESSAGES,
    PROJECTS,
    SETTINGS,
    TASKS,
    USERS,
    kinds,
)
from tests.tables import table_of

CONNECTIONS: Final = 6
"""How many the pool of a file holds: five for readers, and one for the writer."""

ROUTES: Final = pytest.mark.parametrize("prepared", [True, False], ids=["prepared", "sqlalchemy"])


@asynccontextmanager
async def opened(path: Path | str, **options: Any) -> AsyncIterator[SQLitePersistenceBackend]:
    """Connect to a SQLite database, with some fields of its configuration."""
    backend = SQLitePersistenceBackend(SQLiteConfig(path=str(path), **options))
    await backend.connect()
    try:
        yield backend
    finally:
        await backend.disconnect()


@contextmanager
def connections() -> Iterator[list[Any]]:
    """Collect the connections that are opened meanwhile, whichever pool they are for."""
    opened_ones: list[Any] = []

    def note(connection: Any, _record: object) -> None:
        opened_ones.append(connection)

    event.listen(Pool, "connect", note)
    try:
        yield opened_ones
    finally:
        event.remove(Pool, "connect", note)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {},
            {
                "journal_mode": "wal",
                "synchronous": 2,
                "foreign_keys": 1,
                "journal_size_limit": 67108864,
                "wal_autocheckpoint": 4000,
                "busy_timeout": 30000,
            },
        ),
        (
            {"synchronous": "normal", "journal_size_limit": 4096, "busy_timeout_seconds": 1.5},
            {
                "journal_mode": "wal",
                "synchronous": 1,
                "foreign_keys": 1,
                "journal_size_limit": 4096,
                "wal_autocheckpoint": 4000,
                "busy_timeout": 1500,
            },
        ),
        ({"wal_mode": False}, {"journal_mode": "delete", "synchronous": 2, "foreign_keys": 1}),
    ],
    ids=["default", "other", "without WAL"],
)
async def test_every_connection_is_set_up_as_configured(
    tmp_path: Path, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    with connections() as opened_ones:
        async with opened(tmp_path / "test.db", **options) as backend:
            await backend.migrate()
            await asyncio.gather(*(in_use(backend) for _ in range(CONNECTIONS)))
            assert len(opened_ones) >= CONNECTIONS
            for connection in opened_ones:
                # Only a read notices what another connection has made of the file.
                await connection.driver_connection.execute_fetchall("SELECT * FROM sqlite_master")
                for name, value in expected.items():
                    async with connection.driver_connection.execute(f"PRAGMA {name}") as cursor:
                        assert await cursor.fetchone() == (value,), name


async def in_use(backend: PersistenceBackend) -> None:
    """Keep a connection of the engine in use until others have had to open theirs."""
    async with backend.get_db().connect() as connection:
        await connection.execute(text("SELECT 1"))
        await asyncio.sleep(0.1)


async def test_a_database_in_memory_holds_to_references_as_well() -> None:
    async with opened(":memory:") as backend, backend.get_db().connect() as connection:
        assert await connection.scalar(text("PRAGMA foreign_keys")) == 1


async def test_the_journal_is_cut_back_to_its_limit(sqlite_file: Path) -> None:
    async with opened(sqlite_file, journal_size_limit=100_000) as backend:
        for number in range(30):
            await backend.settings.set("large", str(number), "x" * 200_000, "now")
        await backend.settings.delete_namespace("large")
        async with backend.get_db().connect() as connection:
            await connection.execute(text("COMMIT"))  # a checkpoint is no part of a transaction
            await connection.execute(text("PRAGMA wal_checkpoint(RESTART)"))
            await connection.execute(text("BEGIN"))
        await backend.settings.set("small", "1", "x", "now")
        journal = sqlite_file.with_name(f"{sqlite_file.name}-wal")
        assert journal.stat().st_size <= 100_000


@ROUTES
async def test_readers_do_not_wait_for_an_open_writer(sqlite_file: Path, *, prepared: bool) -> None:
    async with opened(sqlite_file, prepared_statements=prepared) as backend:
        await backend.tasks.save(TASKS.example)
        with locked(sqlite_file) as writer:
            writer.execute("UPDATE tasks SET title = 'changed'")
            async with asyncio.timeout(5):
                assert await backend.tasks.list_tasks() == (TASKS.example,)
                assert await backend.tasks.get(TASKS.example.id) == TASKS.example
                assert await backend.health_check()


@ROUTES
async def test_a_writer_waits_for_the_one_before_it(sqlite_file: Path, *, prepared: bool) -> None:
    async with opened(sqlite_file, prepared_statements=prepared) as backend:
        with locked(sqlite_file):
            save = asyncio.create_task(backend.tasks.save(TASKS.example))
            await asyncio.sleep(0.2)
            assert not save.done()
        async with asyncio.timeout(5):
            await save
        assert await backend.tasks.list_tasks() == (TASKS.example,)


@ROUTES
async def test_a_database_that_stays_locked_is_a_clear_error_in_time(
    sqlite_file: Path, *, prepared: bool
) -> None:
    options = {"prepared_statements": prepared, "busy_timeout_seconds": 0.5}
    async with opened(sqlite_file, **options) as backend:
        with locked(sqlite_file):
            started = time.monotonic()
            with pytest.raises(PersistenceError, match=r"tasks \(id='task-1'\).*locked"):
                await backend.tasks.save(TASKS.example)
            assert time.monotonic() - started < 2
        await backend.tasks.save(TASKS.example)


async def test_a_read_never_waits_for_coroutines_that_write(sqlite_file: Path) -> None:
    async with opened(sqlite_file) as backend:
        await backend.tasks.save(TASKS.example)
        writes = [
            asyncio.create_task(backend.checkpoints.save(CHECKPOINTS.keyed(str(number))))
            for number in range(200)
        ]
        async with asyncio.timeout(5):
            assert await backend.tasks.get(TASKS.example.id) == TASKS.example
        assert not all(write.done() for write in writes)
        await asyncio.gather(*writes)


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold the lock that writers need, like another process."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("ROLLBACK")


@ROUTES
async def test_a_save_that_is_cancelled_before_its_turn_is_never_made(
    sqlite_file: Path, *, prepared: bool
) -> None:
    async with opened(sqlite_file, prepared_statements=prepared) as backend:
        first, second = [
            asyncio.create_task(backend.tasks.save(TASKS.make(id=id_))) for id_ in ("1", "2")
        ]
        await asyncio.sleep(0)  # the first one is being made, and the second waits
        second.cancel()
        await first
        await backend.tasks.save(TASKS.make(id="3"))
        assert [task.id for task in await backend.tasks.list_tasks()] == ["1", "3"]
        assert second.cancelled()


@ROUTES
async def test_saves_that_wait_when_the_backend_is_closed_are_refused_and_not_made(
    sqlite_file: Path, *, prepared: bool
) -> None:
    tasks = [TASKS.make(id=f"{number:03}") for number in range(300)]
    async with opened(sqlite_file, prepared_statements=prepared) as backend:
        saves = [asyncio.create_task(backend.tasks.save(task)) for task in tasks]
        await asyncio.sleep(0)
        await backend.disconnect()
        results = await asyncio.gather(*saves, return_exceptions=True)
        assert {type(result) for result in results} <= {type(None), PersistenceConnectionError}
        assert results[-1] is not None
        await backend.connect()
        saved = [task for task, error in zip(tasks, results, strict=True) if error is None]
        assert list(await backend.tasks.list_tasks()) == saved


def has_times(kind: Kind) -> bool:
    """Tell whether records of a kind have times."""
    return any(isinstance(column.type, UtcDateTime) for column in table_of(kind).columns)


@kinds(has_times)
@ROUTES
async def test_every_time_is_stored_in_one_width_so_that_it_sorts(
    sqlite_file: Path, kind: Kind, *, prepared: bool
) -> None:
    given = {name: getattr(kind.example, name) for name in kind.fields}
    times = {name: at for name, at in given.items() if isinstance(at, datetime)}
    whole_seconds = {name: at.replace(microsecond=0) for name, at in times.items()}
    columns = [each for each in table_of(kind).columns if isinstance(each.type, UtcDateTime)]
    async with opened(sqlite_file, prepared_statements=prepared) as backend:
        await kind.store(backend, kind.make(**whole_seconds))
        async with backend.get_db().connect() as connection:
            rows = await connection.execute(select(*(cast(each, String) for each in columns)))
            stored = {time for row in rows for time in row if time is not None}
    assert {time[19:] for time in stored} == {".000000+00:00"}


async def test_two_backends_on_one_file_see_what_the_other_has_written(sqlite_file: Path) -> None:
    async with opened(sqlite_file) as one, opened(sqlite_file) as other:
        for number in range(20):
            task = TASKS.make(title=str(number))
            await (one if number % 2 else other).tasks.save(task)
            assert await one.tasks.get(task.id) == task
            assert await other.tasks.get(task.id) == task


async def test_of_racers_on_several_backends_exactly_one_wins(sqlite_file: Path) -> None:
    async with opened(sqlite_file) as one, opened(sqlite_file) as other:
        backends = [one, other] * 8
        for number in range(5):
            written = await together(
                backend.settings.set("race", str(number), "", "v1", expected_updated_at="")
                for backend in backends
            )
            assert sorted(written) == [False] * 15 + [True]
        await DEFINITIONS.store(one, DEFINITIONS.example)
        following = DEFINITIONS.make(version=2)
        results = await outcomes(
            backend.workflow_definitions.save(following) for backend in backends
        )
        assert results.count(None) == 1
        assert {type(error) for error in results if error} == {VersionConflictError}


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO audit_entries SELECT * FROM audit_entries",
        "REPLACE INTO audit_entries SELECT * FROM audit_entries",
        "UPDATE OR REPLACE audit_entries SET id = 'b' WHERE id = 'a'",
        "UPDATE OR IGNORE audit_entries SET reason = 'harmless'",
        "INSERT INTO audit_entries SELECT * FROM audit_entries WHERE 1 ON CONFLICT DO NOTHING",
        "DELETE FROM audit_entries WHERE rowid = 1",
    ],
)
async def test_no_spelling_of_a_change_gets_past_the_protection_of_the_audit_trail(
    sqlite_file: Path, statement: str
) -> None:
    async with opened(sqlite_file) as backend:
        entries = [AUDIT_ENTRIES.keyed("a"), AUDIT_ENTRIES.keyed("b")]
        await AUDIT_ENTRIES.store(backend, *entries)
        with pytest.raises(DBAPIError, match="append-only"):
            async with backend.get_db().begin() as connection:
                await connection.execute(text(statement))
        assert await backend.audit_entries.query() == tuple(entries[::-1])


@pytest.mark.parametrize(
    ("kind", "column", "value"),
    [
        (TASKS, "max_retries", "'many'"),
        (TASKS, "budget_limit", "'much'"),
        (TASKS, "title", "x'ff'"),
        (TASKS, "title", "''"),
        (TASKS, "reviewers", "x'ff'"),
        (COST_RECORDS, "timestamp", "'yesterday'"),
        (COST_RECORDS, "timestamp", "'2024-03-01T12:00:00'"),
        (COST_RECORDS, "timestamp", "5"),
        (COST_RECORDS, "cost_usd", "9e999"),
        (USERS, "created_at", "x'00'"),
        (CHECKPOINTS, "turn_number", "1.5"),
        (SETTINGS, "value", "x'ff'"),
    ],
    ids=str,
)
@ROUTES
async def test_a_value_of_the_wrong_type_is_reported_by_table_and_key(
    sqlite_file: Path, kind: Kind, column: str, value: str, *, prepared: bool
) -> None:
    async with opened(sqlite_file, prepared_statements=prepared) as backend:
        await kind.store(backend, kind.example)
        async with backend.get_db().begin() as connection:
            await connection.execute(text(f"UPDATE {kind.repository} SET {column} = {value}"))
        for read in (*kind.gets, *kind.lists):
            with pytest.raises(QueryError, match=rf"read {kind.repository} \(.+\): .*{column}"):
                await read(backend, kind.example)


@ROUTES
async def test_a_text_that_is_not_utf_8_is_told_as_such_and_not_quoted(
    sqlite_file: Path, *, prepared: bool
) -> None:
    async with opened(sqlite_file, prepared_statements=prepared) as backend:
        await backend.tasks.save(TASKS.example)
        async with backend.get_db().begin() as connection:
            await connection.execute(
                text("UPDATE tasks SET title = CAST(X'7365637265742d80' AS TEXT)")
            )
        for read in (backend.tasks.get(TASKS.example.id), backend.tasks.list_tasks()):
            with pytest.raises(QueryError, match=r"^cannot \w+ tasks.*: .* not UTF-8") as report:
                await read
            assert "secret-" not in "".join(traceback.format_exception(report.value))


@ROUTES
async def test_a_list_tells_when_it_cannot_go_on_after_a_row_without_a_time(
    sqlite_file: Path, *, prepared: bool
) -> None:
    async with opened(
        sqlite_file, prepared_statements=prepared, unreadable_records="skip"
    ) as backend:
        await MESSAGES.store(backend, MESSAGES.keyed("1"), MESSAGES.keyed("2"))
        channel, damaged = MESSAGES.example.channel, MESSAGES.key_for("1")
        async with backend.get_db().begin() as connection:
            damage = text("UPDATE messages SET timestamp = 'then' WHERE id = :id")
            await connection.execute(damage, {"id": str(damaged)})
        assert (await backend.messages.page(channel)).items == (MESSAGES.keyed("2"),)
        for step in (backend.messages.page, backend.messages.get_history):
            with pytest.raises(
                UnreadableRecordError, match=r"list messages: a row has nothing in timestamp"
            ):
                await step(channel, limit=1)


numbers = select(literal(1, Integer).label("n")).cte("numbers", recursive=True)
numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < 200_000_000))
LONG: Final = from_expression("count", tables.tasks, select(func.count()).select_from(numbers))
"""A query that counts for a minute."""


@pytest.mark.parametrize("path", ["file", "file, sqlalchemy", ":memory:"])
async def test_a_long_query_ends_when_its_caller_is_cancelled(sqlite_file: Path, path: str) -> None:
    options = {"prepared_statements": path == "file"}
    async with opened(path if path == ":memory:" else sqlite_file, **options) as backend:
        executor = backend.executor_for("tasks")
        for wait in (0, 0.01, 0.3):
            query = asyncio.create_task(executor.fetch(LONG, {}))
            await asyncio.sleep(wait)
            started = time.monotonic()
            query.cancel()
            with pytest.raises(asyncio.CancelledError):
                await query
            assert time.monotonic() - started < 2
        async with backend.get_db().connect() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1


async def test_a_backend_made_from_a_url_is_the_same(sqlite_file: Path) -> None:
    config = PersistenceConfig.from_url(f"sqlite:///{sqlite_file}?synchronous=normal")
    backend = SQLitePersistenceBackend(config.sqlite)
    await backend.connect()
    assert backend.backend_name == "sqlite"
    async with backend.get_db().connect() as connection:
        assert await connection.scalar(text("PRAGMA synchronous")) == 1
    await backend.disconnect()


async def test_a_unit_that_sqlite_itself_rolls_back_stores_nothing_after_it(
    sqlite_file: Path,
) -> None:
    with closing(sqlite3.connect(sqlite_file)) as connection:
        connection.execute(
            "CREATE TRIGGER undo BEFORE INSERT ON tasks WHEN NEW.id = 'undone' "
            "BEGIN SELECT RAISE(ROLLBACK, 'undone'); END"
        )

    async def save_all(backend: SQLitePersistenceBackend) -> None:
        async with backend.transaction() as unit:
            await unit.tasks.save(TASKS.make(id="before"))
            for refused in ("undone", "after"):
                with pytest.raises(PersistenceError):
                    await unit.tasks.save(TASKS.make(id=refused))

    async with opened(sqlite_file) as backend:
        with pytest.raises(PersistenceError):
            await save_all(backend)
        assert await backend.tasks.list_tasks() == ()
        await backend.tasks.save(TASKS.example)


OVERFLOW: Final = from_expression(
    "sum", tables.tasks, select(func.abs(literal_column(str(-(2**63)))))
)
"""A number that SQLite cannot give."""


@ROUTES
async def test_what_has_no_code_of_its_own_is_not_told_as_a_fault_of_the_schema(
    sqlite_file: Path, *, prepared: bool
) -> None:
    async with opened(sqlite_file, prepared_statements=prepared) as backend:
        with pytest.raises(QueryError, match=r"cannot sum tasks: .* out of range"):
            await backend.executor_for("tasks").fetch(OVERFLOW, {})
        async with backend.transaction() as unit:
            await unit.tasks.save(TASKS.example)
            with pytest.raises(QueryError, match=r"cannot sum tasks: .* out of range"):
                await unit.executor_for("tasks").fetch(OVERFLOW, {})
        assert await backend.tasks.list_tasks() == (TASKS.example,)


async def test_a_transaction_of_ones_own_on_the_one_connection_in_memory_is_named() -> None:
    async with opened(":memory:") as backend:
        await backend.migrate()
        async with backend.get_db().begin():
            with pytest.raises(UsageError, match=r"transaction of get_db\(\) open"):
                await backend.tasks.save(TASKS.example)
        await backend.tasks.save(TASKS.example)


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE projects",
        "ALTER TABLE projects DROP COLUMN budget",
        "ALTER TABLE projects RENAME COLUMN budget TO cash",
    ],
)
async def test_a_schema_that_lacks_something_is_told_as_such(
    sqlite_file: Path, damage: str
) -> None:
    with closing(sqlite3.connect(sqlite_file)) as connection:
        connection.execute("DELETE FROM synthorg_persistence_version")
        connection.execute("ALTER TABLE projects RENAME TO old")
        connection.execute("CREATE TABLE projects AS SELECT * FROM old")
        connection.execute(damage)
        connection.commit()
    async with opened(sqlite_file) as backend:
        with pytest.raises(MigrationError, match=r"cannot save projects"):
            await backend.projects.save(PROJECTS.example)
        with pytest.raises(MigrationError, match=r"cannot list projects"):
            await backend.projects.list_projects()
