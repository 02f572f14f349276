"""Whoever follows the tutorial, line by line, gets the service and the answers that it shows."""

import os
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.listings import CHECKOUT, listings
from tests.packaging.conftest import Distributions

PAGE: Final = CHECKOUT / "docs" / "tutorial.md"
INTERPRETERS: Final = ("python3.11", "python3.12", "python3.13", "python3.14")
BUSY_SECONDS: Final = 400
PORT: Final = "8000"

pytestmark = [
    pytest.mark.skipif(
        "TEST_TUTORIAL" not in os.environ,
        reason="it asks a package index for FastAPI; `make test-service` runs it",
    ),
    pytest.mark.timeout(BUSY_SECONDS),
]


def executable_of(name: str) -> str | None:
    """Find an interpreter, behind whatever chooses among several."""
    if shutil.which(name) is None:
        return None
    ask = [name, "-c", "import sys; print(sys.executable)"]
    answer = subprocess.run(ask, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


FOUND: Final = {name: path for name in INTERPRETERS if (path := executable_of(name)) is not None}


def script_of(page: Path, folder: Path, wheel: Path) -> str:
    """Make a script of a page's listings, which copies each file where it is to be written."""
    meant = {"synthorg-persistence[": f"{wheel}[", PORT: str(free_port())}
    lines = ["set -em"]
    for number, listing in enumerate(listings(page)):
        lines.append(f"echo '== {number}'")
        if listing.language == "console":
            commands = "\n".join(listing.commands)
            for written, here in meant.items():
                commands = commands.replace(written, here)
            lines.append(commands)
        elif listing.language != "json":
            file = listing.write(folder / str(number))
            lines.append(f"mkdir -p {Path(listing.name).parent}")
            lines.append(f"cp {shlex.quote(str(file))} {listing.name}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", FOUND)
def test_whoever_follows_the_tutorial_gets_what_it_promises(
    name: str, tmp_path: Path, distributions: Distributions
) -> None:
    programs, here = tmp_path / "programs", tmp_path / "here"
    programs.mkdir()
    here.mkdir()
    (programs / "python3").symlink_to(FOUND[name])
    script = tmp_path / "followed.sh"
    script.write_text(script_of(PAGE, tmp_path / "files", distributions.wheel))

    followed = subprocess.run(
        ["bash", script],
        cwd=here,
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        },
        capture_output=True,
        text=True,
        timeout=BUSY_SECONDS,
        check=False,
    )

    said = followed.stdout + followed.stderr
    assert followed.returncode == 0, said
    printed = re.split(r"^== \d+\n", followed.stdout, flags=re.MULTILINE)[1:]
    for number, listing in enumerate(listings(PAGE)):
        if listing.language == "json":
            assert printed[number - 1] == listing.text, said
    assert followed.stdout.count(" passed") == 2
    assert "failed" not in followed.stdout
    assert "Success: no issues found" in followed.stdout
    assert '"assigned_to":"bob"' in (here / "taken.json").read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
