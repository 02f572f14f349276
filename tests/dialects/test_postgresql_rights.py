"""The rights that an application's user needs on PostgreSQL: those on tables, and no others."""

import json
import secrets
from collections.abc import Iterator

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import KINDS
from tests.cli.conftest import command_on
from tests.conftest import ServerPool
from tests.dialects.places import connected, task
from tests.servers.administrator import Administrator
from tests.servers.network import migrate
from tests.servers.postgresql import PostgreSQL


@pytest.fixture
def modest_url(server_pool: ServerPool) -> Iterator[str]:
    """A migrated database, as a user who may read and write its tables and nothing else."""
    name, password = f"synthorg_modest_{secrets.token_hex(4)}", secrets.token_hex(8)
    with server_pool.get(PostgreSQL).empty_database() as url:
        owner = make_url(url)
        with Administrator(owner.set(drivername="postgresql+asyncpg")) as administrator:
            try:
                administrator.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
            except DBAPIError:
                pytest.skip("to make a user takes a privilege")
            try:
                administrator.run(migrate(url))
                administrator.execute(
                    f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}"
                )
                modest = owner.set(username=name, password=password)
                yield modest.render_as_string(hide_password=False)
            finally:
                administrator.execute(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_rights_on_the_tables_are_enough_for_every_repository(
    modest_url: str, driver: str
) -> None:
    async def use(kind: Kind) -> None:
        record = kind.keyed("modest")
        await kind.store(backend, record)
        assert await kind.stored(backend, record) == record
        if not kind.append_only:
            await kind.save(
                backend, kind.altered(record, **({"version": 2} if kind.versioned else {}))
            )
        if kind.delete is not None:
            assert await kind.delete(backend, record)

    async with connected(modest_url, driver=driver) as backend:
        for kind in KINDS:
            await use(kind)


def test_rights_on_the_tables_are_enough_to_look_at_the_database(modest_url: str) -> None:
    command = command_on(modest_url)

    checked, status = command("check"), json.loads(command("status", "--json").stdout)

    assert (checked.exit_code, checked.stdout) == (0, "")
    assert status["state"] == "current"
    assert all(table["bytes"] for table in status["tables"].values())


def change_rights(server_pool: ServerPool, modest_url: str, *statements: str) -> None:
    """Have the owner of the database change what the user may do."""
    modest, server = make_url(modest_url), server_pool.get(PostgreSQL)
    assert isinstance(server, PostgreSQL)
    url = server.administrator.url.set(database=modest.database)
    with Administrator(url) as administrator:
        administrator.execute(*(each.format(user=modest.username) for each in statements))


def test_check_names_the_rights_that_a_writing_user_lacks(
    server_pool: ServerPool, modest_url: str
) -> None:
    appended = ", ".join(kind.repository for kind in KINDS if kind.append_only)
    change_rights(
        server_pool,
        modest_url,
        "REVOKE INSERT, DELETE ON tasks FROM {user}",
        f"REVOKE UPDATE, DELETE ON {appended} FROM {{user}}",
    )

    checked = command_on(modest_url)("check")

    assert checked.exit_code == 1
    assert checked.stdout.splitlines() == [
        "tasks: this user may not DELETE",
        "tasks: this user may not INSERT",
    ]


def test_check_asks_no_rights_to_write_of_a_user_who_only_looks(
    server_pool: ServerPool, modest_url: str
) -> None:
    revoked = "REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public FROM {user}"
    change_rights(server_pool, modest_url, revoked)

    assert command_on(modest_url)("check").exit_code == 0


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_rights_on_the_tables_are_enough_to_compare_positions(
    modest_url: str, driver: str
) -> None:
    place = make_url(modest_url)
    itself = f"{place.host}:{place.port}"
    async with connected(modest_url, driver=driver, replicas=itself, reads="replica") as backend:
        assert isinstance(backend, SQLPersistenceBackend)
        await backend.tasks.save(task("one"))
        assert await backend.tasks.list_tasks() == (task("one"),)
        assert backend.replicas is not None
        (replica,) = backend.replicas.all
        assert (replica.answers, replica.is_primary, replica.reason) == (1, True, None)
