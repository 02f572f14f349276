"""Times that PostgreSQL can hold, and Python cannot."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from synthorg.persistence import QueryError
from synthorg.persistence.testing.kinds import USERS
from tests.conftest import ServerPool
from tests.dialects.places import connected
from tests.servers.postgresql import PostgreSQL


@pytest.fixture(params=["asyncpg", "psycopg", "asyncpg&prepared_statements=false"])
def url(request: pytest.FixtureRequest, server_pool: ServerPool) -> Iterator[str]:
    """A database by each driver and route."""
    with server_pool.get(PostgreSQL).migrated_database() as url:
        yield f"{url}?driver={request.param}"


@pytest.mark.parametrize("time", ["infinity", "-infinity", "0044-03-15 BC", "12000-01-01"])
async def test_a_time_that_python_cannot_hold_makes_a_row_unreadable_and_no_more(
    url: str, time: str
) -> None:
    async with connected(url) as backend:
        await backend.users.save(USERS.example)
        async with backend.get_db().begin() as connection:
            await connection.execute(text(f"UPDATE users SET updated_at = '{time}'"))
        with pytest.raises(QueryError, match=r"^cannot (get|read) users \(id='user-1'\): ") as one:
            await backend.users.get(USERS.example.id)
        with pytest.raises(QueryError, match=r"^cannot (list|read) users\b") as many:
            await backend.users.list_users()
        assert "refused" not in f"{one.value} {many.value}"
        await backend.users.save(USERS.example)
        assert await backend.users.list_users() == (USERS.example,)
