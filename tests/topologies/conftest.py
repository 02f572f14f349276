"""Fixtures: clusters of this machine's own, started once for all tests that ask for one."""

import os
from collections.abc import Iterator
from itertools import count

import pytest

from tests.servers import galera, replication
from tests.servers.base import Unavailable, go_without

IS_WANTED = os.environ.get("TEST_TOPOLOGIES", "") != ""
ROUNDS = int(os.environ.get("TEST_TOPOLOGY_ROUNDS", "2"))

_names = count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave clusters alone unless `make test-topologies` asks for them."""
    if not IS_WANTED:
        for item in items:
            if "topologies" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason="`make test-topologies` runs it"))


@pytest.fixture(scope="session")
def nodes() -> Iterator[list[galera.Node]]:
    """The nodes of a Galera cluster."""
    try:
        started = galera.cluster()
        with started as nodes:
            yield nodes
    except Unavailable as reason:
        go_without("galera", reason)


@pytest.fixture
def pair() -> Iterator[replication.Pair]:
    """A PostgreSQL primary with its standby, both of which a test may kill."""
    try:
        started = replication.pair()
        with started as found:
            found.primary.execute("CREATE DATABASE organisation")
            yield found
    except Unavailable as reason:
        go_without("a PostgreSQL standby", reason)


@pytest.fixture
def urls(nodes: list[galera.Node]) -> Iterator[list[str]]:
    """An empty database, as each of the nodes shows it."""
    name = f"topology_{next(_names)}"
    nodes[0].execute(f"CREATE DATABASE {name}")
    for node in nodes:
        node.wait_for_others()
    yield [node.database(name) for node in nodes]
    nodes[0].execute(f"DROP DATABASE {name}")
