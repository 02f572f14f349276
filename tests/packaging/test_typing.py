"""What a type checker says of an application that uses no plugin of Pydantic's."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from mypy import api

import synthorg.persistence

CALLS: Final = Path(__file__).with_name("calls.py")
NODE: Final = shutil.which("node")

MESSAGE = """
from datetime import UTC, datetime

from synthorg.entities import Message, MessageType

Message(
    timestamp=datetime.now(UTC), sender="ada", to="bob", type=MessageType.QUESTION,
    channel="general", content="Ready?",
)
"""


NAMES: Final = f"""
from synthorg.persistence import {", ".join(synthorg.persistence.__all__)}

__all__ = {synthorg.persistence.__all__!r}
"""


def test_what_people_write_first_passes_strict_type_checks(tmp_path: Path) -> None:
    files = {"message.py": MESSAGE, "names.py": NAMES}
    for name, program in files.items():
        (tmp_path / name).write_text(program)
    check_by_mypy(tmp_path, *(tmp_path / name for name in files))


def test_mypy_checks_filters_by_name_and_type_also_where_others_spell_them_out(
    tmp_path: Path,
) -> None:
    check_by_mypy(tmp_path, CALLS)


@pytest.mark.skipif(NODE is None and "CI" not in os.environ, reason="pyright runs on node")
def test_pyright_sees_each_public_name_and_checks_filters_by_name_and_type(
    tmp_path: Path,
) -> None:
    options = {"typeCheckingMode": "strict", "reportUnnecessaryTypeIgnoreComment": "error"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(options))
    shutil.copy(CALLS, tmp_path)
    (tmp_path / "names.py").write_text(NAMES)
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pyright",
        "--pythonpath",
        sys.executable,
        "--project",
        tmp_path,
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def check_by_mypy(folder: Path, *files: Path) -> None:
    """Check files as strictly as mypy does, without plugins."""
    options = ["--strict", "--config-file=", f"--cache-dir={folder / 'cache'}"]
    report, faults, status = api.run([*options, *map(str, files)])
    assert status == 0, report + faults
