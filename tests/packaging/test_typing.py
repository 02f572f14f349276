"""What a type checker says of an application that uses no plugin of Pydantic's."""

import re
from pathlib import Path

from mypy import api

from tests.packaging.conftest import CHECKOUT

MESSAGE = """
from datetime import UTC, datetime

from synthorg.entities import Message, MessageType

Message(
    timestamp=datetime.now(UTC), sender="ada", to="bob", type=MessageType.QUESTION,
    channel="general", content="Ready?",
)
"""


def first_example() -> str:
    """Give the first program of the README."""
    found = re.search(
        r"```python\n(import asyncio.*?)```", (CHECKOUT / "README.md").read_text(), re.DOTALL
    )
    assert found is not None
    return found[1]


def test_what_people_write_first_passes_strict_type_checks(tmp_path: Path) -> None:
    files = {"message.py": MESSAGE, "readme.py": first_example()}
    for name, program in files.items():
        (tmp_path / name).write_text(program)
    options = ["--strict", "--config-file=", f"--cache-dir={tmp_path / 'cache'}"]
    report, faults, status = api.run([*options, *(str(tmp_path / name) for name in files)])
    assert status == 0, report + faults
