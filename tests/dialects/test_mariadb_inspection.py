"""What `check` finds out on MariaDB, and what it tells a user of few privileges."""

from collections.abc import Iterator

import pytest
from sqlalchemy import make_url

from tests.cli.conftest import command_on
from tests.dialects.awkward_mariadb import visitor
from tests.servers.mariadb import MariaDB

EMPTIED = (
    "CREATE OR REPLACE TRIGGER audit_entries_refuse_update BEFORE UPDATE ON audit_entries"
    " FOR EACH ROW SET @nothing = 'audit_entries is append-only'"
)

MOVED = (
    "CREATE OR REPLACE TRIGGER audit_entries_refuse_unrecorded BEFORE INSERT ON audit_entries"
    " FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_entries is append-only'"
)

DUMPED = (
    "/*!50003 CREATE OR REPLACE*/ /*!50003 TRIGGER `audit_entries_refuse_update` BEFORE UPDATE"
    " ON `audit_entries`\nFOR  EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT ="
    " 'audit_entries is append-only' */"
)
"""As a dump writes it."""


@pytest.fixture
def database(awkward_mariadb: MariaDB) -> Iterator[str]:
    """The URL of a database at the head revision."""
    with awkward_mariadb.migrated_database() as url:
        yield url


def change(server: MariaDB, url: str, statement: str) -> None:
    server.administrator.execute(f"USE {make_url(url).database}", statement)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER TABLE heartbeats ENGINE = Aria", "heartbeats: its engine is Aria"),
        (
            "ALTER TABLE heartbeats ROW_FORMAT = COMPRESSED",
            "heartbeats: its row format is Compressed",
        ),
        (
            "ALTER TABLE heartbeats MODIFY execution_id VARCHAR(255) COLLATE utf8mb4_general_ci",
            "heartbeats: execution_id is compared by utf8mb4_general_ci",
        ),
        (EMPTIED, "audit_entries has lost the trigger audit_entries_refuse_update"),
        (MOVED, "audit_entries has lost the trigger audit_entries_refuse_unrecorded"),
    ],
    ids=("engine", "row format", "collation", "an empty trigger", "another event"),
)
def test_check_finds_what_takes_a_guarantee_away(
    awkward_mariadb: MariaDB, database: str, statement: str, said: str
) -> None:
    change(awkward_mariadb, database, statement)
    result = command_on(database)("check")
    assert result.exit_code == 1
    assert said in result.stdout
    assert "problems found: 1" in result.stderr


def test_check_does_not_mind_how_a_dump_writes_a_trigger(
    awkward_mariadb: MariaDB, database: str
) -> None:
    change(awkward_mariadb, database, DUMPED)
    assert command_on(database)("check").exit_code == 0


def test_who_may_not_see_triggers_is_told_of_those_that_are_lost_alone(
    awkward_mariadb: MariaDB, database: str
) -> None:
    with visitor(awkward_mariadb, database, "SELECT ON {database}.*") as visiting:
        assert command_on(visiting)("check").exit_code == 0
        change(awkward_mariadb, database, "DROP TRIGGER audit_entries_refuse_unrecorded")
        result = command_on(visiting)("check")
    assert result.exit_code == 1
    assert "has lost the trigger audit_entries_refuse_unrecorded" in result.stdout
    assert "audit_entries_refuse_update" not in result.stdout


def test_a_user_who_may_shadow_what_guards_the_audit_trail_is_a_finding(
    awkward_mariadb: MariaDB, database: str
) -> None:
    rights = "SELECT, INSERT, UPDATE, DELETE"
    with visitor(awkward_mariadb, database, f"{rights} ON {{database}}.*") as visiting:
        assert "temporary tables" not in command_on(visiting)("doctor").stdout
    with visitor(
        awkward_mariadb, database, f"{rights}, CREATE TEMPORARY TABLES ON {{database}}.*"
    ) as visiting:
        told = command_on(visiting)("doctor", "--json").stdout
        assert "this user may create temporary tables" in told
    assert "temporary tables" not in command_on(database)("doctor").stdout
