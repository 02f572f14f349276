"""An export has all records of a database, and an import saves them as they were, or nothing."""

import asyncio
import gzip
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from synthorg.persistence import (
    DuplicateRecordError,
    ManagedBackend,
    MigrationError,
    PersistenceConfig,
    PersistenceError,
    QueryError,
    UnreadableRecordError,
    UsageError,
    create_backend,
)
from synthorg.persistence.retention import RetentionPolicy, prune
from synthorg.persistence.rollups import roll_up_costs
from synthorg.persistence.testing.awkward import FIRST_TIME_ROUND, SECOND_TIME_ROUND
from synthorg.persistence.testing.kinds import (
    AUDIT_ENTRIES,
    COST_RECORDS,
    MESSAGES,
    TASKS,
    USERS,
)
from synthorg.persistence.transfer import (
    ExportReport,
    FileFormat,
    ImportReport,
    compare_databases,
    export_database,
    export_records,
    import_database,
    import_records,
)
from tests.extensions.conftest import EXTENSIONS
from tests.transfer.conftest import copy, files_of, run

REFERRING_TO_TASKS = ("approvals", "notes")
LONG_AGO = datetime(2024, 5, 1, 12, tzinfo=UTC)


def config(url: str) -> PersistenceConfig:
    return PersistenceConfig.from_url(url)


def exported(url: str, folder: Path, **options: Any) -> ExportReport:
    return asyncio.run(export_database(config(url), folder, extensions=EXTENSIONS, **options))


def imported(folder: Path, url: str, **options: Any) -> ImportReport:
    return asyncio.run(import_database(folder, config(url), extensions=EXTENSIONS, **options))


def differences(first: str, second: str) -> list[str]:
    compared = asyncio.run(compare_databases(config(first), config(second), extensions=EXTENSIONS))
    return [each.name for each in compared.differences]


def lines_of(folder: Path, kind: str) -> list[dict[str, Any]]:
    content = gzip.decompress((folder / f"{kind}.jsonl.gz").read_bytes())
    return [json.loads(line) for line in content.splitlines()]


def change(folder: Path, kind: str, edit: Callable[[list[dict[str, Any]]], object]) -> None:
    """Edit the records of an export, and its manifest as if they had been exported like this."""
    path, manifest = folder / f"{kind}.jsonl.gz", folder / "manifest.json"
    records = lines_of(folder, kind)
    edit(records)
    path.write_bytes(gzip.compress("".join(f"{json.dumps(each)}\n" for each in records).encode()))
    told = json.loads(manifest.read_text())
    digest = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True)
    told["kinds"][kind] |= {"rows": len(records), "sha256": digest.stdout.split()[0]}
    manifest.write_text(json.dumps(told))


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_an_export_of_each_kind_is_imported_into_each_kind(
    source: str, target: str, tmp_path: Path, file_format: FileFormat
) -> None:
    copy(source, target)
    report = exported(target, tmp_path / "export", file_format=file_format)
    assert imported(tmp_path / "export", source).added == 0
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    assert imported(tmp_path / "export", elsewhere).added == report.rows
    assert differences(source, elsewhere) == []

    exported(elsewhere, tmp_path / "again", file_format=file_format)
    assert files_of(tmp_path / "export") == files_of(tmp_path / "again")


def test_records_of_a_file_are_imported_into_each_kind_of_database(
    source: str, target: str, tmp_path: Path
) -> None:
    exported(source, tmp_path / "export")
    first = imported(tmp_path / "export", target)
    assert differences(source, target) == []

    again = imported(tmp_path / "export", target)
    assert again.added == 0
    assert sum(each.unchanged for each in again.kinds) == first.added


def test_costs_are_counted_on_after_those_that_were_imported(
    source: str, target: str, tmp_path: Path
) -> None:
    exported(source, tmp_path / "export")
    imported(tmp_path / "export", target)

    async def record_one_more(backend: ManagedBackend) -> None:
        await backend.cost_records.save(COST_RECORDS.make(model="the last"))
        assert [each.model for each in await backend.cost_records.query()][-1] == "the last"
        assert len(await backend.cost_records.query()) == 4

    run(target, record_one_more)


def test_a_record_with_other_content_is_refused_before_anything_is_saved(
    source: str, target: str, tmp_path: Path
) -> None:
    exported(source, tmp_path / "export")
    id_ = str(USERS.key_for("other"))

    def rename(records: list[dict[str, Any]]) -> None:
        records[-1]["title"] = "another title"

    copy(source, target)
    change(tmp_path / "export", "tasks", rename)
    change(tmp_path / "export", "agent_states", lambda records: records.clear())
    key = lines_of(tmp_path / "export", "tasks")[-1]["id"]
    change(
        tmp_path / "export",
        "users",
        lambda records: records.append({**records[0], "id": id_, "username": "new"}),
    )
    with pytest.raises(DuplicateRecordError, match=rf"keys of tasks \(id='{key}'\); say that"):
        imported(tmp_path / "export", target)
    assert differences(source, target) == []

    report = {each.name: each for each in imported(tmp_path / "export", target, replace=True).kinds}
    assert (report["tasks"].replaced, report["users"].added) == (1, 1)

    async def is_replaced(backend: ManagedBackend) -> None:
        task = await backend.tasks.get(key)
        assert task is not None
        assert task.title == "another title"

    run(target, is_replaced)


@pytest.mark.parametrize("kind", ["messages", "audit_entries", "cost_records"])
def test_what_is_saved_once_and_for_all_is_never_replaced(
    source: str, tmp_path: Path, kind: str
) -> None:
    exported(source, tmp_path / "export")
    field = {"messages": "content", "audit_entries": "reason", "cost_records": "model"}[kind]
    change(tmp_path / "export", kind, lambda records: records[0].update({field: "forged"}))
    with pytest.raises(DuplicateRecordError, match="never changed"):
        imported(tmp_path / "export", source, replace=True)


def test_kinds_and_times_narrow_an_export(source: str, tmp_path: Path) -> None:
    async def save(backend: ManagedBackend) -> None:
        for days in range(4):
            moment = LONG_AGO + timedelta(days=days)
            await backend.messages.save(
                MESSAGES.make(id=MESSAGES.key_for(f"{days}"), timestamp=moment)
            )

    run(source, save)
    since, until = LONG_AGO + timedelta(days=1), LONG_AGO + timedelta(days=2)
    kinds = ["messages", "tasks", "cost_records"]
    report = exported(source, tmp_path / "export", kinds=kinds, since=since, until=until)

    assert [*report.manifest.kinds] == ["cost_records", "messages", "tasks"]
    times = [each["timestamp"] for each in lines_of(tmp_path / "export", "messages")]
    assert sorted(times) == ["2024-05-02T12:00:00.000000Z", "2024-05-03T12:00:00.000000Z"]
    assert report.manifest.kinds["tasks"].rows == 4
    with pytest.raises(UsageError, match="no kind nonsense"):
        exported(source, tmp_path / "other", kinds=["nonsense"])
    with pytest.raises(UsageError, match="after until"):
        exported(source, tmp_path / "other", since=until, until=since)
    with pytest.raises(UsageError, match="time zone"):
        exported(source, tmp_path / "other", since=LONG_AGO.replace(tzinfo=None))
    report = exported(
        source, tmp_path / "night", since=FIRST_TIME_ROUND, until=SECOND_TIME_ROUND, kinds=kinds
    )
    assert report.manifest.kinds["messages"].rows == 0


def test_sums_of_pruned_costs_come_with_all_costs(target: str, tmp_path: Path) -> None:
    async def totals(backend: ManagedBackend) -> list[Any]:
        return [*await backend.cost_records.totals(("model", "agent_id"))]

    async def save_and_prune(url: str) -> list[Any]:
        async with create_backend(config(url)) as backend:
            await backend.migrate()
            for days in range(5):
                moment = LONG_AGO + timedelta(days=days)
                await backend.cost_records.save(
                    COST_RECORDS.make(timestamp=moment, model=f"{days}")
                )
            recent = COST_RECORDS.make(timestamp=datetime.now(UTC), model="recent")
            await backend.cost_records.save(recent)
            expected = await totals(backend)
            await roll_up_costs(backend, before=LONG_AGO + timedelta(days=3))
            await prune(backend, RetentionPolicy.of({"cost_records": {"newest": 3}}))
            assert len(await backend.cost_records.query()) == 4
            return expected

    expected = asyncio.run(save_and_prune(target))
    asyncio.run(export_database(config(target), tmp_path / "export"))
    asyncio.run(export_database(config(target), tmp_path / "recent", since=LONG_AGO))
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    for _ in range(2):
        asyncio.run(import_database(tmp_path / "export", config(elsewhere)))

    async def read(url: str) -> list[Any]:
        async with create_backend(config(url)) as backend:
            return await totals(backend)

    assert asyncio.run(read(elsewhere)) == expected
    assert differences_of_library(target, elsewhere) == []

    # Those alone that are there still, and then all where there are others.
    alone = f"sqlite:///{tmp_path / 'alone.db'}"
    asyncio.run(import_database(tmp_path / "recent", config(alone)))
    assert [each.model for each in asyncio.run(read(alone))] == ["2", "3", "4", "recent"]
    run(alone, lambda backend: backend.cost_records.save(COST_RECORDS.make()))
    with pytest.raises(QueryError, match="costs of its own"):
        asyncio.run(import_database(tmp_path / "export", config(alone)))
    assert differences_of_library(target, alone) == [
        "cost_records",
        "cost_rollup_state",
        "cost_rollups",
    ]


def differences_of_library(first: str, second: str) -> list[str]:
    compared = asyncio.run(compare_databases(config(first), config(second)))
    return sorted(each.name for each in compared.differences)


def test_pruned_costs_do_not_come_back_to_count_twice(target: str, tmp_path: Path) -> None:
    async def save(backend: ManagedBackend) -> None:
        for days in range(3):
            moment = LONG_AGO + timedelta(days=days)
            await backend.cost_records.save(COST_RECORDS.make(timestamp=moment))
        await backend.cost_records.save(COST_RECORDS.make(timestamp=datetime.now(UTC)))

    async def prune_old(backend: ManagedBackend) -> None:
        await prune(backend, RetentionPolicy.of({"cost_records": {"max_age": "52w"}}))
        assert len(await backend.cost_records.query()) == 1

    async def only_one_is_left(backend: ManagedBackend) -> None:
        assert len(await backend.cost_records.query()) == 1

    run(target, save)
    exported(target, tmp_path / "export", since=LONG_AGO)
    run(target, prune_old)
    with pytest.raises(QueryError, match=r"cost_records \(sequence_number=1\): the roll-ups"):
        imported(tmp_path / "export", target)
    run(target, only_one_is_left)


def test_removals_from_the_audit_trail_come_along_and_remove_nothing_elsewhere(
    target: str, tmp_path: Path
) -> None:
    entries = [
        AUDIT_ENTRIES.altered(
            AUDIT_ENTRIES.keyed(f"{days}"), timestamp=LONG_AGO + timedelta(days=days)
        )
        for days in range(6)
    ]

    async def save(backend: ManagedBackend) -> None:
        for entry in entries:
            await backend.audit_entries.save(entry)

    async def save_and_prune(backend: ManagedBackend) -> None:
        await save(backend)
        policy = RetentionPolicy.of({"audit_entries": {"newest": 2}})
        await prune(backend, policy, archive=tmp_path / "archive")
        late = AUDIT_ENTRIES.altered(AUDIT_ENTRIES.keyed("late"), timestamp=LONG_AGO)
        await backend.audit_entries.save(late)

    run(target, save_and_prune)
    exported(target, tmp_path / "export")
    assert [each["entries"] for each in lines_of(tmp_path / "export", "audit_removals")] == [4]
    elsewhere, other = (f"sqlite:///{tmp_path / name}" for name in ("elsewhere.db", "other.db"))
    imported(tmp_path / "export", elsewhere)
    copy(target, copied := f"sqlite:///{tmp_path / 'copied.db'}")
    assert differences(target, elsewhere) == differences(target, copied) == []

    async def has_all(backend: ManagedBackend) -> None:
        assert len(await backend.audit_entries.query()) == 6

    run(other, save)
    with pytest.raises(QueryError, match=r"cannot import audit_removals \(id='[^']+'\)"):
        imported(tmp_path / "export", other)
    run(other, has_all)


def cut(folder: Path) -> None:
    path = folder / "messages.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-20])


def flip(folder: Path) -> None:
    path = folder / "tasks.jsonl.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def told(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))


DAMAGES: Mapping[str, tuple[Callable[[Path], object], type[PersistenceError], str]] = {
    "a file cut short": (cut, QueryError, "not the file that was exported"),
    "a changed file": (flip, QueryError, "not the file that was exported"),
    "a missing file": (lambda f: (f / "tasks.jsonl.gz").unlink(), QueryError, "cannot read"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), UsageError, "is no export"),
    "half a manifest": (
        lambda f: (f / "manifest.json").write_text("{"),
        QueryError,
        "is damaged",
    ),
    "a wrong digest": (
        lambda f: told(f, lambda m: m["kinds"]["tasks"].update(sha256="0" * 64)),
        QueryError,
        "not the file that was exported",
    ),
    "a wrong number": (
        lambda f: told(f, lambda m: m["kinds"]["tasks"].update(rows=1)),
        QueryError,
        "not 1 as the manifest says",
    ),
    "a file elsewhere": (
        lambda f: told(f, lambda m: m["kinds"]["tasks"].update(file="../tasks.jsonl.gz")),
        QueryError,
        "without a folder",
    ),
    "a newer schema": (
        lambda f: told(f, lambda m: m["revisions"].update(synthorg_persistence_version="9999")),
        MigrationError,
        "at revision 9999",
    ),
    "no revision": (
        lambda f: told(f, lambda m: m["revisions"].clear()),
        QueryError,
        "does not say at which revision",
    ),
    "somebody's tables": (
        lambda f: told(f, lambda m: m["revisions"].update(other_version="1")),
        MigrationError,
        "other_version",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_export_changes_nothing(source: str, tmp_path: Path, damage: str) -> None:
    folder, target = tmp_path / "export", f"sqlite:///{tmp_path / 'target.db'}"
    exported(source, folder)
    copy(source, target)
    run(source, lambda backend: backend.tasks.save(TASKS.make(id="one more")))
    spoil, error, message = DAMAGES[damage]
    exported(source, folder := tmp_path / "newer")
    spoil(folder)
    before = differences(source, target)
    with pytest.raises(error, match=message):
        imported(folder, target)
    assert differences(source, target) == before == ["tasks"]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ({"status": "nonsense"}, "status"),
        ({"budget_limit": "much"}, "budget_limit must be a number"),
        ({"title": None}, "title must not be None"),
        ({"unknown": 1}, "'unknown', which is no column"),
    ],
)
def test_a_record_that_fits_no_entity_is_named_or_left_out(
    source: str, tmp_path: Path, edit: dict[str, Any], reason: str
) -> None:
    folder, target = tmp_path / "export", f"sqlite:///{tmp_path / 'target.db'}"
    exported(source, folder)
    change(folder, "tasks", lambda records: records[0].update(edit))
    key = lines_of(folder, "tasks")[0]["id"]
    with pytest.raises(UnreadableRecordError, match=rf"tasks \(id='{key}'\).*{reason}"):
        imported(folder, target)

    report = {each.name: each for each in imported(folder, target, skip_unreadable=True).kinds}
    assert (report["tasks"].skipped, report["tasks"].added) == (1, 3)
    assert set(differences(source, target)) <= {"tasks", *REFERRING_TO_TASKS}


def test_a_key_that_is_none_is_left_out_and_not_told(source: str, tmp_path: Path) -> None:
    folder, target = tmp_path / "export", f"sqlite:///{tmp_path / 'target.db'}"
    exported(source, folder)
    change(folder, "messages", lambda records: records[0].update(id={"secret": "the value"}))
    with pytest.raises(UnreadableRecordError, match=r"^cannot read messages: id must be") as error:
        imported(folder, target)
    assert "the value" not in str(error.value)
    report = {each.name: each for each in imported(folder, target, skip_unreadable=True).kinds}
    assert (report["messages"].skipped, report["messages"].added) == (1, 2)


def test_what_refers_to_a_record_that_is_left_out_is_left_out_too(
    source: str, tmp_path: Path
) -> None:
    folder, target = tmp_path / "export", f"sqlite:///{tmp_path / 'target.db'}"
    exported(source, folder)
    user = lines_of(folder, "api_keys")[0]["user_id"]

    def spoil(records: list[dict[str, Any]]) -> None:
        next(each for each in records if each["id"] == user)["role"] = "nonsense"

    change(folder, "users", spoil)
    report = {
        each.name: each.skipped for each in imported(folder, target, skip_unreadable=True).kinds
    }
    assert report["users"] == 1
    assert report["api_keys"] >= 1


def test_a_folder_with_something_in_it_is_left_alone(source: str, tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "mine").write_text("precious")
    with pytest.raises(UsageError, match="is there already"):
        exported(source, tmp_path / "export")
    assert [each.name for each in (tmp_path / "export").iterdir()] == ["mine"]


def test_a_folder_that_no_name_can_be_given_is_named_as_the_reason(
    source: str, tmp_path: Path
) -> None:
    with pytest.raises(QueryError, match=r"cannot export into .*: File name too long"):
        exported(source, tmp_path / ("long" * 100))
    assert [*tmp_path.glob(".*")] == []


def test_records_go_from_one_database_to_another_one_by_iterators(
    source: str, target: str, tmp_path: Path
) -> None:
    async def move() -> None:
        for kind in ("users", "tasks", "cost_records"):
            report = await import_records(
                config(target), kind, export_records(config(source), kind)
            )
            assert report.added in (3, 4)
            again = await import_records(config(target), kind, export_records(config(source), kind))
            assert (again.added, again.unchanged) == (0, report.added)

        async def other() -> AsyncIterator[Mapping[str, Any]]:
            async for each in export_records(config(source), "tasks"):
                yield {**each, "title": "other"}

        with pytest.raises(DuplicateRecordError):
            await import_records(config(target), "tasks", other())
        replaced = await import_records(config(target), "tasks", other(), replace=True)
        assert replaced.replaced == 4
        with pytest.raises(UsageError, match="no kind"):
            await import_records(config(target), "cost_rollups", other())

    asyncio.run(move())
    assert {"users", "cost_records"}.isdisjoint(differences_of_library(source, target))


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "synthorg.persistence.cli", *arguments]


@pytest.mark.parametrize("round_number", range(3))
def test_an_export_or_import_that_is_killed_is_done_by_the_next_one(
    target: str, tmp_path: Path, round_number: int
) -> None:
    choose = random.Random(round_number)
    url = f"sqlite:///{tmp_path / 'source.db'}"

    async def fill() -> None:
        async with create_backend(config(url)) as backend:
            await backend.migrate()
            await backend.messages.save_many(MESSAGES.keyed(f"{number}") for number in range(8_000))

    asyncio.run(fill())
    for arguments in (
        ["export", str(tmp_path / "export"), "--database", url],
        ["import", str(tmp_path / "export"), "--database", target],
    ):
        process = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True)
        with process:
            assert process.stderr is not None
            for line in process.stderr:
                if "messages" in line:
                    time.sleep(choose.uniform(0, 0.6))
                    break
            process.send_signal(signal.SIGKILL)
        if arguments[0] == "export" and (tmp_path / "export").exists():
            continue  # it was whole already
        done = subprocess.run(command(*arguments), check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert differences_of_library(url, target) == []
