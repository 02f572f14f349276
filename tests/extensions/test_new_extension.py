"""The skeleton of an extension works as it is written, in a folder of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from synthorg.persistence.config import DATABASE_URL_VARIABLE

SECONDS = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("skeleton")
    run(folder, "-m", "synthorg.persistence.cli", "new-extension", "shop")
    return folder


def run(folder: Path, *arguments: str) -> str:
    """Run Python in the folder, and give what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, DATABASE_URL_VARIABLE: "sqlite:///shop.db", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_a_package_with_a_revision_and_a_test(folder: Path) -> None:
    assert {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    } >= {
        "alembic.ini",
        "shop/__init__.py",
        "shop/migrations/env.py",
        "shop/migrations/script.py.mako",
        "shop/migrations/versions/0001_make_the_first_tables.py",
        "tests/test_shop.py",
    }


def test_its_tests_pass(folder: Path) -> None:
    printed = run(folder, "-m", "pytest", "-p", "no:cacheprovider", "tests")
    assert re.search(r"\b\d\d passed", printed)
    assert "failed" not in printed


def test_it_is_migrated_and_checked_by_both_commands(folder: Path) -> None:
    database = ("-m", "synthorg.persistence.cli")
    run(folder, *database, "migrate")
    run(folder, "-m", "alembic", "upgrade", "head")
    run(folder, "-m", "alembic", "check")

    run(folder, *database, "check", "--extension", "shop:shop")


def test_its_types_are_right(folder: Path) -> None:
    run(folder, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "shop", "tests")


def test_what_is_there_already_is_left_alone(folder: Path) -> None:
    before = (folder / "shop" / "__init__.py").read_text()

    done = subprocess.run(
        [sys.executable, "-m", "synthorg.persistence.cli", "new-extension", "shop"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 2
    assert "is there already; nothing was written" in " ".join(done.stderr.split())
    assert (folder / "shop" / "__init__.py").read_text() == before
