"""What every command has: an example in its help; and the program a version."""

from importlib.metadata import version

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from synthorg.persistence.cli.app import app
from tests.cli.conftest import Command

COMMANDS = sorted(getattr(get_command(app), "commands"))  # noqa: B009 (of a group)


def test_there_are_commands() -> None:
    assert {"migrate", "status", "doctor", "prune"} <= {*COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_an_example(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).stdout
    assert f"For example: synthorg-db {name}" in shown


def test_the_version_is_shown() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"{version('synthorg-persistence')}\n")


def test_shells_can_complete_commands() -> None:
    assert "--install-completion" in CliRunner().invoke(app, ["--help"]).stdout


def test_a_status_without_tables_is_no_success(migrated: Command) -> None:
    assert migrated("status").exit_code == 0
    migrated("downgrade", "base", "--yes")
    assert migrated("status").exit_code == 1


def test_history_and_check_are_printed_as_json(migrated: Command) -> None:
    assert '"0001_initial_schema"' in migrated("history", "--json").stdout
    assert '"problems": []' in migrated("check", "--json").stdout
