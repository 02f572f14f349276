"""`synthorg-db copy`: what it says, and how it ends."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.cli.app import app
from synthorg.persistence.testing.kinds import MESSAGES
from tests.conftest import ServerPool
from tests.servers.sqlite import SQLiteFiles


def command(*arguments: str, **environment: str) -> Result:
    environment = {"COLUMNS": "200", **environment}
    return CliRunner().invoke(app, ["copy", *arguments], env=environment)


@pytest.fixture
def filled(server_pool: ServerPool) -> Iterator[str]:
    """A database with three messages."""

    async def save(url: str) -> None:
        async with create_backend(PersistenceConfig.from_url(url)) as backend:
            for number in range(3):
                await backend.messages.save(MESSAGES.keyed(str(number)))

    with server_pool.get(SQLiteFiles).migrated_database() as url:
        asyncio.run(save(url))
        yield url


@pytest.fixture
def copied(filled: str, tmp_path: Path) -> str:
    """Its copy."""
    url = f"sqlite:///{tmp_path / 'copy.db'}"
    assert command(filled, url).exit_code == 0
    return url


def test_a_copy_is_told_in_lines_where_there_is_no_terminal(filled: str, tmp_path: Path) -> None:
    result = command(filled, f"sqlite:///{tmp_path / 'copy.db'}")

    assert result.exit_code == 0
    assert "copied and compared: 3 rows, 0 left out" in result.stdout
    assert "[3/6] copying messages" in result.stderr
    assert "[6/6] comparing messages" in result.stderr


def test_a_copy_is_shown_as_a_bar_on_a_terminal(filled: str, tmp_path: Path) -> None:
    result = command(filled, f"sqlite:///{tmp_path / 'copy.db'}", FORCE_COLOR="1")

    assert result.exit_code == 0
    assert "\r" in result.stderr
    assert "[3/6]" not in result.stderr


def test_a_copy_is_told_as_json(filled: str, tmp_path: Path) -> None:
    result = command(filled, f"sqlite:///{tmp_path / 'copy.db'}", "--json")

    report = json.loads(result.stdout)
    assert report["tables"]["messages"]["rows"] == report["rows"] == 3
    assert not report["resumed"]


def test_two_that_are_the_same_are_verified(filled: str, copied: str) -> None:
    result = command(filled, copied, "--verify-only")

    assert result.exit_code == 0
    assert "the same: 3 rows" in result.stdout
    assert json.loads(command(filled, copied, "--verify-only", "--json").stdout)["equal"]


def save_one_more(url: str) -> None:
    async def save() -> None:
        async with create_backend(PersistenceConfig.from_url(url)) as backend:
            await backend.messages.save(MESSAGES.keyed("more"))

    asyncio.run(save())


def test_two_that_differ_are_told_by_table(filled: str, copied: str) -> None:
    save_one_more(copied)

    result = command(filled, copied, "--verify-only")

    assert result.exit_code == 1
    assert "messages" in result.stdout
    assert "tasks" not in result.stdout
    assert "differ in 1 tables" in result.stderr
    as_json = json.loads(command(filled, copied, "--verify-only", "--json").stdout)
    assert as_json["tables"]["messages"]["rows"] == [3, 4]


def test_a_target_with_records_is_refused_in_one_line(filled: str, copied: str) -> None:
    save_one_more(copied)

    result = command(filled, copied)

    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "has records already" in result.stderr


def test_an_unreachable_server_has_an_exit_code_of_its_own(filled: str) -> None:
    result = command(filled, "postgresql://user:secret@127.0.0.1:1/db")

    assert result.exit_code == 3
    assert "secret" not in result.output


def test_what_cannot_be_copied_is_a_mistake_of_usage(filled: str) -> None:
    assert command(filled, filled).exit_code == 2
    assert command(filled, "sqlite:///:memory:").exit_code == 2
    assert command(filled, "postgresql://user:secret@host:port/db").exit_code == 2


def test_the_help_has_an_example() -> None:
    assert "synthorg-db copy sqlite:///synthorg.db" in command("--help").stdout
