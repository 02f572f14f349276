"""The commands in the operators' manual are ones that there are."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from synthorg.persistence.cli.app import app

PAGES = Path(__file__).resolve().parents[2] / "docs" / "operators"
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)

COMMANDS = sorted(
    {
        line
        for page in PAGES.glob("*.md")
        for block in BLOCK.findall(page.read_text())
        for line in block.splitlines()
        if line.startswith("synthorg-db ")
    }
)


def test_the_manual_has_commands() -> None:
    assert len(COMMANDS) > 5


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_manual_is_understood(command: str) -> None:
    """Arguments are parsed before the help is shown, so that a wrong one fails."""
    _, *arguments = shlex.split(command)

    assert CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0
    assert CliRunner().invoke(app, [*arguments, "--no-such-option", "--help"]).exit_code == 2
