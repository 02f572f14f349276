"""The shipped tests of a backend find what is wrong with one."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
WRONG: Final = HERE / "wrong_backends.py"

ONCE_EACH: Final = """
import pytest

found = {}

def pytest_collection_modifyitems(items):
    # What is about the broken repository comes first, which saves most of the time.
    items.sort(key=lambda item: (item.cls.repository or "rolls_back") not in item.name)

def pytest_runtest_setup(item):
    if item.cls in found:
        pytest.skip("it has been found out")

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and item.cls not in found:
        found[item.cls] = item.name
    return report

def pytest_terminal_summary(terminalreporter):
    for cls, name in found.items():
        terminalreporter.write_line(f"found: {cls.__name__} by {name}")
"""


def test_a_backend_with_one_wrong_behaviour_is_found_out_whichever_it_is(tmp_path: Path) -> None:
    classes = re.findall(r"^class (Test\w+)\(OfWrong\)", WRONG.read_text(), re.MULTILINE)
    assert len(classes) >= 10
    (tmp_path / "once_each.py").write_text(ONCE_EACH)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "once_each", "-n", "0", "--tb=no", str(WRONG)],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^found: (\w+) by", ended.stdout, re.MULTILINE)
    assert sorted(found) == sorted(classes), ended.stdout[-3000:]
