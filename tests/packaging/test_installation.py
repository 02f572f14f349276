"""What works once the library is installed, outside of the checkout."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.packaging.conftest import CHECKOUT, PROJECT, Installation

HERE = Path(__file__).parent
INI = "[alembic]\nscript_location = synthorg.persistence:migrations\n"


def applied_revisions(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT version_num FROM synthorg_persistence_version")
        return [row[0] for row in rows]


def test_a_program_migrates_saves_and_gets(installation: Installation, tmp_path: Path) -> None:
    printed = installation.run("-I", HERE / "first_use.py", folder=tmp_path)

    origin = CHECKOUT / "src" if installation.kind == "editable" else installation.packages
    assert Path(printed.strip()) == origin / "synthorg" / "persistence" / "__init__.py"
    assert len(applied_revisions(tmp_path / "synthorg.db")) == 1


def test_an_operator_needs_two_lines_of_configuration(
    copied_installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "alembic.ini").write_text(INI)

    copied_installation.run(
        *("-I", "-m", "alembic", "upgrade", "head"),
        folder=tmp_path,
        SYNTHORG_DATABASE_URL="sqlite:///operated.db",
    )

    assert len(applied_revisions(tmp_path / "operated.db")) == 1


def test_another_distribution_may_share_the_namespace(
    installation: Installation, tmp_path: Path
) -> None:
    """Whether it is installed into the same folder or into another one."""
    elsewhere = tmp_path / "elsewhere" / "synthorg" / "elsewhere.py"
    beside = installation.packages / "synthorg" / "beside.py"
    for module in (elsewhere, beside):
        module.parent.mkdir(parents=True, exist_ok=True)
        module.touch()
    statement = (
        "import synthorg.beside, synthorg.elsewhere, synthorg.entities, synthorg.persistence"
    )
    try:
        installation.run("-c", statement, folder=tmp_path, PYTHONPATH=str(tmp_path / "elsewhere"))
    finally:
        beside.unlink()


@pytest.mark.parametrize("command", PROJECT["project"].get("scripts", {}))
def test_a_command_starts(installation: Installation, command: str, tmp_path: Path) -> None:
    program = installation.python.with_name(command)

    assert "--help" in installation.run(program, "--help", folder=tmp_path)


def test_the_runtime_dependencies_suffice(
    install: Callable[[str], Installation], tmp_path: Path
) -> None:
    needed = set(closure(map(Requirement, PROJECT["project"]["dependencies"])))
    absent = {
        name
        for name, owners in packages_distributions().items()
        if name.isidentifier()
        and name != "synthorg"
        and needed.isdisjoint(map(canonicalize_name, owners))
    }
    assert {"rich", "pytest"} < absent

    install("wheel").run("-I", HERE / "import_all.py", *sorted(absent), folder=tmp_path)


def closure(requirements: Iterable[Requirement]) -> Iterator[str]:
    """Name the distributions that are required, and those that they require."""
    for requirement in requirements:
        yield canonicalize_name(requirement.name)
        extras = ["", *requirement.extras]
        further = map(Requirement, requires(requirement.name) or ())
        yield from closure(
            other
            for other in further
            if other.marker is None
            or any(other.marker.evaluate({"extra": extra}) for extra in extras)
        )


@pytest.mark.parametrize("name", ["asyncpg", "psycopg", "asyncmy"])
def test_a_driver_is_not_a_runtime_dependency(name: str) -> None:
    assert name not in closure(map(Requirement, PROJECT["project"]["dependencies"]))
