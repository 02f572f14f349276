"""What is stored survives a migration of the tables that hold it."""

from synthorg.persistence import PersistenceBackend
from synthorg.persistence.testing.kinds import KINDS
from tests.migrations.conftest import Revisions
from tests.migrations.support import Site, stored


async def populate(backend: PersistenceBackend) -> None:
    """Save one record of every kind."""
    for kind in KINDS:
        await kind.store(backend, kind.example)


async def test_changing_a_table_that_others_refer_to_keeps_every_row(
    site: Site, revisions: Revisions
) -> None:
    """SQLite changes a column by dropping the table, others in place."""
    await populate(site.backend)
    rows = await site.run(stored)
    assert all(rows.values())
    revisions.add(
        "0002_rebuild",
        """\
        with op.batch_alter_table("workflow_definitions") as definitions:
            definitions.alter_column("name", existing_type=types.LongText(), nullable=True)
        """,
    )

    await site.backend.migrate()

    assert await site.versions() == ["0002_rebuild"]
    assert await site.run(stored) == rows
