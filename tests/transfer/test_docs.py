"""The page on moving does what it says."""

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
