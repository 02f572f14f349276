"""What is stored survives a migration of the tables that hold it."""

from tests.migrations.conftest import Revisions
from tests.migrations.make_assets import fill
from tests.migrations.support import Site, stored


async def test_changing_a_table_that_others_refer_to_keeps_every_row(
    site: Site, revisions: Revisions
) -> None:
    """SQLite changes a column by dropping the table, others in place."""
    await fill(site.backend)
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
