"""The migrated schema is the metadata's, also where Alembic does not look.

Alembic compares neither CHECK constraints nor options of tables, so a second database is made from
the metadata alone, and both are described by what the database itself says of them.
"""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from synthorg.persistence.sql.migrations.comparison import COMPARISON
from synthorg.persistence.sql.tables import VERSION_TABLE, metadata
from tests.migrations.support import Schema, Site, site_at
from tests.servers.base import Server

EVERYWHERE = {
    "program audit_entries_refuse_update",
    "program audit_entries_refuse_unrecorded",
    "program audit_removals_carry_out",
    "program audit_gates_refuse_forging",
    "program tasks_move_rollups",
    "program tasks_leave_rollups",
}
WITHOUT_FUNCTIONS = EVERYWHERE | {
    "program audit_removals_refuse_update",
    "program audit_removals_refuse_delete",
    "program audit_gates_refuse_update",
    "program audit_gates_refuse_delete",
}
_ON_SQLITE = WITHOUT_FUNCTIONS | {
    "program audit_entries_refuse_replace",
    "program audit_removals_refuse_replace",
}
PROGRAMS = {
    "sqlite": _ON_SQLITE,
    "sqlite-memory": _ON_SQLITE,
    "postgresql": EVERYWHERE
    | {"program audit_removals_refuse_change"}
    | {
        f"program audit_{table}_{what}"
        for table in ("entries", "removals", "gates")
        for what in ("refuse", "refuse_truncate")
    },
    "mariadb": WITHOUT_FUNCTIONS,
}
"""The triggers, and on PostgreSQL the functions that they call."""


def differences(connection: Connection) -> list[object]:
    options = COMPARISON | {"version_table": VERSION_TABLE, "compare_server_default": True}
    found: list[object] = compare_metadata(
        MigrationContext.configure(connection, opts=options), metadata
    )
    return found


# PostgreSQL gives back the expression of a generated column in its own words.
@pytest.mark.filterwarnings("ignore:Computed default:UserWarning")
async def test_alembic_finds_no_difference_from_the_metadata(site: Site) -> None:
    assert await site.run(differences) == []


async def test_the_database_describes_both_alike(site: Site, server: Server) -> None:
    with server.empty_database() as url:
        async with site_at(url) as twin:
            await twin.run(metadata.create_all)
            made_from_metadata = await twin.schema()

    migrated = await site.schema()

    assert only_tables(migrated) == only_tables(made_from_metadata)


async def test_triggers_are_all_that_the_metadata_does_not_tell(site: Site, server: Server) -> None:
    schema = await site.schema()

    assert schema.keys() - only_tables(schema).keys() == PROGRAMS[server.name]


def only_tables(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if not name.startswith("program ")}
