"""Failures are one line on standard error, without secrets, and an exit code."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from synthorg.persistence.cli.app import app
from synthorg.persistence.config import DATABASE_URL_VARIABLE
from tests.cli.conftest import command_on

COMMANDS = (("migrate",), ("status",), ("check",), ("downgrade", "base", "--yes"))
LOOKING_COMMANDS = COMMANDS[1:]


@pytest.fixture(params=COMMANDS, ids=" ".join)
def arguments(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Each command that uses a database."""
    given: tuple[str, ...] = request.param
    return given


def run(*arguments: str, url: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, arguments, env={DATABASE_URL_VARIABLE: url})
    return result.exit_code, result.stdout, result.stderr


def test_a_server_that_cannot_be_reached_is_exit_code_3(arguments: tuple[str, ...]) -> None:
    code, output, errors = run(
        *arguments, "--database", "postgresql://user:hunter2@127.0.0.1:1/nowhere"
    )

    assert (code, output) == (3, "")
    assert errors.startswith("synthorg-db: cannot connect to postgresql://user@127.0.0.1:1/nowhere")
    assert len(errors.splitlines()) == 1
    assert "hunter2" not in errors


def test_a_url_that_cannot_be_used_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    for url in ("nonsense", "oracle://user:hunter2@host/x", "sqlite:///x.db?hunter2=1"):
        code, output, errors = run(*arguments, url=url)

        assert (code, output) == (2, "")
        assert len(errors.splitlines()) == 1
        assert "hunter2@" not in errors


@pytest.mark.parametrize("arguments", LOOKING_COMMANDS, ids=" ".join)
def test_looking_at_a_file_that_does_not_exist_makes_none(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    code, _, errors = run(*arguments, url=f"sqlite:///{tmp_path / 'missing.db'}")

    assert code == 3
    assert "missing.db: no such file" in errors
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_exit_code_3(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "text.db"
    path.write_text("This is not a database, but a text that is long enough to be one.")

    code, _, errors = run(*arguments, url=f"sqlite:///{path}")

    assert code == 3
    assert "is not a SQLite database" in errors


def test_the_exit_codes_are_in_the_help() -> None:
    for command in ("migrate", "status", "check", "history", "downgrade"):
        _, output, _ = run(command, "--help")

        assert "Exit codes: 0 done" in output


def test_without_its_extra_the_command_says_what_to_install() -> None:
    hide_typer = "import sys; sys.modules['typer'] = None"
    result = subprocess.run(
        [sys.executable, "-c", f"{hide_typer}; from synthorg.persistence.cli import main; main()"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    assert "pip install 'synthorg-persistence[cli]'" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("migrate",), ("downgrade", "base", "--yes")], ids=" ".join)
def test_the_wait_for_others_is_as_long_as_told(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    path = tmp_path / "locked.db"
    command = command_on(f"sqlite:///{path}")
    if arguments[0] == "downgrade":
        command("migrate")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        result = command(*arguments, "--wait", "0.2")

    assert result.exit_code == 1
    assert "waited 0.2 s for another process" in result.stderr
