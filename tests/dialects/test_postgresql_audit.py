"""Nothing but taking its protection away changes the audit trail on PostgreSQL."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from synthorg.persistence.testing.kinds import AUDIT_ENTRIES
from tests.conftest import ServerPool, connected
from tests.servers.postgresql import PostgreSQL


@pytest.fixture
def url(server_pool: ServerPool) -> Iterator[str]:
    """A database at the head revision."""
    with server_pool.get(PostgreSQL).migrated_database() as url:
        yield url


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE audit_entries",
        "TRUNCATE tasks, audit_entries CASCADE",
        "DELETE FROM audit_entries",
        "UPDATE audit_entries SET reason = 'harmless'",
    ],
)
async def test_no_session_gets_past_the_protection(url: str, statement: str, role: str) -> None:
    async with connected(url) as backend:
        await AUDIT_ENTRIES.store(backend, AUDIT_ENTRIES.example)
        async with backend.get_db().connect() as connection:
            if role != "origin":
                try:
                    await connection.execute(text(f"SET LOCAL session_replication_role = {role}"))
                except DBAPIError:
                    pytest.skip("only a superuser may set it")
            with pytest.raises(DBAPIError, match="append-only"):
                await connection.execute(text(statement))
        assert await backend.audit_entries.query() == (AUDIT_ENTRIES.example,)
