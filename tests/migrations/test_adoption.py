"""Databases of the predecessor become databases of this library, with every record."""

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from synthorg.entities import HumanRole
from synthorg.persistence import MigrationError, QueryError
from synthorg.persistence.sql.tables import VERSION_TABLE
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import (
    API_KEYS,
    COST_RECORDS,
    EXECUTIONS,
    HEARTBEATS,
    KINDS,
    PARKED_CONTEXTS,
    USERS,
)
from tests.migrations.predecessor import (
    DDL,
    SESSION,
    adopt_database,
    change,
    dump,
    example,
    make_database,
    read,
    recognise,
    storable,
    write,
)
from tests.migrations.support import site_at


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database of the predecessor with a record of every kind, and a session."""
    path = tmp_path / "synthorg.db"
    path.write_bytes(example())
    return path


def ddl(path: Path, where: str = "true") -> list[tuple[Any, ...]]:
    query = f"SELECT type, name, sql FROM sqlite_master WHERE {where} AND name NOT LIKE 'sqlite_%'"
    return sorted(read(path, query))


async def test_a_database_of_the_predecessor_is_recognised(database: Path) -> None:
    assert await recognise(database) == (True, None)


async def test_maintenance_of_a_database_does_not_change_what_it_is(database: Path) -> None:
    """ANALYZE adds tables of SQLite's own."""
    change(database, "ANALYZE", "REINDEX")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("VACUUM")
    assert await recognise(database) == (True, None)
    await adopt_database(database)


async def test_white_space_in_the_ddl_does_not_matter(tmp_path: Path) -> None:
    make_database(tmp_path / "one-line.db", " ".join(DDL.split()))
    assert await recognise(tmp_path / "one-line.db") == (True, None)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("ALTER TABLE tasks ADD COLUMN mood TEXT", "the table tasks has `mood TEXT`"),
        ("ALTER TABLE messages DROP COLUMN content", "messages lacks `content TEXT NOT NULL`"),
        ("ALTER TABLE sessions RENAME TO visits", "the table sessions is missing"),
        ("DROP TABLE heartbeats", "the table heartbeats is missing"),
        ("CREATE TABLE notes (id)", "the table notes is not the predecessor's"),
        ("CREATE TABLE alembic_version (version_num)", "the table alembic_version is not the"),
        ("DROP INDEX idx_single_ceo", "the index idx_single_ceo is missing"),
        ("CREATE INDEX mine ON tasks (title)", "the index mine is not the"),
        ("CREATE VIEW open AS SELECT * FROM tasks", "the view open is not the"),
        ("CREATE TRIGGER t DELETE ON tasks BEGIN SELECT 1; END", "the trigger t is not the"),
        ("PRAGMA user_version = 3", "its user_version is 3 instead of 0"),
    ],
)
async def test_a_database_that_differs_is_refused_with_the_difference(
    database: Path, statement: str, reason: str
) -> None:
    change(database, statement)
    before = dump(database)

    recognised, explanation = await recognise(database)

    assert not recognised
    assert explanation is not None
    assert reason in explanation
    with pytest.raises(MigrationError, match="not one of the predecessor"):
        await adopt_database(database)
    assert dump(database) == before


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            "    budget_limit REAL NOT NULL DEFAULT 0.0,",
            "    budget_limit TEXT,",
            "tasks lacks `budget_limit REAL NOT NULL DEFAULT 0.0` and has `budget_limit TEXT`",
        ),
        ("REFERENCES users(id) ON DELETE CASCADE", "", "lacks `user_id TEXT NOT NULL REFERENCES"),
        ("'idle', 'executing', 'paused'", "'idle', 'executing'", "and has `status TEXT NOT NULL"),
        ("    cost_usd REAL NOT NULL,\n    timestamp TEXT NOT NULL,", "", "lacks `cost_usd"),
        ("agent_id TEXT PRIMARY KEY", "agent_id TEXT", "lacks `agent_id TEXT PRIMARY KEY`"),
        ("WHERE role = 'ceo'", "WHERE role = 'system'", "the index idx_single_ceo is defined in"),
        ("tasks(status)", "tasks(id)", "the index idx_tasks_status lacks `status` and has `id`"),
    ],
)
async def test_a_column_or_an_index_that_is_defined_otherwise_makes_a_difference(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    path = tmp_path / "synthorg.db"
    assert old in DDL
    make_database(path, DDL.replace(old, new, 1))

    recognised, explanation = await recognise(path)

    assert not recognised
    assert explanation is not None
    assert reason in explanation


async def test_many_differences_are_summed_up(tmp_path: Path) -> None:
    make_database(tmp_path / "synthorg.db", DDL.replace(" TEXT", " VARCHAR"))
    _, explanation = await recognise(tmp_path / "synthorg.db")
    assert explanation is not None
    assert explanation.endswith("; 15 more")
    assert len(explanation) < 5000


@pytest.mark.parametrize("statements", ["", "CREATE TABLE users (id); CREATE TABLE tasks (id)"])
async def test_a_database_of_somebody_else_is_not_compared(tmp_path: Path, statements: str) -> None:
    make_database(tmp_path / "other.db", statements)
    assert await recognise(tmp_path / "other.db") == (False, None)


@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_every_record_survives_whatever_is_in_it(data: DataObject) -> None:
    """Times are written with any offset."""
    records: dict[str, tuple[Kind, Any]] = {}
    for kind in KINDS:
        record = storable(kind, data.draw(kind.strategy, label=kind.repository))
        if kind is API_KEYS:
            record = kind.altered(record, user_id=records["users"][1].id)
        if kind is EXECUTIONS:
            definition = records["workflow_definitions"][1]
            record = kind.altered(record, definition_id=definition.id)
        records[kind.repository] = kind, record
    minutes = data.draw(st.integers(-14 * 60, 14 * 60), label="minutes of offset")
    zone = timezone(timedelta(minutes=minutes))

    with TemporaryDirectory() as folder:
        path = Path(folder) / "synthorg.db"
        make_database(path)
        write(path, records.values(), spell=lambda moment: moment.astimezone(zone).isoformat())
        asyncio.run(adopt_and_compare(path, records))


async def adopt_and_compare(path: Path, records: dict[str, tuple[Kind, Any]]) -> None:
    await adopt_database(path)
    async with site_at(f"sqlite:///{path}") as site:
        for kind, record in records.values():
            assert await kind.stored(site.backend, record) == record


@pytest.mark.parametrize(
    ("spelled", "canonical"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00.000000+00:00"),
        ("2026-03-01T12:00:00+00:00", "2026-03-01T12:00:00.000000+00:00"),
        ("2026-03-01T14:07:00.848749+02:00", "2026-03-01T12:07:00.848749+00:00"),
        ("2026-03-01T18:34:00.855+05:45", "2026-03-01T12:49:00.855000+00:00"),
        ("2026-02-28 23:00:00.000001-05:00", "2026-03-01T04:00:00.000001+00:00"),
        ("2026-03-01T01:30+0200", "2026-02-28T23:30:00.000000+00:00"),
    ],
)
async def test_a_time_is_stored_in_the_one_spelling(
    database: Path, spelled: str, canonical: str
) -> None:
    change(database, f"UPDATE heartbeats SET last_heartbeat_at = '{spelled}'")
    await adopt_database(database)
    assert read(database, "SELECT last_heartbeat_at FROM heartbeats") == [(canonical,)]


async def test_structures_are_stored_as_the_library_writes_them(database: Path) -> None:
    change(database, """UPDATE projects SET team = ' [ "Zo\\u00eb" ,"b" ]\n'""")
    await adopt_database(database)
    assert read(database, "SELECT team FROM projects") == [('["Zoë","b"]',)]


async def test_documents_and_settings_are_kept_byte_for_byte(database: Path) -> None:
    text = '{"b" :1 ,\t"a": [1.0, "\\u00e9", "é"], "a": 2}\r\n'
    quoted = text.replace("'", "''")
    change(
        database,
        f"UPDATE parked_contexts SET context_json = '{quoted}'",
        f"UPDATE checkpoints SET context_json = '{quoted}'",
        f"UPDATE settings SET value = '{quoted}', updated_at = '2026-03-01T14:00:00.5+02:00'",
        f"UPDATE custom_presets SET config_json = '{quoted}', created_at = ' yesterday '",
    )
    await adopt_database(database)
    assert read(database, "SELECT context_json FROM parked_contexts") == [(text,)]
    assert read(database, "SELECT context_json FROM checkpoints") == [(text,)]
    settings = read(database, "SELECT value, updated_at FROM settings")
    assert settings == [(text, "2026-03-01T14:00:00.5+02:00")]
    presets = read(database, "SELECT config_json, created_at FROM custom_presets")
    assert presets == [(text, " yesterday ")]


async def test_what_the_predecessor_did_not_store_is_filled_in(database: Path) -> None:
    await adopt_database(database)
    assert read(database, "SELECT started_at FROM task_metrics") == [(None,)]
    assert read(database, "SELECT interaction_summary FROM collaboration_metrics") == [(None,)]
    assert read(database, "SELECT confidence FROM audit_entries") == [("high",)]
    assert read(database, "SELECT project_id FROM artifacts") == [(None,)]


async def test_costs_keep_their_order_also_where_records_are_alike_or_their_task_is_unknown(
    database: Path,
) -> None:
    change(database, "DELETE FROM cost_records")
    costs = [COST_RECORDS.make(task_id="gone", input_tokens=number % 7) for number in range(1200)]
    write(database, [(COST_RECORDS, cost) for cost in costs])
    change(database, "UPDATE cost_records SET rowid = rowid - 5000 WHERE rowid % 100 = 1")
    in_order = read(database, "SELECT input_tokens FROM cost_records ORDER BY rowid")

    await adopt_database(database)

    async with site_at(f"sqlite:///{database}") as site:
        adopted = await site.backend.cost_records.query()
    assert [(cost.input_tokens,) for cost in adopted] == in_order
    assert {cost.task_id for cost in adopted} == {"gone"}


async def test_documents_of_many_megabytes_are_adopted(database: Path) -> None:
    large = json.dumps("x" * 5_000_000)
    contexts = [
        PARKED_CONTEXTS.make(id=f"p{number}", context_json=large if number % 2 else "0")
        for number in range(6)
    ]
    write(database, [(PARKED_CONTEXTS, context) for context in contexts])
    chunks: list[int] = []

    def note(table: str, done: int, _: int) -> None:
        if table == "parked_contexts":
            chunks.append(done)

    await adopt_database(database, progress=note)

    assert chunks == [4, 6, 7]  # no two large ones in memory at once
    async with site_at(f"sqlite:///{database}") as site:
        for context in contexts:
            assert await site.backend.parked_contexts.get(context.id) == context


async def test_progress_is_told_for_each_table_until_all_its_rows_are_done(database: Path) -> None:
    write(database, [(HEARTBEATS, HEARTBEATS.keyed(f"e{number}")) for number in range(1100)])
    told: list[tuple[str, int, int]] = []

    await adopt_database(database, progress=lambda *progress: told.append(progress))

    heartbeats = [progress for progress in told if progress[0] == "heartbeats"]
    assert heartbeats == [
        ("heartbeats", 500, 1101),
        ("heartbeats", 1000, 1101),
        ("heartbeats", 1101, 1101),
    ]
    assert {table for table, done, total in told if done == total} == {
        kind.repository for kind in KINDS
    }


async def test_an_adopted_database_has_the_schema_of_a_new_one_and_the_sessions(
    database: Path, tmp_path: Path
) -> None:
    sessions = ddl(database, "tbl_name = 'sessions'")
    new = tmp_path / "new.db"
    for path in (database, new):
        async with site_at(f"sqlite:///{path}") as site:
            await site.backend.migrate()
    assert sessions
    assert ddl(database) == sorted([*ddl(new), *sessions])


async def test_sessions_are_left_as_they_are(database: Path) -> None:
    before = [line for line in dump(database) if "sessions" in line]
    await adopt_database(database)
    assert [line for line in dump(database) if "sessions" in line] == before


async def test_sessions_go_on_referring_to_users(database: Path) -> None:
    await adopt_database(database)
    async with site_at(f"sqlite:///{database}") as site:
        await site.backend.users.delete(USERS.example.id)
    assert read(database, "SELECT * FROM sessions") == []
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA foreign_keys=ON")
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            connection.execute(SESSION)


async def test_an_adopted_database_keeps_the_rules_of_a_new_one(database: Path) -> None:
    await adopt_database(database)
    async with site_at(f"sqlite:///{database}") as site:
        await site.backend.users.save(USERS.keyed("u2").model_copy(update={"role": HumanRole.CEO}))
        with pytest.raises(QueryError):
            await site.backend.api_keys.save(API_KEYS.make(id="k2", key_hash="h", user_id="nobody"))
    with (
        closing(sqlite3.connect(database)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute("DELETE FROM audit_entries")


async def test_migrating_adopts_once_and_for_all(database: Path) -> None:
    async with site_at(f"sqlite:///{database}") as site:
        await site.backend.migrate()
        for kind in KINDS:
            record = storable(kind, kind.example)
            assert await kind.stored(site.backend, record) == record
        adopted = dump(database)
        await site.backend.migrate()
    assert dump(database) == adopted
    assert read(database, f"SELECT count(*) FROM {VERSION_TABLE}") == [(1,)]
    assert await recognise(database) == (False, None)
