"""A copy has all that the source has, is gone on with after an interruption, and refuses others."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import text

from synthorg.persistence import (
    ManagedBackend,
    MigrationError,
    PersistenceConfig,
    PersistenceConnectionError,
    QueryError,
    UnreadableRecordError,
    UsageError,
)
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.tables import VERSION_TABLE
from synthorg.persistence.sql.transfer.mark import MARK
from synthorg.persistence.testing.kinds import (
    API_KEYS,
    COST_RECORDS,
    EXECUTIONS,
    HEARTBEATS,
    KINDS,
    MESSAGES,
    USERS,
)
from synthorg.persistence.transfer import Comparison, CopyReport, compare_databases, copy_database
from tests.extensions.conftest import EXTENSIONS
from tests.servers.base import Server
from tests.servers.sqlite import SQLiteFiles
from tests.transfer.conftest import LASTING, MakeDatabase, copy, run


class InterruptedByTest(Exception):  # noqa: N818 (it is no fault)
    """The end of a copy, at a moment of the test's choice."""


def compare(first: str, second: str, *, skip_unreadable: bool = False) -> Comparison:
    configs = [PersistenceConfig.from_url(url) for url in (first, second)]
    return asyncio.run(
        compare_databases(*configs, extensions=EXTENSIONS, skip_unreadable=skip_unreadable)
    )


def interrupted(source: str, target: str, at: int) -> None:
    """Copy until something is told for the given time."""
    told = 0

    def progress(_what: str, _table: str, _done: int, _total: int) -> None:
        nonlocal told
        told += 1
        if told == at:
            raise InterruptedByTest

    with pytest.raises(InterruptedByTest):
        copy(source, target, progress=progress)


def execute(url: str, *statements: str) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def has_mark(url: str) -> bool:
    async def ask() -> bool:
        engine = create_dialect(PersistenceConfig.from_url(url)).create_engine()
        async with engine.connect() as connection:
            found = await connection.run_sync(
                lambda each: engine.sync_engine.dialect.has_table(each, MARK.name)
            )
        await engine.dispose()
        return found

    return asyncio.run(ask())


def test_a_copy_has_every_record_also_of_extensions(source: str, target: str) -> None:
    report = copy(source, target)

    assert compare(source, target).differences == ()
    rows = {table.name: table.rows for table in report.tables}
    assert all(rows[kind.repository] >= 3 for kind in KINDS)
    assert all(rows[name] for name in ("approvals", "spendings", "decisions", "plans", "notes"))
    assert (report.resumed, report.skipped, report.left_out) == (False, 0, ())
    assert not has_mark(target)


def test_a_copied_application_goes_on_recording_costs_in_their_order(
    source: str, target: str
) -> None:
    copy(source, target)

    async def record(backend: ManagedBackend) -> None:
        before = await backend.cost_records.query()
        later = COST_RECORDS.make(agent_id="later")
        await backend.cost_records.save(later)
        assert await backend.cost_records.query() == (*before, later)

    run(target, record)


def test_a_copy_keeps_the_numbers_of_costs(source: str, target: str) -> None:
    execute(source, "UPDATE cost_records SET sequence_number = 7 * sequence_number + 1000")

    copy(source, target)

    assert compare(source, target).differences == ()

    async def record(backend: ManagedBackend) -> None:
        await backend.cost_records.save(COST_RECORDS.make())
        async with backend.get_db().connect() as connection:
            numbers = await connection.scalars(
                text("SELECT sequence_number FROM cost_records ORDER BY sequence_number")
            )
            assert list(numbers) == [1007, 1014, 1021, 1022]

    run(target, record)


def test_an_interrupted_copy_is_gone_on_with(source: str, target: str) -> None:
    for at in (1, 5, 12, 30):
        interrupted(source, target, at)
        assert has_mark(target)

    report = copy(source, target)

    assert report.resumed
    assert compare(source, target).differences == ()
    assert not has_mark(target)


def test_what_changed_in_the_source_after_an_interruption_is_mended(
    source: str, target: str
) -> None:
    interrupted(source, target, 30)

    async def change(backend: ManagedBackend) -> None:
        user = await backend.users.get("users 1")
        assert user is not None
        await backend.users.delete("users 1")
        await backend.users.save(USERS.altered(user, id="successor"))
        await API_KEYS.store(backend, API_KEYS.altered(API_KEYS.keyed("new"), user_id="successor"))
        await backend.settings.set("namespace", "0", "inserted before others", "now")
        await backend.messages.save(MESSAGES.keyed("one more"))
        for definition in await backend.workflow_definitions.list_definitions():
            await backend.workflow_definitions.save(
                definition.model_copy(update={"version": definition.version + 1})
            )

    run(source, change)

    report = copy(source, target)

    assert compare(source, target).differences == ()
    removed = {table.name: table.removed for table in report.tables if table.removed}
    assert removed["users"] == 1
    assert EXECUTIONS.repository in {table.name for table in report.tables}


def test_an_audit_trail_that_lost_rows_cannot_be_gone_on_with(source: str, file: str) -> None:
    interrupted(source, file, 30)
    execute(source, *DROPPED_GUARDS, "DELETE FROM audit_entries")

    with pytest.raises(QueryError, match="audit_entries has rows that the source no longer has"):
        copy(source, file)


DROPPED_GUARDS = ["DROP TRIGGER audit_entries_refuse_unrecorded"]


def test_a_target_with_records_is_refused_and_left_alone(source: str, file: str) -> None:
    async def save(backend: ManagedBackend) -> None:
        await backend.messages.save(MESSAGES.make())

    run(file, save)

    with pytest.raises(MigrationError, match=r"has records already.*\(messages\); use an empty"):
        copy(source, file)

    assert not has_mark(file)


def test_a_copy_that_has_ended_is_compared_once_more(source: str, file: str) -> None:
    first = copy(source, file)

    again = copy(source, file)

    assert again.tables == first.tables
    assert again.resumed
    execute(source, "UPDATE messages SET content = 'changed' WHERE rowid = 1")
    with pytest.raises(MigrationError, match="has records already"):
        copy(source, file)


def test_the_beginning_of_another_copy_is_refused(source: str, file: str, tmp_path: Path) -> None:
    interrupted(source, file, 5)
    other = f"sqlite:///{shutil.copy(source.removeprefix('sqlite:///'), tmp_path / 'other.db')}"

    with pytest.raises(MigrationError, match="holds the beginning of a copy of"):
        copy(other, file)


def test_a_copy_that_has_not_ended_is_not_copied(
    source: str, file: str, make_database: MakeDatabase
) -> None:
    interrupted(source, file, 5)

    with pytest.raises(MigrationError, match="the beginning of a copy itself"):
        copy(file, make_database(SQLiteFiles))


def test_a_database_is_not_copied_into_itself(source: str, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(source.removeprefix("sqlite:///"))

    with pytest.raises(UsageError, match="into itself"):
        copy(source, f"sqlite:///{link}")


def test_a_database_in_memory_is_refused(source: str) -> None:
    with pytest.raises(UsageError, match="in memory"):
        copy(source, "sqlite:///:memory:")


def test_a_source_that_is_not_there_is_not_made(tmp_path: Path, file: str) -> None:
    with pytest.raises(PersistenceConnectionError, match="no such file"):
        copy(f"sqlite:///{tmp_path / 'absent.db'}", file)

    assert list(tmp_path.iterdir()) == []


def test_a_source_of_a_newer_release_is_refused(source: str, file: str) -> None:
    execute(source, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")

    with pytest.raises(MigrationError, match="written by a newer release"):
        copy(source, file)


def test_an_unreachable_target_is_told_without_its_password(source: str) -> None:
    with pytest.raises(PersistenceConnectionError, match="cannot connect to") as caught:
        copy(source, "postgresql://user:secret@127.0.0.1:1/db")

    assert "secret" not in str(caught.value)


def test_the_tables_of_an_extension_that_nobody_named_are_told(source: str, file: str) -> None:
    configs = [PersistenceConfig.from_url(url) for url in (source, file)]

    report: CopyReport = asyncio.run(copy_database(*configs))

    assert {"approvals", "notes", "ledger_version"} <= set(report.left_out)


@pytest.mark.parametrize(
    ("statement", "record"),
    [
        ("UPDATE tasks SET status = 'unheard of' WHERE id = 'task'", "tasks (id='task')"),
        ("UPDATE messages SET attachments = '{' WHERE rowid = 1", "messages (id="),
        ("UPDATE tasks SET title = CAST(x'ff' AS TEXT) WHERE id = 'task'", "tasks (id='task')"),
        ("UPDATE heartbeats SET last_heartbeat_at = 'noon' WHERE rowid = 1", "heartbeats (exec"),
        ("UPDATE cost_records SET timestamp = '' WHERE rowid = 1", "cost_records (sequence_number"),
    ],
)
def test_a_record_that_does_not_fit_is_named_by_its_key(
    source: str, file: str, statement: str, record: str
) -> None:
    execute(source, statement)

    with pytest.raises(UnreadableRecordError) as caught:
        copy(source, file)

    assert record in str(caught.value)


def test_unreadable_records_are_left_out_and_counted_if_asked(source: str, target: str) -> None:
    execute(source, "UPDATE users SET role = 'unheard of' WHERE id = 'users 1'")
    execute(source, "UPDATE messages SET type = 'unheard of' WHERE rowid = 1")
    execute(source, "UPDATE messages SET content = CAST(x'ff' AS TEXT) WHERE rowid = 3")
    execute(source, "UPDATE api_keys SET user_id = 'users 1' WHERE id = 'of nobody else'")

    report = copy(source, target, skip_unreadable=True)

    skipped = {table.name: table.skipped for table in report.tables if table.skipped}
    assert skipped == {"users": 1, "messages": 2, "api_keys": 1}
    assert compare(source, target, skip_unreadable=True).differences == ()


@pytest.mark.parametrize("kind", LASTING, ids=lambda kind: kind.name)
def test_a_copy_is_of_one_state_whatever_others_write_meanwhile(
    source: str, file: str, make_database: MakeDatabase, kind: type[Server]
) -> None:
    before = make_database(kind)
    copy(source, before)

    async def save(backend: ManagedBackend) -> None:
        for number in range(3, 6):
            await backend.messages.save(MESSAGES.keyed(f"messages {number}"))
            await backend.heartbeats.save(HEARTBEATS.keyed(f"heartbeats {number}"))

    written: list[str] = []

    def progress(what: str, table: str, _done: int, _total: int) -> None:
        if not written:
            written.append(f"{what} {table}")
            writer = Thread(target=run, args=(before, save))
            writer.start()
            writer.join()

    copy(before, file, progress=progress)

    assert written
    assert compare(source, file).differences == ()
    assert {each.name for each in compare(before, file).differences} == {"messages", "heartbeats"}


def test_a_target_that_somebody_else_writes_to_is_found_out_and_mended(
    source: str, file: str
) -> None:
    def progress(what: str, table: str, _done: int, _total: int) -> None:
        if (what, table) == ("copying", "workflow_executions"):
            execute(file, "UPDATE messages SET content = 'forged' WHERE rowid = 1")

    with pytest.raises(QueryError, match=r"not the same as the source \(messages has 3 rows for 3"):
        copy(source, file, progress=progress)

    report = copy(source, file)

    assert [each.name for each in report.tables if each.removed] == ["messages"]
    assert compare(source, file).differences == ()


def test_a_record_that_the_target_refuses_is_named_by_its_key(source: str, file: str) -> None:
    execute(
        source,
        "UPDATE approvals SET task_id = 'absent'",
    )

    with pytest.raises(QueryError, match=r"cannot write approvals \(id='approval'\)"):
        copy(source, file)
