"""The listings in the documentation pass type checks as their readers run them: strict, plain."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.listings import CHECKOUT, PAGES, listings, make_skeletons
from tests.packaging.test_typing import NODE

WITH_PYTHON: Final = [page for page in PAGES if any(listings(page, "python"))]
BUSY_SECONDS: Final = 200

RUN_BY: Final = {
    "README.md": "tests/packaging/test_readme.py",
    "docs/behaviour.md": "tests/packaging/test_behaviour_page.py",
    "docs/extending.md": "tests/extensions/test_docs.py",
    "docs/operators/exporting.md": "tests/transfer/test_docs.py",
    "docs/operators/health.md": "tests/packaging/test_health_page.py",
    "docs/operators/logging.md": "tests/test_log_events.py",
    "docs/operators/moving.md": "tests/transfer/test_docs.py",
    "docs/operators/observing.md": "tests/packaging/test_observing_page.py",
    "docs/testing-your-own.md": "tests/testing/test_docs.py",
    "docs/tutorial.md": "tests/packaging/test_tutorial.py",
}
"""Which test runs the listings of a page."""


@pytest.fixture(scope="module", params=WITH_PYTHON, ids=lambda page: page.stem)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that a page lists, and with what they import."""
    page: Path = request.param
    folder = tmp_path_factory.mktemp(page.stem)
    make_skeletons(page, folder)
    names = dict.fromkeys(listing.write(folder) for listing in listings(page, "python"))
    (folder / "listed.json").write_text(json.dumps([str(name) for name in names]))
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy has found out about the packages that all listings import."""
    return tmp_path_factory.mktemp("mypy")


def test_mypy_finds_no_fault_with_a_page(folder: Path, cache: Path) -> None:
    options = ["--strict", "--config-file=", "--explicit-package-bases", f"--cache-dir={cache}"]
    run("mypy", *options, *listed(folder), folder=folder)


@pytest.mark.skipif(NODE is None and "CI" not in os.environ, reason="pyright runs on node")
def test_pyright_finds_no_fault_with_a_page(folder: Path) -> None:
    options = {"include": listed(folder)}
    (folder / "pyrightconfig.json").write_text(json.dumps(options))
    run("pyright", "--pythonpath", sys.executable, "--project", str(folder), folder=folder)


def test_each_page_is_run_by_a_test() -> None:
    assert [page.relative_to(CHECKOUT).as_posix() for page in WITH_PYTHON] == [*RUN_BY]
    for page, test in RUN_BY.items():
        assert f'"{Path(page).name}"' in (CHECKOUT / test).read_text()


def listed(folder: Path) -> list[str]:
    names: list[str] = json.loads((folder / "listed.json").read_text())
    return names


def run(program: str, *arguments: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=BUSY_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
