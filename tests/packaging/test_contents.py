"""What is in the distributions."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.conftest import CHECKOUT, Distributions


@pytest.fixture
def in_wheel(distributions: Distributions) -> set[str]:
    """The names of the files in the wheel."""
    with zipfile.ZipFile(distributions.wheel) as wheel:
        return set(wheel.namelist())


@pytest.fixture
def in_sdist(distributions: Distributions) -> set[str]:
    """The names of the files in the source distribution."""
    with tarfile.open(distributions.sdist) as sdist:
        return {name.partition("/")[2] for name in sdist.getnames()}


def files_below(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_the_wheel_holds_the_package_and_the_migrations_and_nothing_else(
    in_wheel: set[str],
) -> None:
    migrations = files_below(CHECKOUT / "migrations")
    assert {"env.py", "script.py.mako"} < migrations

    assert {name for name in in_wheel if ".dist-info/" not in name} == {
        *files_below(CHECKOUT / "src"),
        *(f"synthorg/persistence/migrations/{name}" for name in migrations),
    }


def test_both_packages_in_the_wheel_are_typed(in_wheel: set[str]) -> None:
    assert {"synthorg/entities/py.typed", "synthorg/persistence/py.typed"} < in_wheel


def test_the_wheel_leaves_the_namespace_to_others(in_wheel: set[str]) -> None:
    assert "synthorg/__init__.py" not in in_wheel


def test_the_source_distribution_can_be_built_tested_and_migrated_with(
    in_sdist: set[str],
) -> None:
    assert {"pyproject.toml", "README.md", "LICENSE", "alembic.ini", "Makefile"} < in_sdist
    for folder in ("src", "migrations", "tests"):
        assert {f"{folder}/{name}" for name in files_below(CHECKOUT / folder)} < in_sdist
    assert not {name for name in in_sdist if name.endswith((".pyc", ".db"))}
