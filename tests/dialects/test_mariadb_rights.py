"""Who may not migrate on MariaDB is told so before the first table is made, and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from synthorg.persistence.sql.dialects.mysql import MariaDBDialect, MySQLDialect
from synthorg.persistence.sql.dialects.mysql_fitness import MIGRATORS_PRIVILEGES
from synthorg.persistence.sql.dialects.mysql_privileges import missing_privileges
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import KINDS
from tests.cli.conftest import command_on
from tests.dialects.awkward_mariadb import visitor
from tests.dialects.places import connected
from tests.servers.mariadb import MariaDB


@pytest.fixture
def empty(awkward_mariadb: MariaDB) -> Iterator[str]:
    """The URL of a database without tables."""
    with awkward_mariadb.empty_database() as url:
        yield url


@contextmanager
def changed(server: MariaDB, variable: str, value: str) -> Iterator[None]:
    """Change a setting of the server for a while."""
    run = server.administrator.execute
    ((usual,),) = run(f"SELECT @@global.{variable}")
    run(f"SET GLOBAL {variable} = {value}")
    try:
        yield
    finally:
        run(
            f"SET GLOBAL {variable} = '{usual}'"
            if isinstance(usual, str)
            else f"SET GLOBAL {variable} = {usual}"
        )


def refusal(server: MariaDB, url: str) -> str:
    """Migrate in vain, and give the reason, when nothing was made."""
    result = command_on(url)("migrate")
    assert result.exit_code == 1
    assert server.administrator.execute(f"SHOW TABLES FROM {make_url(url).database}") == []
    assert "nothing was touched" in result.stderr
    return result.stderr


def test_the_privileges_named_are_all_that_a_migration_needs(
    awkward_mariadb: MariaDB, empty: str
) -> None:
    grant = f"{', '.join(MIGRATORS_PRIVILEGES)} ON {{database}}.*"
    with visitor(awkward_mariadb, empty, grant) as visiting:
        assert command_on(visiting)("migrate").exit_code == 0


@pytest.mark.parametrize("missing", MIGRATORS_PRIVILEGES)
def test_who_lacks_a_privilege_is_told_which(
    awkward_mariadb: MariaDB, empty: str, missing: str
) -> None:
    others = [name for name in MIGRATORS_PRIVILEGES if name != missing]
    with visitor(awkward_mariadb, empty, f"{', '.join(others)} ON {{database}}.*") as visiting:
        said = refusal(awkward_mariadb, visiting)
    # Who may read nothing is told so when the state of the schema is looked at.
    assert f"its user lacks {missing}, " in said or f"grant it {missing} on all" in said


def test_who_may_make_no_trigger_under_a_binary_log_is_told_what_to_set(
    awkward_mariadb: MariaDB, empty: str
) -> None:
    with changed(awkward_mariadb, "log_bin_trust_function_creators", "0"):
        assert "log_bin_trust_function_creators set to 1" in refusal(awkward_mariadb, empty)
        with visitor(awkward_mariadb, empty, "ALL ON {database}.*", "SUPER ON *.*") as visiting:
            assert command_on(visiting)("migrate").exit_code == 0


def test_a_binary_log_of_statements_is_refused(awkward_mariadb: MariaDB, empty: str) -> None:
    with changed(awkward_mariadb, "binlog_format", "'STATEMENT'"):
        assert "binlog_format set to MIXED or ROW" in refusal(awkward_mariadb, empty)


@pytest.mark.parametrize("prepared", ["true", "false"])
async def test_rights_on_rows_are_enough_for_every_repository_and_do_not_empty_the_audit_trail(
    awkward_mariadb: MariaDB, prepared: str
) -> None:
    async def use(kind: Kind) -> None:
        record = kind.keyed("modest")
        await kind.store(backend, record)
        assert await kind.stored(backend, record) == record
        if not kind.append_only:
            version = {"version": 2} if kind.versioned else {}
            await kind.save(backend, kind.altered(record, **version))
        if kind.delete is not None:
            assert await kind.delete(backend, record)

    with (
        awkward_mariadb.migrated_database() as url,
        visitor(awkward_mariadb, url, "SELECT, INSERT, UPDATE, DELETE ON {database}.*") as modest,
    ):
        async with connected(modest, prepared_statements=prepared) as backend:
            for kind in KINDS:
                await use(kind)
            async with backend.get_db().connect() as connection:
                with pytest.raises(DBAPIError, match="denied"):
                    await connection.execute(text("TRUNCATE audit_entries"))


def test_privileges_by_a_role_count(awkward_mariadb: MariaDB, empty: str) -> None:
    run = awkward_mariadb.administrator.execute
    with visitor(awkward_mariadb, empty) as visiting:
        user = "visitor@'127.0.0.1'"
        run("CREATE ROLE migrators", "CREATE ROLE people", "GRANT migrators TO people")
        try:
            run(
                f"GRANT ALL ON {make_url(empty).database}.* TO migrators", f"GRANT people TO {user}"
            )
            run(f"SET DEFAULT ROLE people FOR {user}")
            assert command_on(visiting)("migrate").exit_code == 0
        finally:
            run("DROP ROLE people", "DROP ROLE migrators")


@pytest.mark.parametrize(
    ("grant", "missing"),
    [
        ("GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*0'", ["CREATE", "ALTER"]),
        ("GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION", []),
        ("GRANT ALL PRIVILEGES ON `my_db`.* TO `a`@`%`", []),
        (r"GRANT ALL PRIVILEGES ON `my\_db`.* TO `a`@`%`", []),
        (r"GRANT ALL PRIVILEGES ON `my%`.* TO `a`@`%`", []),
        (r"GRANT ALL PRIVILEGES ON `my\%`.* TO `a`@`%`", ["CREATE", "ALTER"]),
        (r"GRANT ALL PRIVILEGES ON `m.\_db`.* TO `a`@`%`", ["CREATE", "ALTER"]),
        ("GRANT ALL PRIVILEGES ON `my_db`.`tasks` TO `a`@`%`", ["CREATE", "ALTER"]),
        ("GRANT SELECT (a, b), CREATE ON `my_db`.* TO `a`@`%`", ["ALTER"]),
        ("GRANT EXECUTE ON PROCEDURE `my_db`.`p` TO `a`@`%`", ["CREATE", "ALTER"]),
        ("GRANT `people` TO `a`@`%`", ["CREATE", "ALTER"]),
    ],
)
def test_grants_are_understood(grant: str, missing: list[str]) -> None:
    assert missing_privileges([grant], ["CREATE", "ALTER"], "my_db") == missing


def test_a_privilege_of_the_server_is_not_held_by_who_owns_a_database() -> None:
    assert missing_privileges(["GRANT ALL PRIVILEGES ON `db`.* TO `a`@`%`"], ["SUPER"]) == ["SUPER"]


def test_mysql_asks_for_the_right_to_refer_to_a_table_too() -> None:
    assert {*MySQLDialect.migrators_privileges} - {*MariaDBDialect.migrators_privileges} == {
        "REFERENCES"
    }
