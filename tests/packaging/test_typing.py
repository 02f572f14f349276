"""What a type checker says of an application that uses no plugin of Pydantic's."""

import re
from pathlib import Path

import pytest
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


@pytest.mark.parametrize("program", [MESSAGE, first_example()], ids=["message", "README"])
def test_what_people_write_first_passes_strict_type_checks(program: str, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(program)
    options = ["--strict", "--config-file=", f"--cache-dir={tmp_path / 'cache'}"]
    report, faults, status = api.run([*options, str(file)])
    assert status == 0, report + faults
