"""`synthorg-db export` and `import`: what they say, and how they end."""

import json
from pathlib import Path

from tests.cli.conftest import Command


def test_an_export_and_an_import_are_told_as_tables_or_json(
    migrated: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    assert "exported: 0 records" in migrated("export", str(folder)).stdout
    told = json.loads(migrated("export", str(tmp_path / "other"), "--json").stdout)
    assert told["kinds"]["tasks"]["rows"] == 0
    assert "imported: 0 new records" in migrated("import", str(folder)).stdout
    assert json.loads(migrated("import", str(folder), "--json").stdout)["kinds"]["tasks"] == {
        "added": 0,
        "replaced": 0,
        "unchanged": 0,
        "skipped": 0,
    }


def test_what_cannot_be_exported_or_imported_is_told_by_the_exit_code(
    migrated: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    assert migrated("export", str(folder)).exit_code == 0
    assert migrated("export", str(folder)).exit_code == 2
    assert migrated("export", str(tmp_path / "new"), "--since", "yesterday").exit_code == 2
    assert migrated("import", str(tmp_path)).exit_code == 2
    (folder / "tasks.jsonl.gz").write_bytes(b"")
    assert migrated("import", str(folder)).exit_code == 1
