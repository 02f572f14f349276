"""A plugin of pytest: a backend for each test, on SQLite in memory or wherever an option says.

It is loaded by every run of pytest where it is installed, so it imports nothing before a fixture is
asked for.
"""

import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from synthorg.persistence.extension import Extension
    from synthorg.persistence.protocol import PersistenceBackend
    from synthorg.persistence.transactions import ManagedBackend

OPTION: Final = "--persistence-url"
VARIABLE: Final = "SYNTHORG_TEST_URLS"
IN_MEMORY: Final = "sqlite://"
IN_A_FILE: Final = "sqlite"
"""Stands for a temporary file for each test."""

_offers = pytest.StashKey[dict[str, dict[str, bool]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the databases from the command line."""
    parser.getgroup("synthorg-persistence").addoption(
        OPTION,
        action="append",
        metavar="URL",
        help=(
            f"a database for persistence_backend, empty and for tests alone, or '{IN_A_FILE}' for "
            "temporary files; may be repeated, and each test is run on each "
            f"(default: what {VARIABLE} lists, or SQLite in memory)"
        ),
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known by which a test says what it needs."""
    config.addinivalue_line(
        "markers", "needs(protocol): skipped for a backend that does not offer this protocol"
    )
    config.stash[_offers] = {}


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say in which fields two entities differ, since their repr shows ids alone."""
    entities = sys.modules.get("synthorg.entities.base")
    if entities is None or op != "==" or type(left) is not type(right):
        return None
    if not isinstance(left, entities.Entity) or not isinstance(right, entities.Entity):
        return None
    one, other = dict(left), dict(right)
    differing = [name for name in one if one[name] != other.get(name)]
    lines = [f"{name}: {one[name]!r} != {other.get(name)!r}" for name in differing]
    return [f"{left!r} == {right!r}", *lines]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on each database."""
    if "persistence_url" in metafunc.fixturenames and _is_ours(metafunc):
        given = metafunc.config.getoption(OPTION) or os.environ.get(VARIABLE, IN_MEMORY).split()
        names = [_name_of(url, place) for place, url in enumerate(given)]
        metafunc.parametrize("persistence_url", given, ids=names, indirect=True)


def _is_ours(metafunc: pytest.Metafunc) -> bool:
    definitions = metafunc._arg2fixturedefs.get("persistence_url", ())  # noqa: SLF001 (no public way)
    return bool(definitions) and definitions[-1].func.__module__ == __name__


def _name_of(url: str, place: int) -> str:
    """Name a database without its password."""
    kind = "sqlite-memory" if url == IN_MEMORY else url.partition(":")[0]
    return kind if place == 0 else f"{kind}-{place + 1}"


@pytest.fixture
def persistence_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of the database of a test."""
    if request.param != IN_A_FILE:
        yield request.param
        return
    folder = request.getfixturevalue("tmp_path")
    yield f"sqlite:///{folder / 'persistence.db'}"


@pytest.fixture
def persistence_extensions() -> "Sequence[Extension]":
    """The extensions whose tables a backend has, too; override it to name your own."""
    return ()


@pytest_asyncio.fixture
async def persistence_backend(
    persistence_url: str, persistence_extensions: "Sequence[Extension]"
) -> "AsyncIterator[ManagedBackend]":
    """A connected backend on a migrated database without records, which it leaves as empty.

    The test has to give each connection back. A database that has records before is refused, since
    they would be lost.
    """
    from synthorg.persistence.testing.databases import lent_backend  # noqa: PLC0415 (with drivers)

    async with lent_backend(persistence_url, persistence_extensions) as backend:
        yield backend


def note_offers(config: pytest.Config, backend: "PersistenceBackend") -> None:
    """Remember for the summary what a backend offers beyond the plain protocol."""
    from synthorg.persistence.testing.needs import CAPABILITIES  # noqa: PLC0415 (as above)

    name = type(backend).__name__
    if name not in config.stash[_offers]:
        config.stash[_offers][name] = {
            f"{protocol.__name__}: {what}": isinstance(backend, protocol)
            for protocol, what in CAPABILITIES.items()
        }


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that gives out the tests, where several share them."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[OPTION] = session.config.stash[_offers]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Collect what another process has seen."""
    node.config.stash[_offers].update(getattr(node, "workeroutput", {}).get(OPTION, {}))


def pytest_terminal_summary(
    terminalreporter: "pytest.TerminalReporter", config: pytest.Config
) -> None:
    """Say what each backend that was tested offers beyond the plain protocol."""
    for name, offers in config.stash[_offers].items():
        terminalreporter.write_sep("-", f"what {name} offers beyond PersistenceBackend")
        for what, offered in offers.items():
            terminalreporter.write_line(f"{'yes' if offered else 'no':4}{what}")
