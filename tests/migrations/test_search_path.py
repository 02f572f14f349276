"""Several schemas in one PostgreSQL database: the library keeps to one, and says which."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from synthorg.entities import Task
from synthorg.persistence import MigrationError, PersistenceConfig, PostgreSQLConfig
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.tables import VERSION_TABLE, metadata
from synthorg.persistence.testing.kinds import TASKS
from tests.cli.conftest import Command, command_on
from tests.conftest import ServerPool, connected
from tests.migrations.conftest import Revisions
from tests.servers.postgresql import PostgreSQL

OURS = {VERSION_TABLE, *metadata.tables}


@pytest.fixture(params=["asyncpg", "psycopg"])
def url(request: pytest.FixtureRequest, server_pool: ServerPool) -> Iterator[str]:
    """An empty database, through each driver."""
    with server_pool.get(PostgreSQL).empty_database() as url:
        yield f"{url}{'&' if '?' in url else '?'}driver={request.param}"


@pytest.fixture
def command(url: str) -> Command:
    """Run `synthorg-db` on the database."""
    return command_on(url)


def execute(url: str, *statements: str) -> Sequence[Any]:
    """Do something beside the library, and give the rows of the last statement."""

    async def run() -> Sequence[Any]:
        engine = create_dialect(PersistenceConfig.from_url(url)).create_engine()
        async with engine.begin() as connection:
            results = [await connection.execute(text(statement)) for statement in statements]
            rows = results[-1].all() if results[-1].returns_rows else []
        await engine.dispose()
        return rows

    return asyncio.run(run())


def look_in(url: str, *schemas: str) -> None:
    """Let all later connections look in these schemas, in this order."""
    ((name,),) = execute(url, "SELECT current_database()")
    execute(url, f'ALTER DATABASE "{name}" SET search_path = {", ".join(schemas)}')


def tables_in(url: str, schema: str) -> set[str]:
    rows = execute(url, f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'")
    return {name for (name,) in rows}


def status(command: Command) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command("status", "--json").stdout)
    return found


def save_and_list(url: str) -> tuple[Task, ...]:
    async def run() -> tuple[Task, ...]:
        async with connected(url) as backend:
            await backend.tasks.save(TASKS.example)
            return await backend.tasks.list_tasks()

    return asyncio.run(run())


def test_tables_of_others_later_in_the_path_are_nobodys_business(
    url: str, command: Command
) -> None:
    execute(
        url,
        "CREATE SCHEMA own",
        "CREATE TABLE public.users (id integer)",
        "CREATE VIEW public.tasks AS SELECT 1 AS one",
    )
    look_in(url, "own", "public")

    assert command("migrate").exit_code == 0

    assert tables_in(url, "own") == OURS
    assert tables_in(url, "public") == {"users"}
    assert save_and_list(url) == (TASKS.example,)
    assert command("check").exit_code == 0
    assert status(command)["schema"] == "own"
    assert status(command)["tables"]["tasks"]["rows"] == 1


def test_a_downgrade_drops_no_table_of_others(url: str, command: Command) -> None:
    execute(url, "CREATE SCHEMA own", "CREATE TABLE public.heartbeats (id integer)")
    look_in(url, "own", "public")
    command("migrate")
    execute(url, "DROP TABLE own.heartbeats")

    assert command("downgrade", "base", "--yes").exit_code == 0

    assert tables_in(url, "public") == {"heartbeats"}
    assert tables_in(url, "own") == {VERSION_TABLE}


@pytest.fixture
def earlier_schema(url: str, command: Command) -> str:
    """A schema that has come into being before the one of the tables, as "$user" does."""
    look_in(url, "later", "public")
    assert command("migrate").exit_code == 0
    execute(url, "CREATE SCHEMA later")
    return "later"


def test_a_schema_that_comes_first_later_on_changes_nothing(
    url: str, command: Command, earlier_schema: str
) -> None:
    assert save_and_list(url) == (TASKS.example,)
    checked = command("check")

    assert (checked.exit_code, checked.stdout) == (0, "")
    found = status(command)
    assert (found["state"], found["schema"]) == ("current", "public")
    assert f"in the schema public, although {earlier_schema} comes first" in found["message"]
    assert all(table["bytes"] for table in found["tables"].values())
    assert command("migrate").exit_code == 0
    assert tables_in(url, earlier_schema) == set()


def test_a_trigger_is_missed_where_the_tables_are(
    url: str, command: Command, earlier_schema: str
) -> None:
    execute(
        url,
        f"CREATE TABLE {earlier_schema}.audit (id integer)",
        "CREATE TRIGGER audit_entries_refuse_update BEFORE UPDATE ON later.audit"
        " FOR EACH ROW EXECUTE FUNCTION audit_entries_refuse()",
        "DROP TRIGGER audit_entries_refuse_update ON public.audit_entries",
    )

    checked = command("check")

    assert checked.exit_code == 1
    assert "audit_entries_refuse_update" in checked.stdout


@pytest.mark.usefixtures("earlier_schema")
def test_a_later_revision_makes_its_tables_beside_the_others(
    url: str, command: Command, revisions: Revisions
) -> None:
    revisions.add(
        "9000_added",
        "operations.create_table('added', sa.Column('id', sa.Integer()))",
    )

    assert command("migrate").exit_code == 0

    assert tables_in(url, "later") == set()
    assert tables_in(url, "public") == {"added", *OURS}


@pytest.mark.parametrize(
    "other", ["TABLE later.users (id integer)", "VIEW later.users AS SELECT 1 AS a"]
)
def test_tables_hidden_by_others_of_the_same_name_are_told(
    url: str, command: Command, earlier_schema: str, other: str
) -> None:
    execute(url, f"CREATE {other}")

    for name in ("check", "migrate"):
        refused = command(name)
        assert refused.exit_code == 1
        assert f"users: the one in {earlier_schema}" in refused.stderr
        assert "set search_path" in refused.stderr
    assert status(command)["state"] == "hidden"


@pytest.mark.usefixtures("earlier_schema")
def test_a_call_that_meets_another_table_says_which(url: str) -> None:
    execute(url, "CREATE TABLE later.tasks (id integer)")

    with pytest.raises(MigrationError, match="tasks: the one in later"):
        save_and_list(url)


def test_a_path_that_leads_nowhere_is_told(url: str, command: Command) -> None:
    look_in(url, "nowhere")

    assert status(command)["state"] == "empty"
    refused = command("migrate")
    assert refused.exit_code == 1
    assert "search_path names no schema that exists" in refused.stderr


def test_two_applications_in_schemas_of_their_own_never_see_each_other(url: str) -> None:
    execute(url, "CREATE SCHEMA first", 'CREATE SCHEMA "Second"', "CREATE TABLE users (id integer)")
    first, second = (f"{url}&schema={name}" for name in ("first", "Second"))

    for each in (first, second):
        command = command_on(each)
        assert command("migrate").exit_code == 0
        assert command("check").exit_code == 0
    assert save_and_list(first) == (TASKS.example,)

    assert tables_in(url, "first") == tables_in(url, "Second") == OURS
    assert tables_in(url, "public") == {"users"}
    assert status(command_on(first))["tables"]["tasks"]["rows"] == 1
    assert status(command_on(second))["tables"]["tasks"]["rows"] == 0


def test_a_schema_that_does_not_exist_is_told(url: str) -> None:
    result = command_on(f"{url}&schema=nowhere")("migrate")

    assert result.exit_code == 1
    assert "search_path names no schema that exists" in result.stderr


@pytest.mark.parametrize("name", ["1st", "with space", "quo'te", "", "x" * 64])
def test_a_schema_of_an_odd_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="schema"):
        PostgreSQLConfig(database="d", username="u", schema=name)
