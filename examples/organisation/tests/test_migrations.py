"""The revisions make what the modules declare, and take it back again."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DATABASES

SECONDS = 120


def synthorg_db(url: str, *arguments: str) -> str:
    """Run the command, which finds the extension by its entry point, and give what it prints."""
    command = Path(sys.executable).with_name("synthorg-db")
    done = subprocess.run(
        [command, *arguments, "--database", url],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("url", [each for each in DATABASES if each != "memory"], indirect=True)
def test_the_tables_are_made_checked_and_taken_back(url: str) -> None:
    synthorg_db(url, "migrate")
    synthorg_db(url, "check")
    synthorg_db(url, "downgrade", "base", "--of", "organisation", "--yes")
    synthorg_db(url, "migrate")
    synthorg_db(url, "check")
