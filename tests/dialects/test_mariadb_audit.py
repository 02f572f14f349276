"""A gate of the audit trail that is open in one transaction is open in no other."""

from collections.abc import Iterator

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.testing.kinds import AUDIT_ENTRIES
from tests.servers.mariadb import MariaDB


@pytest.fixture
def database(awkward_mariadb: MariaDB) -> Iterator[str]:
    """A database in which gates can be opened by hand, as if a removal took its time."""
    with awkward_mariadb.migrated_database() as url:
        name = make_url(url).database
        awkward_mariadb.administrator.execute(
            f"USE {name}", "DROP TRIGGER audit_gates_refuse_forging"
        )
        yield url


async def test_who_reads_what_is_not_committed_deletes_nothing_beside_an_open_gate(
    database: str,
) -> None:
    entry = AUDIT_ENTRIES.example
    deletion = text("DELETE FROM audit_entries WHERE id = :id")
    async with create_backend(PersistenceConfig.from_url(database)) as backend:
        await backend.audit_entries.save(entry)
        engine = backend.get_db()
        async with engine.connect() as one, engine.connect() as other:
            await other.execution_options(isolation_level="READ UNCOMMITTED")
            await other.execute(text("SET innodb_lock_wait_timeout = 1"))
            await one.execute(text("INSERT INTO audit_gates VALUES ('removal', 1)"))
            assert await other.scalar(text("SELECT is_open FROM audit_gates")) == 1
            with pytest.raises(DBAPIError):
                await other.execute(deletion, {"id": entry.id})
            await other.rollback()
            await one.execute(deletion, {"id": entry.id})  # whose gate it is
            await one.rollback()
        assert await backend.audit_entries.query() == (entry,)
