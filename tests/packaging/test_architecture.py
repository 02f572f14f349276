"""Which module may know which, read from the import statements, also those for type checking."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from tests.packaging.conftest import CHECKOUT

SOURCE = CHECKOUT / "src"
SQL = "synthorg.persistence.sql"
DIALECTS = f"{SQL}.dialects"

KINDS = (f"{DIALECTS}.sqlite", f"{DIALECTS}.postgresql", f"{DIALECTS}.mysql")

DRIVERS = re.compile(
    r"\b(aiosqlite|asyncpg|psycopg2?|asyncmy|aiomysql|pymysql|sqlite3)\b", re.IGNORECASE
)
MAY_NAME_A_DRIVER = (
    f"{SQL}.drivers",
    DIALECTS,
    "synthorg.persistence.config",  # where one is chosen
    "synthorg.persistence.urls",  # likewise
    f"{SQL}.migrations.adoption",  # the predecessor is a SQLite file, whatever comes after it
)

FLOORS = (
    ("synthorg.persistence.cli", "synthorg.persistence.testing"),
    (
        "synthorg.persistence.diagnosis",
        "synthorg.persistence.factory",
        "synthorg.persistence.retention",
        "synthorg.persistence.rollups",
        "synthorg.persistence.transfer",
    ),
    ("synthorg.persistence.sqlite",),
    ("synthorg.persistence.extension",),
    (f"{SQL}.backend",),
    (f"{SQL}.health", f"{SQL}.unit_of_work"),
    (f"{SQL}.examination", f"{SQL}.pruning"),
    (f"{SQL}.transfer",),
    (f"{SQL}.migrations",),
    (f"{SQL}.repositories",),
    (f"{SQL}.execution",),
    (f"{SQL}.statements",),
    (DIALECTS,),
    (f"{SQL}.drivers", f"{SQL}.owned_tables", f"{SQL}.model_tables"),
    (f"{SQL}.tables",),
    (f"{SQL}.types",),
    ("synthorg.entities",),
)
"""From the top to the bottom: each may import only from those below it, and from its own."""

CONTRACT = tuple(
    f"synthorg.persistence.{name}"
    for name in ("config", "errors", "observing", "protocol", "repositories")
)
"""The modules that say what a backend is, whatever it stores its data in."""


def path_of(module: str) -> Path:
    path = SOURCE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def source_of(module: str) -> str:
    return path_of(module).read_text()


@cache
def modules() -> Sequence[str]:
    """Name every module."""
    return sorted(
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for path in SOURCE.rglob("*.py")
    )


@cache
def imports() -> Mapping[str, frozenset[str]]:
    """Map every module to those of the project that it imports."""
    known = frozenset(modules())
    return {module: frozenset(imported_by(module, known)) for module in known}


def imported_by(module: str, known: frozenset[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(source_of(module))):
        if isinstance(node, ast.Import):
            yield from known.intersection(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield from known.intersection([name if name in known else str(node.module)])


def reachable(module: str) -> set[str]:
    """Name all that a module imports, directly or not."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        new = imports()[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def belongs(module: str, *packages: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in packages)


def arrows(sources: Iterable[str], *forbidden: str) -> set[tuple[str, str]]:
    """Find what modules import, directly or not, although they must not."""
    return {
        (source, found)
        for source in sources
        for found in reachable(source)
        if belongs(found, *forbidden)
    }


def test_no_module_imports_itself_in_a_circle() -> None:
    assert [module for module in modules() if module in reachable(module)] == []


def test_entities_know_nothing_of_persistence() -> None:
    entities = [module for module in modules() if belongs(module, "synthorg.entities")]

    assert arrows(entities, "synthorg.persistence") == set()


def test_the_contract_knows_nothing_of_sql() -> None:
    assert arrows(CONTRACT, SQL) == set()


def test_every_module_of_sql_is_on_a_floor() -> None:
    floors = [name for floor in FLOORS for name in floor]

    assert [name for name in modules() if belongs(name, SQL) and not belongs(name, *floors)] == [
        SQL
    ]


def test_arrows_point_down_only() -> None:
    for level, floor in enumerate(FLOORS):
        for room in floor:
            members = [module for module in modules() if belongs(module, room)]
            beside = [other for other in floor if other != room]
            above = [name for names in FLOORS[:level] for name in names]
            assert arrows(members, *above, *beside) == set()


def test_only_dialects_and_drivers_know_a_driver() -> None:
    others = [module for module in modules() if not belongs(module, *MAY_NAME_A_DRIVER)]

    assert {module for module in others if DRIVERS.search(source_of(module))} == set()


def test_nobody_else_asks_which_dialect_it_is() -> None:
    """A difference between databases is a method of the dialect classes."""
    others = [module for module in modules() if not belongs(module, DIALECTS)]

    assert {module for module in others if asks_for_a_name(source_of(module))} == set()


def asks_for_a_name(source: str) -> bool:
    decisions = (
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare | ast.Match | ast.Subscript)
    )
    return "dialect.name" in source or any("dialect.backend_name" in text for text in decisions)


def test_only_ready_made_backends_import_a_dialect_of_their_own() -> None:
    others = [module for module in modules() if not belongs(module, DIALECTS)]

    assert {module for module in others if not imports()[module].isdisjoint(KINDS)} == {
        "synthorg.persistence.sqlite"
    }
