"""Scripts that `alembic upgrade head --sql` writes, for an operator to run."""

import re
from io import StringIO
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection

from synthorg.persistence import PersistenceConfig
from synthorg.persistence.config import DATABASE_URL_VARIABLE
from synthorg.persistence.sql.dialects.audit_tables import AuditTables
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.dialects.rollup_tables import RollupTables
from synthorg.persistence.sql.dialects.triggered import AppendOnly
from synthorg.persistence.sql.migrations.revisions import alembic_config
from synthorg.persistence.sql.tables import VERSION_TABLE, metadata
from tests.migrations.support import Site, alembic

TRANSACTION = re.compile("(BEGIN|COMMIT)")

URLS = (
    "sqlite:///x.db",
    "postgresql://localhost/x",
    "mariadb://localhost/x",
    "mysql://localhost/x",
)


@pytest.mark.parametrize("url", URLS)
def test_a_script_is_written_without_a_database(url: str, tmp_path: Path) -> None:
    dialect = create_dialect(PersistenceConfig.from_url(url))

    script = alembic("upgrade head --sql", folder=tmp_path, url=url)

    made = r'(?:CREATE (?:TABLE|(?:UNIQUE )?INDEX)|ADD UNIQUE INDEX) "?(\w+)'
    dropped = r'DROP (?:TABLE|INDEX) "?(\w+)'
    created, gone = (set(re.findall(pattern, script)) for pattern in (made, dropped))
    of_the_metadata = {
        VERSION_TABLE,
        *metadata.tables,
        *(str(index.name) for table in metadata.tables.values() for index in table.indexes),
    }
    for what in (AppendOnly("audit_entries"), AuditTables(), RollupTables()):
        assert all(trigger in script for trigger in dialect.create_triggers(what))
    assert of_the_metadata <= created
    assert created - of_the_metadata <= gone | indexes_of_rebuilt_tables(script)
    assert re.search(rf"INSERT INTO {VERSION_TABLE} .*VALUES \('\w+'\)", script)
    assert list(tmp_path.iterdir()) == []


def indexes_of_rebuilt_tables(script: str) -> set[str]:
    """Name the indexes that went with the tables that SQLite builds anew."""
    rebuilt = re.findall(r'ALTER TABLE "?(\w+)"? RENAME TO', script)
    indexes = re.findall(r'CREATE INDEX "?(\w+)"? ON "?(\w+)', script)
    return {index for index, table in indexes if table in rebuilt}


async def test_running_the_script_is_as_good_as_migrating(
    empty_site: Site, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_URL_VARIABLE, empty_site.url)
    script = StringIO()
    config = alembic_config()
    config.output_buffer = script
    command.upgrade(config, "head", sql=True)

    def run_script(connection: Connection) -> None:
        # As the client of MariaDB does, whose statements may have others in them.
        text = re.sub(r"DELIMITER //\n(.*?) //\nDELIMITER ;", r"\1;", script.getvalue())
        for statement in text.split(";\n\n"):
            if statement.strip() and not TRANSACTION.fullmatch(statement.strip()):
                connection.exec_driver_sql(statement)

    await empty_site.run(run_script)

    assert await empty_site.schema() == await site.schema()
    assert await empty_site.versions() == await site.versions()
    await empty_site.backend.migrate()
