"""`synthorg-db doctor` says what is wrong, and what to do."""

import json

from tests.cli.conftest import Command


def test_a_sound_database_ends_well(migrated: Command) -> None:
    result = migrated("doctor", "--json")
    outcome = json.loads(result.stdout)
    assert result.exit_code == (0 if outcome["healthy"] else 1)
    assert [each for each in outcome["findings"] if each["severity"] == "error"] == []
    assert migrated("doctor", "--no-rows").exit_code == result.exit_code


def test_a_database_without_tables_ends_with_what_to_do(migrated: Command) -> None:
    assert migrated("downgrade", "base", "--yes").exit_code == 0
    result = migrated("doctor")
    assert result.exit_code == 1
    assert "error schema: the tables of this library" in result.stdout
