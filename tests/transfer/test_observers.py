"""Whoever copies, exports, backs up or examines a database can have it observed."""

import asyncio
from pathlib import Path
from time import perf_counter

import pytest

from synthorg.persistence import PersistenceConfig, PersistenceConnectionError, create_backend
from synthorg.persistence.diagnosis import examine_database
from synthorg.persistence.testing.kinds import TASKS
from synthorg.persistence.transfer import (
    back_up,
    compare_databases,
    copy_database,
    export_database,
    export_records,
    import_database,
    import_records,
    restore,
)
from tests.conformance.observer import Recorder


def database(file: Path) -> PersistenceConfig:
    return PersistenceConfig.from_url(f"sqlite:///{file}")


async def test_each_command_is_told_once(tmp_path: Path) -> None:
    source, recorder = database(tmp_path / "source.db"), Recorder()
    told = [recorder]
    async with create_backend(source, migrate=True) as backend:
        await backend.tasks.save(TASKS.example)
    await copy_database(source, database(tmp_path / "copy.db"), observers=told)
    await back_up(source, tmp_path / "backup.db", observers=told)
    await restore(tmp_path / "backup.db", database(tmp_path / "restored.db"), observers=told)
    await export_database(source, tmp_path / "export", observers=told)
    await import_database(tmp_path / "export", database(tmp_path / "imported.db"), observers=told)
    await compare_databases(source, database(tmp_path / "copy.db"), observers=told)
    records = export_records(source, "tasks", observers=told)
    await import_records(database(tmp_path / "one.db"), "tasks", records, observers=told)
    await examine_database(source, observers=told)
    databases = {
        "copy_database": "copy.db",
        "back_up": "source.db",
        "restore": "restored.db",
        "export_database": "source.db",
        "import_database": "imported.db",
        "compare_databases": "copy.db",
        "export_records": "source.db",
        "import_records": "one.db",
        "examine_database": "source.db",
    }
    assert {call.what for call in recorder.ended} == {"maintenance"}
    assert [(call.operation, Path(call.database.namespace).name) for call in recorder.ended] == [
        *databases.items()
    ]
    assert all(call.seconds > 0 and call.error_type is None for call in recorder.ended)


async def test_records_that_are_exported_one_by_one_are_told_when_the_last_was_given(
    tmp_path: Path,
) -> None:
    source, recorder = database(tmp_path / "source.db"), Recorder()
    async with create_backend(source, migrate=True) as backend:
        await backend.tasks.save_many([TASKS.keyed("1"), TASKS.keyed("2")])
    records = export_records(source, "tasks", observers=[recorder])
    assert recorder.started == []
    began, between = perf_counter(), 0.0
    async for _ in records:
        assert len(recorder.started) == 1
        assert recorder.ended == []
        asked = perf_counter()
        await asyncio.sleep(0.02)
        between += perf_counter() - asked
    assert 0 < recorder.only.seconds < perf_counter() - began - between
    assert recorder.only.error_type is None


async def test_a_command_that_fails_is_told_with_its_error(tmp_path: Path) -> None:
    recorder = Recorder()
    with pytest.raises(PersistenceConnectionError):
        await back_up(
            database(tmp_path / "nothing" / "a.db"), tmp_path / "b.db", observers=[recorder]
        )
    assert recorder.only.error_type == "PersistenceConnectionError"
