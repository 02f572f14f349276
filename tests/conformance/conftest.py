"""Fixtures for backends in other states than ready for use."""

from collections.abc import AsyncIterator

import pytest

from synthorg.persistence import PersistenceBackend
from tests.conftest import connected


@pytest.fixture
async def unmigrated(empty_url: str) -> AsyncIterator[PersistenceBackend]:
    """A connected backend without tables, where whatever is sent to the database fails."""
    async with connected(empty_url) as backend:
        yield backend
