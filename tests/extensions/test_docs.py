"""The page on extensions does what it says, from its first listing to its last."""

import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tests.listings import CHECKOUT, listings

PAGE = CHECKOUT / "docs" / "extending.md"
SECONDS = 120


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def environment() -> dict[str, str]:
    """The programs of this environment are found first."""
    programs = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def test_whoever_follows_the_page_gets_what_it_promises(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = ""
    for listing in listings(PAGE):
        if listing.language != "console":
            listing.write(tmp_path)
            continue
        for command in listing.commands:
            name, _, value = command.removeprefix("export ").partition("=")
            if command.startswith("export "):
                environment[name] = value
            else:
                printed += run(command, tmp_path, environment)

    assert printed.count(" passed") == 2  # those of the skeleton, and the page's own
    assert " failed" not in printed
    assert "0001: make the tables of the office" in printed
    (named,) = re.findall(
        r'^office = "(.*)"$', (tmp_path / "pyproject.toml").read_text(), re.MULTILINE
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert EntryPoint("office", named, "synthorg.persistence.extensions").load().name == "office"
