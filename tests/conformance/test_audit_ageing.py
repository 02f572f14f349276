"""The audit trail lets go of what is archived and recorded, and of nothing else."""

import gzip
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from synthorg.persistence import PersistenceBackend, UsageError
from synthorg.persistence.retention import AuditRemoval, RetentionPolicy, audit_removals, prune
from synthorg.persistence.sql import tables
from synthorg.persistence.testing.kinds import AUDIT_ENTRIES
from synthorg.persistence.transactions import TransactionalBackend

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=100)
POLICY = RetentionPolicy.of({"audit_entries": {"max_age": "90d"}})

REFUSALS = (
    "append-only",
    "is opened by audit_removals alone",
    "has to name as many entries",
    "Duplicate entry",
    "duplicate key",
    "UNIQUE constraint",
)


async def save(backend: PersistenceBackend, number: int, time: datetime, name: str) -> None:
    for each in range(number):
        entry = AUDIT_ENTRIES.keyed(f"{name} {each}")
        moment = time + timedelta(seconds=each // 2)  # two of each moment
        await backend.audit_entries.save(AUDIT_ENTRIES.altered(entry, timestamp=moment))


async def left(backend: PersistenceBackend) -> int:
    return len(await backend.audit_entries.query())


def database_of(backend: TransactionalBackend) -> str:
    return backend.get_db().dialect.name


def truth_on(backend: TransactionalBackend) -> str:
    return "true" if database_of(backend) == "postgresql" else "1"


async def run(backend: TransactionalBackend, *statements: Any) -> None:
    """Run SQL as an attacker with the rights of the application would, in one transaction."""
    async with backend.transaction() as work:
        connection = await work.connection()
        for statement in statements:
            what = text(statement) if isinstance(statement, str) else statement
            await connection.execute(what)


def removal(first: datetime, last: datetime, last_id: str, entries: int, **others: Any) -> Any:
    values = {
        "id": "forged",
        "removed_at": NOW,
        "removed_by": "nobody",
        "first_timestamp": first,
        "last_timestamp": last,
        "last_id": last_id,
        "entries": entries,
        "digest": "0" * 64,
        "archive": "nowhere",
    }
    return insert(tables.audit_removals).values(values | others)


async def test_what_is_old_goes_into_an_archive_and_is_recorded(
    backend: TransactionalBackend, tmp_path: Path
) -> None:
    await save(backend, 1_300, OLD, "old")
    await save(backend, 3, NOW, "new")
    with pytest.raises(UsageError, match="without an archive"):
        await prune(backend, POLICY)
    assert (await prune(backend, POLICY, dry_run=True)).remaining == 1_300

    report = await prune(backend, POLICY, archive=tmp_path, removed_by="the auditor")

    assert report.removed == 1_300
    assert await left(backend) == 3
    removals = await audit_removals(backend)
    assert sum(each.entries for each in removals) == 1_300
    assert len(removals) > 1
    last = OLD - timedelta(days=1)
    for each in removals:
        assert each.removed_by == "the auditor"
        lines = gzip.decompress((tmp_path / "audit_entries" / each.archive).read_bytes())
        assert sha256(lines).hexdigest() == each.digest
        assert len(lines.splitlines()) == each.entries
        assert last <= each.first_timestamp <= each.last_timestamp < NOW - timedelta(days=90)
        last = each.last_timestamp


async def test_only_the_newest_can_be_kept(backend: TransactionalBackend, tmp_path: Path) -> None:
    await save(backend, 11, OLD, "old")
    keep = RetentionPolicy.of({"audit_entries": {"newest": 4}})
    assert (await prune(backend, keep, archive=tmp_path)).removed == 7
    assert await left(backend) == 4
    (recorded,) = await audit_removals(backend)
    assert "@" in recorded.removed_by
    await save(backend, 1, OLD, "earlier, but saved later")
    assert await left(backend) == 5


@pytest_asyncio.fixture(loop_scope="session")
async def removed(backend: TransactionalBackend, tmp_path: Path) -> AuditRemoval:
    """Some entries that were removed, and some that are there, also of the same time."""
    await save(backend, 4, OLD, "old")
    await save(backend, 6, NOW, "new")
    await prune(backend, POLICY, archive=tmp_path)
    await save(backend, 2, OLD, "backdated")
    (recorded,) = await audit_removals(backend)
    return recorded


ATTACKS = {
    "delete": ("DELETE FROM audit_entries",),
    "delete one": ("DELETE FROM audit_entries WHERE agent_id IS NOT NULL",),
    "update": ("UPDATE audit_entries SET reason = 'another'",),
    "open a gate of no removal": (
        "INSERT INTO audit_gates VALUES ('forged', {true})",
        "DELETE FROM audit_entries",
    ),
    "open a gate again": (
        "INSERT INTO audit_gates VALUES ('{id}', {true})",
        "DELETE FROM audit_entries",
    ),
    "reopen a gate": (
        "UPDATE audit_gates SET is_open = {true}",
        "DELETE FROM audit_entries",
    ),
    "hand a gate on": ("UPDATE audit_gates SET removal_id = 'other'",),
    "remove a gate": ("DELETE FROM audit_gates",),
    "change the record": ("UPDATE audit_removals SET removed_by = 'somebody else'",),
    "remove the record": ("DELETE FROM audit_removals",),
    "too many": (removal(OLD, NOW + timedelta(days=1), "~", 3),),
    "too few": (removal(OLD, NOW + timedelta(days=1), "~", 30),),
    "after a removal of nothing": (
        removal(OLD - timedelta(days=9), OLD - timedelta(days=8), "~", 1),
        "DELETE FROM audit_entries",
    ),
    "after a removal of some": (
        removal(OLD, OLD + timedelta(days=1), "~", 2),
        "DELETE FROM audit_entries",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_nothing_goes_unrecorded(
    backend: TransactionalBackend, removed: AuditRemoval, attack: str
) -> None:
    statements = [
        each.format(id=removed.id, true=truth_on(backend)) if isinstance(each, str) else each
        for each in ATTACKS[attack]
    ]
    with pytest.raises(DBAPIError) as refused:
        await run(backend, *statements)
    assert any(each in str(refused.value) for each in REFUSALS)
    assert await left(backend) == 8
    assert await audit_removals(backend) == (removed,)


async def test_a_removal_with_the_right_number_is_carried_out_and_stays_on_record(
    backend: TransactionalBackend, removed: AuditRemoval
) -> None:
    await run(backend, removal(OLD, OLD + timedelta(days=1), "~", 2))
    assert await left(backend) == 6
    assert {each.id for each in await audit_removals(backend)} == {removed.id, "forged"}


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE IGNORE FROM audit_entries",
        "UPDATE IGNORE audit_entries SET reason = 'another'",
        "INSERT IGNORE INTO audit_gates VALUES ('forged', 1)",
        "REPLACE INTO audit_gates SELECT removal_id, 1 FROM audit_gates",
        "INSERT INTO audit_gates VALUES ('forged', 1) ON DUPLICATE KEY UPDATE is_open = 1",
        "DELETE e, g FROM audit_entries e, audit_gates g",
    ],
)
async def test_errors_of_triggers_cannot_be_ignored_on_mariadb(
    backend: TransactionalBackend, removed: AuditRemoval, attack: str
) -> None:
    if database_of(backend) not in ("mariadb", "mysql"):
        return
    with suppress(DBAPIError):
        await run(backend, attack)
    with pytest.raises(DBAPIError):
        await run(backend, "DELETE FROM audit_entries")
    assert await left(backend) == 8
    assert await audit_removals(backend) == (removed,)


@pytest.mark.parametrize("table", ["audit_entries", "audit_removals"])
async def test_no_row_takes_the_place_of_another_one_by_its_number_on_sqlite(
    backend: TransactionalBackend, removed: AuditRemoval, table: str
) -> None:
    if database_of(backend) != "sqlite":
        return
    columns = [
        column.name for column in tables.metadata.tables[table].columns if column.name != "id"
    ]
    names = ", ".join(columns)
    with pytest.raises(DBAPIError, match=f"{table} is append-only"):
        await run(
            backend,
            f"INSERT OR REPLACE INTO {table} (rowid, id, {names}) "
            f"SELECT rowid, 'forged', {names} FROM {table} LIMIT 1",
        )
    assert await left(backend) == 8
    assert await audit_removals(backend) == (removed,)


async def test_a_temporary_table_takes_the_place_of_none_that_guards(
    backend: TransactionalBackend, removed: AuditRemoval
) -> None:
    if database_of(backend) in ("mariadb", "mysql"):
        return  # there the user must not have the privilege, which an examination looks at
    shadow = "CREATE TEMPORARY TABLE audit_gates (removal_id text, is_open boolean)"
    with pytest.raises(DBAPIError):
        await run(
            backend,
            shadow,
            f"INSERT INTO audit_gates VALUES ('forged', {truth_on(backend)})",
            "DELETE FROM audit_entries",
        )
    assert await left(backend) == 8
    assert await audit_removals(backend) == (removed,)
