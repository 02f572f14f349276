"""Names of this library that something else has: refused by name before anything is made."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, text

from synthorg.persistence import MigrationError
from synthorg.persistence.sql.migrations.runner import find_schema_state
from synthorg.persistence.sql.migrations.state import Condition
from tests.conftest import ServerPool
from tests.migrations.support import site_at
from tests.servers.base import Server
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.sqlite import SQLiteFiles

KINDS: dict[str, type[Server]] = {each.name: each for each in (SQLiteFiles, PostgreSQL, MariaDB)}

FOREIGN_TABLE = """
CREATE FOREIGN DATA WRAPPER other;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER other;
CREATE FOREIGN TABLE users (id integer) SERVER elsewhere
"""

TAKEN = [
    ("sqlite", "CREATE VIEW users AS SELECT 1 AS one", "users: the view users"),
    ("sqlite", "CREATE TABLE Users (id INTEGER)", "users: the table Users"),
    ("sqlite", "CREATE VIRTUAL TABLE users USING fts5(id)", "users: the virtual table users"),
    (
        "sqlite",
        "CREATE TABLE other (id INTEGER); CREATE INDEX Users ON other (id)",
        "users: an index of other",
    ),
    (
        "sqlite",
        "CREATE TABLE other (id INTEGER); CREATE INDEX ix_users_role ON other (id)",
        "ix_users_role: an index of other",
    ),
    ("postgresql", "CREATE VIEW users AS SELECT 1 AS one", "users: a view"),
    ("postgresql", "CREATE MATERIALIZED VIEW users AS SELECT 1 AS one", "a materialized view"),
    ("postgresql", "CREATE SEQUENCE users", "users: a sequence"),
    ("postgresql", "CREATE TYPE users AS ENUM ('a')", "users: a type"),
    ("postgresql", "CREATE TYPE users AS (a integer)", "users: a composite type"),
    ("postgresql", "CREATE DOMAIN users AS integer", "users: a type"),
    (
        "postgresql",
        FOREIGN_TABLE,
        "users: a foreign table",
    ),
    (
        "postgresql",
        "CREATE TABLE other (id integer); CREATE INDEX users ON other (id)",
        "users: an index",
    ),
    (
        "postgresql",
        "CREATE TABLE other (id integer); CREATE INDEX ix_users_role ON other (id)",
        "ix_users_role: an index",
    ),
    ("mariadb", "CREATE VIEW users AS SELECT 1 AS one", "users: a view"),
    ("mariadb", "CREATE SEQUENCE users", "users: a sequence"),
]


def execute(connection: Connection, script: str) -> None:
    for statement in script.split(";"):
        connection.execute(text(statement))


@pytest.fixture
def url(server_pool: ServerPool, kind: str) -> Iterator[str]:
    """An empty database."""
    with server_pool.get(KINDS[kind]).empty_database() as url:
        yield url


@pytest.mark.parametrize(
    ("kind", "script", "said"), TAKEN, ids=[f"{kind} {said}" for kind, _, said in TAKEN]
)
async def test_a_name_that_something_else_has_is_refused_and_nothing_is_touched(
    url: str, script: str, said: str
) -> None:
    async with site_at(url) as site:
        await site.run(lambda connection: execute(connection, script))
        before = await site.schema()

        with pytest.raises(MigrationError) as refusal:
            await site.backend.migrate()

        assert said in str(refusal.value)
        assert str(refusal.value).endswith("nothing was touched")
        assert await site.schema() == before
        state = await site.run(lambda each: find_schema_state(each, site.dialect))
        assert state.condition is Condition.TAKEN
