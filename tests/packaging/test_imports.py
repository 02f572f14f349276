"""What an import of the library gives, and what it waits for."""

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

import synthorg.persistence
from synthorg.persistence import errors, paging, protocol, repositories, stores, transactions

COSTLY: Final = frozenset(
    {"aiosqlite", "alembic", "asyncmy", "asyncpg", "psycopg", "pytest", "rich", "typer"}
)

SAVING: Final = """
import asyncio
from synthorg.entities import Project
from synthorg.persistence import PersistenceConfig, create_backend

async def main():
    async with create_backend(PersistenceConfig.from_url("sqlite:///saved.db")) as backend:
        await backend.projects.save(Project(id="p", name="Website"))

asyncio.run(main())
"""


def imported(program: str, folder: Path) -> set[str]:
    """Run a program in a process of its own, and name what it has imported of what costs time."""
    report = f"import json, sys; print(json.dumps([*{{*sys.modules}} & {{*{sorted(COSTLY)!r}}}]))"
    ended = subprocess.run(
        [sys.executable, "-c", f"{program}\n{report}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(ended.stdout))


@pytest.mark.parametrize(
    "module", ["synthorg.persistence", "synthorg.persistence.extension", "synthorg.entities"]
)
def test_an_import_waits_for_neither_alembic_nor_a_driver(module: str, tmp_path: Path) -> None:
    assert imported(f"import {module}; dir({module})", tmp_path) == set()


def test_an_import_alone_waits_for_none_of_the_packages_that_it_stands_on(tmp_path: Path) -> None:
    program = "import synthorg.persistence"
    program += "\nimport sys; assert not {'sqlalchemy', 'pydantic', 'asyncio'} & {*sys.modules}"
    assert imported(program, tmp_path) == set()


def test_the_plugin_of_pytest_waits_for_nothing_of_the_library(tmp_path: Path) -> None:
    """Every run of pytest loads it, wherever it is installed."""
    program = "import synthorg.persistence.testing.plugin"
    program += "\nimport sys; assert not {'sqlalchemy', 'pydantic', 'hypothesis'} & {*sys.modules}"
    assert imported(program, tmp_path) == {"pytest"}


def test_names_wait_for_neither_alembic_nor_a_driver(tmp_path: Path) -> None:
    names = ", ".join(synthorg.persistence.__all__)
    assert imported(f"from synthorg.persistence import {names}", tmp_path) == set()


def test_a_name_of_types_alone_does_not_wait_for_sqlalchemy(tmp_path: Path) -> None:
    program = "from synthorg.persistence import PersistenceError, TaskStore"
    program += "\nimport sys; assert 'sqlalchemy' not in sys.modules"
    assert imported(program, tmp_path) == set()


@pytest.mark.parametrize("scheme", ["sqlite", "postgresql", "mariadb", "mysql"])
def test_a_backend_waits_for_no_driver_but_its_own_and_not_for_alembic(
    scheme: str, tmp_path: Path
) -> None:
    url = "sqlite:///saved.db" if scheme == "sqlite" else f"{scheme}://user@localhost/data"
    program = "from synthorg.persistence import PersistenceConfig, create_backend"
    program += f"\ncreate_backend(PersistenceConfig.from_url({url!r}))"
    own = {"sqlite": {"aiosqlite"}, "postgresql": {"asyncpg", "psycopg"}}.get(scheme, {"asyncmy"})
    assert imported(program, tmp_path) <= own


def test_whoever_saves_waits_for_one_driver_and_not_for_alembic(tmp_path: Path) -> None:
    migrated = "from tests.servers.network import migrate; import asyncio"
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"{migrated}; asyncio.run(migrate('sqlite:///{tmp_path}/saved.db'))",
        ],
        check=True,
    )
    assert imported(SAVING, tmp_path) == {"aiosqlite"}


@pytest.mark.parametrize("name", synthorg.persistence.__all__)
def test_a_public_name_is_importable_from_the_package(name: str) -> None:
    value = getattr(synthorg.persistence, name)
    homes = [import_module(f"synthorg.persistence.{each}") for each in synthorg.persistence.MODULES]
    assert any(vars(home).get(name) is value for home in homes)


@pytest.mark.parametrize(
    "module",
    [errors, paging, protocol, repositories, stores, transactions],
    ids=lambda m: m.__name__,
)
def test_each_class_of_the_contract_is_importable_from_the_package(module: object) -> None:
    classes = {
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == getattr(module, "__name__", "")
        and isinstance(value, type)
        and not name.startswith("_")
    }
    assert classes <= set(synthorg.persistence.__all__)


def test_a_type_checker_is_shown_the_same_names() -> None:
    tree = ast.parse(Path(synthorg.persistence.__file__).read_text())
    shown = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("synthorg.")
        for alias in node.names
    }
    assert shown == set(synthorg.persistence.__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="TaskRepositry"):
        _ = synthorg.persistence.TaskRepositry  # type: ignore[attr-defined]


def test_a_module_of_the_package_is_an_attribute_as_it_was_before_anything_was_lazy(
    tmp_path: Path,
) -> None:
    program = "import synthorg.persistence as p; p.errors.QueryError; p.factory.create_backend"
    assert imported(program, tmp_path) == set()
