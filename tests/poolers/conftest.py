"""A private pooler in front of the databases of PostgreSQL, for each test."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from tests.conftest import ServerPool
from tests.servers.base import Unavailable
from tests.servers.pgbouncer import pooled
from tests.servers.postgresql import PostgreSQL

Through = Callable[..., str]
"""Gives the URL of a database through a pooler of a mode, by a driver, with settings of its own."""

by_each_driver = pytest.mark.parametrize(
    "driver", ["asyncpg", "asyncpg&prepared_statements=false", "psycopg"]
)
"""Runs a test on each route to PostgreSQL."""


@contextmanager
def pooled_or_skipped(url: str, mode: str, settings: Sequence[str]) -> Iterator[str]:
    """Put a pooler in front of a database, or skip the test where there is none to be had."""
    with ExitStack() as stack:
        try:
            pooler = stack.enter_context(pooled(url, mode, settings))
        except Unavailable as reason:
            if os.environ.get("TEST_POOLERS"):
                pytest.fail(str(reason))
            pytest.skip(str(reason))
        yield pooler


@pytest.fixture
def database(server_pool: ServerPool) -> Iterator[str]:
    """A migrated database of PostgreSQL, past any pooler."""
    with server_pool.get(PostgreSQL).migrated_database() as url:
        yield url


@pytest.fixture
def through(database: str) -> Iterator[Through]:
    """What gives the URL of that database through a pooler."""
    with ExitStack() as stack:

        def through(mode: str, driver: str, *settings: str, url: str = database) -> str:
            pooler = stack.enter_context(pooled_or_skipped(url, mode, settings))
            return f"{pooler}?driver={driver}"

        yield through
