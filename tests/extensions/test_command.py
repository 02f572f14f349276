"""`synthorg-db` looks after the tables of extensions as after the library's own."""

import json

import pytest
from typer.testing import Result

from tests.cli.conftest import Command, command, lasting_server, url
from tests.extensions.conftest import EXTENSIONS

__all__ = ["command", "lasting_server", "url"]

NAMED = [
    argument
    for each in EXTENSIONS
    for argument in ("--extension", f"tests.extensions.{each.name}:{each.name}")
]


def run(command: Command, *arguments: str) -> Result:
    return command(*arguments, *NAMED)


def states(command: Command) -> dict[str, str]:
    status = json.loads(run(command, "status", "--json").stdout)
    extensions = {name: each["state"] for name, each in status["extensions"].items()}
    return {"": status["state"], **extensions}


def test_migrate_brings_all_to_their_heads(command: Command) -> None:
    assert run(command, "migrate").exit_code == 0

    assert states(command) == {"": "current", "ledger": "current", "office": "current"}
    assert run(command, "check").exit_code == 0


def test_one_extension_is_taken_back_alone(command: Command) -> None:
    run(command, "migrate")

    assert run(command, "downgrade", "base", "--of", "office", "--yes").exit_code == 0

    assert states(command) == {"": "current", "ledger": "current", "office": "empty"}


@pytest.mark.parametrize(
    ("of", "dependent"), [(["--of", "ledger"], "office"), ([], "ledger")], ids=["ledger", "library"]
)
def test_what_others_refer_to_is_not_taken_back(
    command: Command, of: list[str], dependent: str
) -> None:
    run(command, "migrate")

    result = run(command, "downgrade", "base", *of, "--yes")

    assert result.exit_code == 1
    assert f"the extension {dependent} refers to its tables" in result.stderr
    assert set(states(command).values()) == {"current"}


def test_history_lists_the_revisions_of_one_owner(command: Command) -> None:
    assert run(command, "history", "--of", "office").stdout == (
        "0001: make the tables of the office.\n"
    )


def test_an_unknown_extension_is_refused_with_those_that_are_known(command: Command) -> None:
    result = run(command, "history", "--of", "cellar")

    assert result.exit_code == 2
    assert "there is no extension cellar; those known are: ledger, office" in result.stderr


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("tests.extensions.nowhere:it", "cannot load the extension tests.extensions.nowhere:it"),
        ("tests.extensions.ledger:it", "cannot load the extension tests.extensions.ledger:it"),
        ("tests.extensions.ledger:Approval", "is no Extension, but a ModelMetaclass"),
    ],
)
def test_what_cannot_be_loaded_is_told(command: Command, named: str, reason: str) -> None:
    result = command("status", "--extension", named)

    assert result.exit_code == 2
    assert reason in " ".join(result.stderr.replace("│", " ").split())
