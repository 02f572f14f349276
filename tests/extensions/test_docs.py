"""The page on extensions does what it says, from its first listing to its last."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from pydantic import Field

from synthorg.persistence import extension
from tests.packaging.conftest import CHECKOUT

PAGE = CHECKOUT / "docs" / "extending.md"
SECONDS = 120
CONTINUED = ", continued"


@dataclass(frozen=True)
class Listing:
    """A listing of the page: lines for a shell, or a file that is named in the first line."""

    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """What is typed, where it is lines for a shell."""
        return [line.removeprefix("$ ") for line in self.text.splitlines()]

    def write(self, folder: Path) -> None:
        """Write the file, or add to it."""
        name = self.text.partition("\n")[0].removeprefix("# ")
        path = folder / name.removesuffix(CONTINUED)
        assert path.suffix in {".py", ".ini", ".toml"}, f"this listing names no file: {name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(CONTINUED):
            path.write_text(f"{path.read_text()}\n\n{self.text}")
        else:
            path.write_text(self.text)


def listings() -> Iterator[Listing]:
    for language, text in re.findall(r"```(\w*)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        yield Listing(language, text)


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
    for listing in listings():
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


def test_what_the_readme_declares_can_be_declared() -> None:
    readme = (CHECKOUT / "README.md").read_text()
    found = re.search(r"```python\n(class Approval.*?)\nbackend = ", readme, re.DOTALL)
    assert found is not None
    declared = {**vars(extension), "Field": Field, "__name__": __name__}

    exec(found[1], declared)

    assert set(declared["organisation"].owned.tables) == {"approvals"}
    assert declared["ApprovalRepository"].table is declared["approvals"]
