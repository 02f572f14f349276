"""The pages on moving and on exporting do what they say."""

import asyncio
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from synthorg.persistence import PersistenceConfig
from synthorg.persistence.cli.app import app
from synthorg.persistence.transfer import compare_databases
from tests.packaging.conftest import CHECKOUT
from tests.servers.base import Server
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.transfer.conftest import MakeDatabase

PAGE = (CHECKOUT / "docs" / "operators" / "moving.md").read_text()
COMMANDS = re.findall(r"^synthorg-db .*$", PAGE, re.MULTILINE)
PROGRAM = "".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
EXPORTING = (CHECKOUT / "docs" / "operators" / "exporting.md").read_text()
SERVERS: dict[str, type[Server]] = {"postgresql": PostgreSQL, "mariadb": MariaDB}


def test_the_commands_of_the_page_move_a_database(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_database: MakeDatabase
) -> None:
    shutil.copy(filled, tmp_path / "synthorg.db")
    monkeypatch.chdir(tmp_path)
    urls = {
        url: make_database(SERVERS[url.partition(":")[0]])
        for url in sorted({line.split()[-1] for line in COMMANDS})
    }

    for line in COMMANDS:
        _, *arguments, target = shlex.split(line)
        result = CliRunner().invoke(app, [*arguments, urls[target]])
        assert result.exit_code == 0, result.output

    assert len(COMMANDS) == 3


def test_the_program_of_the_page_moves_a_database(filled: Path, tmp_path: Path) -> None:
    shutil.copy(filled, tmp_path / "synthorg.db")

    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert re.fullmatch(r"\d+ rows, 0 left out\n", ran.stdout)
    ends = [f"sqlite:///{tmp_path / name}" for name in ("synthorg.db", "copy.db")]
    compared = compare_databases(*map(PersistenceConfig.from_url, ends))
    assert not asyncio.run(compared).differences


def test_the_commands_of_the_page_export_and_import(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_database: MakeDatabase
) -> None:
    shutil.copy(filled, tmp_path / "synthorg.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHORG_DATABASE_URL", "sqlite:///synthorg.db")
    server = make_database(PostgreSQL)
    lines = re.findall(r"^synthorg-db .*$", EXPORTING, re.MULTILINE)

    for line in lines:
        _, *arguments = shlex.split(line)
        named = [server if each.startswith("postgresql:") else each for each in arguments]
        result = CliRunner().invoke(app, named)
        assert result.exit_code == 0, result.output

    assert len(lines) == 3
    assert {"messages.parquet", "tasks.parquet"} < {each.name for each in Path("recent").iterdir()}
    ends = [PersistenceConfig.from_url(url) for url in ("sqlite:///synthorg.db", server)]
    assert not asyncio.run(compare_databases(*ends)).differences


def test_the_program_of_the_page_on_exporting_runs(filled: Path, tmp_path: Path) -> None:
    shutil.copy(filled, tmp_path / "synthorg.db")
    (program,) = re.findall(r"```python\n(.*?)```", EXPORTING, re.DOTALL)

    for expected in ("3 messages, 0 were there already\n", "0 messages, 3 were there already\n"):
        ran = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout == expected
