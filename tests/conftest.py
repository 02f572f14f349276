"""Fixtures that run a test on every database: servers, empty databases, connected backends."""

import gc
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Final

import pytest
from sqlalchemy import make_url

from synthorg.persistence import PersistenceConfig
from synthorg.persistence.factory import create_backend
from synthorg.persistence.protocol import PersistenceBackend
from tests.servers.base import Server, Unavailable, go_without
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.sqlite import SQLiteFiles, SQLiteMemory
from tests.servers.topologies import TOPOLOGIES

PREPARED_STATEMENTS: Final = os.environ.get("TEST_PREPARED_STATEMENTS", "")
"""Whether backends take the fast route where there is one: `false`, or empty for the default."""

POSTGRESQL_DRIVER: Final = os.environ.get("TEST_POSTGRESQL_DRIVER", "")
"""The driver through which backends reach PostgreSQL, or empty for the default."""
UNIT_STEPS: Final = os.environ.get("TEST_UNIT_STEPS", "")
"""Where steps of units of work on SQLite files run, or empty for the default."""

READS: Final = os.environ.get("TEST_READS", "")
"""`replica` has PostgreSQL read on its server as if that were a replica of it; or empty."""


TOPOLOGY: Final = os.environ.get("TEST_TOPOLOGY", "")
"""What takes the place of all servers, of `TOPOLOGIES`, or empty."""

SERVERS: tuple[type[Server], ...] = (SQLiteFiles, SQLiteMemory, PostgreSQL, MariaDB)
if TOPOLOGY != "":
    SERVERS = (TOPOLOGIES[TOPOLOGY],)


SLOW: Final = (
    "tests/benchmarks/",
    "tests/cli/test_copy.py",
    "tests/conformance/test_backend.py::TestBackend::test_a_stream_of_small_and_large_records_is_the_list",
    "tests/conformance/test_backend.py::TestBackend::test_saving_and_streaming_large_records",
    "tests/conformance/test_backend.py::TestBackend::test_saving_and_walking_through_many_records",
    "tests/conformance/test_kills.py",
    "tests/dialects/test_forks.py",
    "tests/dialects/test_silence.py",
    "tests/dialects/test_sqlite_crashes.py",
    "tests/extensions/test_conformance.py",
    "tests/extensions/test_docs.py",
    "tests/extensions/test_kills.py",
    "tests/extensions/test_migrations.py::test_an_upgrade_killed_at_any_statement",
    "tests/extensions/test_migrations.py::test_processes",
    "tests/extensions/test_new_extension.py",
    "tests/faults/",
    "tests/migrations/test_adoption_failures.py",
    "tests/migrations/test_command_line.py",
    "tests/migrations/test_crashes.py",
    "tests/migrations/test_locking.py::test_processes_that_migrate_at_once",
    "tests/migrations/test_populated.py",
    "tests/migrations/test_races.py",
    "tests/migrations/test_table_prefix.py",
    "tests/migrations/test_table_prefix.py::test_an_upgrade_killed",
    "tests/packaging/test_contents.py",
    "tests/packaging/test_installation.py",
    "tests/packaging/test_listings.py",
    "tests/packaging/test_readme.py",
    "tests/packaging/test_tutorial.py",
    "tests/packaging/test_typing.py",
    "tests/poolers/test_processes.py",
    "tests/testing/",
    "tests/transfer/",
)
"""What takes seconds for each test, since it starts processes, kills them or fills the memory.

These tests have the mark `slow`, and are run by `make test-slow` instead of `make test`.
"""

LONGEST: Final = (
    "tests/migrations/test_crashes.py",
    "tests/extensions/test_docs.py",
    "tests/benchmarks/",
    "tests/servers/test_servers.py",
    "tests/migrations/test_command_line.py",
    "tests/migrations/test_locking.py",
    "tests/migrations/test_races.py",
    "tests/dialects/test_silence.py",
    "tests/testing/",
    "tests/conformance/test_waiting_for_oneself.py",
)
"""What is begun first, so that in the end no process waits for another."""


class ServerPool:
    """Starts each server once in a session, when the first test asks for it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._started: dict[type[Server], Server | Unavailable] = {}

    def get(self, kind: type[Server]) -> Server:
        """Give the running server, or skip the test where there is none; in CI that fails."""
        if kind not in self._started:
            try:
                self._started[kind] = self._stack.enter_context(kind.start())
            except Unavailable as reason:
                self._started[kind] = reason
        server = self._started[kind]
        if isinstance(server, Unavailable):
            go_without(kind.name, server)
        return server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests, and put the longest first."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_collection_finish() -> None:
    """Spare the garbage collector all tests and modules, which live as long as the session."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _leave_nothing_open() -> Iterator[None]:
    """Fail in the module that left something open, instead of wherever that is collected."""
    yield
    gc.collect()
    gc.freeze()  # what has outlived the module, or each collection would take longer


@pytest.fixture(scope="session")
def server_pool() -> Iterator[ServerPool]:
    with ExitStack() as stack:
        yield ServerPool(stack)


@pytest.fixture(params=SERVERS, ids=lambda kind: kind.name)
def server(request: pytest.FixtureRequest, server_pool: ServerPool) -> Server:
    """Every kind of database in turn."""
    return server_pool.get(request.param)


@pytest.fixture
def empty_url(server: Server) -> Iterator[str]:
    """A database without tables."""
    with server.empty_database() as url:
        yield on_route(url)


@pytest.fixture
def migrated_url(server: Server) -> Iterator[str]:
    """A database at the head revision (in memory: one that its user migrates)."""
    with server.migrated_database() as url:
        yield on_route(url)


@pytest.fixture
async def backend(server: Server, migrated_url: str) -> AsyncIterator[PersistenceBackend]:
    """A connected backend on a migrated database, which must give every connection back."""
    async with connected(migrated_url) as backend:
        await server.migrate(backend)
        yield backend


def on_route(url: str, prepared_statements: str = PREPARED_STATEMENTS) -> str:
    """Choose driver and route in the URL of a database, if the environment says so.

    Args:
        url: The URL, as a server gave it.
        prepared_statements: Which route a test is about, whatever the environment says.
    """
    if prepared_statements != "":
        url = with_parameter(url, f"prepared_statements={prepared_statements}")
    if UNIT_STEPS != "" and url.startswith("sqlite:"):
        url = with_parameter(url, f"unit_steps={UNIT_STEPS}")
    if POSTGRESQL_DRIVER != "" and url.startswith("postgresql:"):
        url = with_parameter(url, f"driver={POSTGRESQL_DRIVER}")
    if READS != "" and url.startswith("postgresql:"):
        place = make_url(url)
        url = with_parameter(url, f"replicas={place.host}:{place.port}&reads={READS}")
    return url


def with_parameter(url: str, parameter: str) -> str:
    """Add a parameter to a URL.

    Args:
        url: The URL, which may have others.
        parameter: The parameter, as `name=value`.
    """
    return f"{url}{'&' if '?' in url else '?'}{parameter}"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[PersistenceBackend]:
    """Connect a backend, and check in the end that it gave every connection back."""
    backend = create_backend(PersistenceConfig.from_url(url))
    await backend.connect()
    try:
        yield backend
        assert not backend.is_connected or checked_out_connections(backend) == 0
    finally:
        await backend.disconnect()


def checked_out_connections(backend: PersistenceBackend) -> int:
    """Count the connections that a backend has not given back to its pool."""
    pool = backend.get_db().sync_engine.pool
    checked_out = getattr(pool, "checkedout", None)
    return 0 if checked_out is None else int(checked_out())


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    """Say how many tests of the one conformance suite passed on each database."""
    passed = Counter(
        kind.name
        for report in terminalreporter.stats.get("passed", ())
        for kind in SERVERS
        if re.search(rf"conformance.*\[{kind.name}(?!-memory)[-\]]", report.nodeid)
    )
    if passed:
        counts = ", ".join(f"{kind.name} {passed[kind.name]}" for kind in SERVERS)
        terminalreporter.write_line(f"conformance tests passed: {counts}")
