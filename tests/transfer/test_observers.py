"""Whoever copies, exports or backs up a database can have it observed."""

from pathlib import Path

import pytest

from synthorg.persistence import PersistenceConfig, PersistenceConnectionError, create_backend
from synthorg.persistence.testing.kinds import TASKS
from synthorg.persistence.transfer import (
    back_up,
    copy_database,
    export_database,
    import_database,
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
    commands = ["copy_database", "back_up", "restore", "export_database", "import_database"]
    assert [(call.what, call.operation) for call in recorder.ended] == [
        ("maintenance", command) for command in commands
    ]
    files = ["copy.db", "source.db", "restored.db", "source.db", "imported.db"]
    assert [Path(call.database.namespace).name for call in recorder.ended] == files
    assert all(call.seconds > 0 and call.error_type is None for call in recorder.ended)


async def test_a_command_that_fails_is_told_with_its_error(tmp_path: Path) -> None:
    recorder = Recorder()
    with pytest.raises(PersistenceConnectionError):
        await back_up(
            database(tmp_path / "nothing" / "a.db"), tmp_path / "b.db", observers=[recorder]
        )
    assert recorder.only.error_type == "PersistenceConnectionError"
