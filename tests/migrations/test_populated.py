"""Databases with data in every table: upgraded from each released revision, and rebuilt."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Boolean, Column, Connection, DateTime, MetaData, insert, inspect, select

from synthorg.persistence.sql.migrations.drift import find_drift
from synthorg.persistence.sql.migrations.revisions import known_revisions
from synthorg.persistence.sql.migrations.runner import find_schema_state
from synthorg.persistence.sql.migrations.state import Condition
from synthorg.persistence.sql.tables import DERIVED, VERSION_TABLE, metadata
from tests.migrations.conftest import Revisions
from tests.migrations.make_assets import ASSETS, fill, make_asset
from tests.migrations.support import HEAD, Site

REVISIONS = [script.revision for script in known_revisions().walk_revisions()]

Rows = dict[str, list[dict[str, Any]]]


def read_asset(revision: str) -> Rows:
    """Read the rows of every table of an asset."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((ASSETS / f"{revision}.sql").read_text(encoding="utf-8"))
        connection.row_factory = sqlite3.Row
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        return {
            name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")]
            for (name,) in tables
            if name != VERSION_TABLE
        }


def insert_rows(connection: Connection, rows: Rows) -> None:
    """Fill a database that has the tables."""
    found = MetaData()
    found.reflect(connection, only=list(rows))
    derived = [name for name, table in metadata.tables.items() if DERIVED in table.info]
    for table in found.sorted_tables:
        if table.name in derived:
            continue  # triggers fill it
        columns = [column for column in table.columns if column.computed is None]
        values = [
            {column.name: converted(column, row[column.name]) for column in columns}
            for row in rows[table.name]
        ]
        connection.execute(insert(table), values)


def converted(column: Column[Any], value: Any) -> Any:
    """Make of SQLite's value what this database stores in the column."""
    if value is None:
        return None
    if isinstance(column.type, Boolean):
        return bool(value)
    if isinstance(column.type, DateTime):
        moment = datetime.fromisoformat(value)
        return moment if column.type.timezone else moment.replace(tzinfo=None)
    return value


def read_columns(connection: Connection, columns: Mapping[str, list[str]]) -> Rows:
    """Read some columns of some tables."""
    found = MetaData()
    found.reflect(connection, only=list(columns))

    def rows(name: str) -> list[dict[str, Any]]:
        wanted = select(*[found.tables[name].columns[column] for column in columns[name]])
        return sorted(map(dict, connection.execute(wanted).mappings()), key=repr)

    return {name: rows(name) for name in columns}


def insertable(connection: Connection, tables: Rows) -> Iterator[tuple[str, list[str]]]:
    for name in tables:
        yield name, [str(column["name"]) for column in inspect(connection).get_columns(name)]


@pytest.mark.parametrize("revision", REVISIONS)
async def test_an_upgrade_from_each_revision_keeps_every_row(
    empty_site: Site, revision: str
) -> None:
    asset = read_asset(revision)
    assert all(asset.values()), "an asset has data in every table"
    await empty_site.alembic(command.upgrade, revision)
    await empty_site.run(lambda connection: insert_rows(connection, asset))
    columns = await empty_site.run(lambda connection: dict(insertable(connection, asset)))
    before = await empty_site.run(lambda connection: read_columns(connection, columns))
    assert {name: len(rows) for name, rows in before.items()} == {
        name: len(rows) for name, rows in asset.items()
    }

    await empty_site.backend.migrate()

    assert await empty_site.run(lambda connection: read_columns(connection, columns)) == before
    assert not await empty_site.run(lambda connection: find_drift(connection, empty_site.dialect))
    state = await empty_site.run(
        lambda connection: find_schema_state(connection, empty_site.dialect)
    )
    assert state.condition is Condition.CURRENT


def test_a_released_revision_still_makes_the_schema_that_it_made() -> None:
    """Who has the old schema under its name would never get a later change of it."""
    revision, sql = make_asset()

    assert schema_of(sql) == schema_of((ASSETS / f"{revision}.sql").read_text(encoding="utf-8"))


def schema_of(sql: str) -> list[str]:
    return [line for line in sql.splitlines() if not line.startswith("INSERT INTO")]


async def test_rebuilding_every_table_keeps_rows_constraints_and_triggers(
    site: Site, revisions: Revisions
) -> None:
    """An added CHECK makes SQLite rebuild; taking it away again does so a second time."""
    await fill(site.backend)
    columns = {name: list(table.columns.keys()) for name, table in metadata.tables.items()}
    before = await site.run(lambda connection: read_columns(connection, columns))
    each_table = f"""\
        for table in {sorted(metadata.tables)!r}:
            with operations.change_table(table) as batch:
    """
    revisions.add(
        "9999_rebuilt",
        f'{each_table}            batch.create_check_constraint(op.f("ck_" + table), "1 = 1")',
        f'{each_table}            batch.drop_constraint(op.f("ck_" + table), type_="check")',
    )

    await site.backend.migrate()
    assert await site.run(lambda connection: read_columns(connection, columns)) == before
    await site.alembic(command.downgrade, HEAD)

    assert await site.run(lambda connection: read_columns(connection, columns)) == before
    assert not await site.run(lambda connection: find_drift(connection, site.dialect))
