"""MySQL, of which no server is at hand: what its dialect writes, compiled but not run."""

from collections.abc import Iterator

import pytest
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable

from synthorg.persistence import MySQLConfig
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.dialects.mysql import MySQLDialect
from synthorg.persistence.sql.dialects.triggered import AppendOnly
from synthorg.persistence.sql.statements.statement import (
    Statement,
    deletion,
    insertion,
    replacement,
    selection,
)

DIALECT = MySQLDialect(MySQLConfig(database="agents"))


def statements() -> Iterator[tuple[str, Statement]]:
    for table in tables.metadata.sorted_tables:
        key = [column.name for column in table.primary_key]
        columns = [column.name for column in table.columns]
        yield f"insert into {table.name}", insertion(table)
        yield f"select from {table.name}", selection(table, columns, key)
        yield f"delete from {table.name}", deletion(table, key)
        if table.name != "cost_records":
            yield f"replace in {table.name}", replacement(table, ())


def compiled(statement: Statement) -> str:
    return str(statement.build(DIALECT).compile(dialect=mysql.dialect()))  # type: ignore[attr-defined]


@pytest.mark.parametrize("statement", [pytest.param(each, id=name) for name, each in statements()])
def test_every_statement_compiles_without_what_mysql_does_not_know(statement: Statement) -> None:
    sql = compiled(statement)
    for foreign in ("RETURNING", "ON CONFLICT", "NULLS ", "::"):
        assert foreign not in sql


def test_an_upsert_guards_the_row_that_owns_another_unique_key() -> None:
    sql = compiled(replacement(tables.users, {"created_at"}))
    guard, *others = sql.partition("ON DUPLICATE KEY UPDATE ")[2].split(", username = ")
    assert guard.startswith("id = if(users.id = VALUES(id), users.id, NULL)")
    assert "created_at = VALUES" not in "".join(others)


@pytest.mark.parametrize("table", tables.metadata.sorted_tables, ids=lambda table: table.name)
def test_every_table_states_its_engine_row_format_character_set_and_exact_collation(
    table: object,
) -> None:
    ddl = str(CreateTable(table).compile(dialect=mysql.dialect()))  # type: ignore[arg-type]
    assert "ENGINE=InnoDB" in ddl
    assert "ROW_FORMAT=DYNAMIC" in ddl
    assert "CHARSET=utf8mb4" in ddl
    assert "COLLATE utf8mb4_0900_bin" in ddl
    assert " TEXT" not in ddl
    assert "DATETIME " not in ddl
    assert "FLOAT" not in ddl


def test_a_page_goes_on_by_comparisons_that_the_optimizer_reads_a_range_from() -> None:
    table = tables.messages
    condition = DIALECT.after_position(
        [table.c.timestamp, table.c.id], [table.c.timestamp, table.c.id], descending=True
    )
    sql = str(condition.compile(dialect=mysql.dialect()))
    assert sql.startswith("messages.timestamp <= messages.timestamp AND (")


def test_the_audit_trail_is_protected_by_triggers() -> None:
    update, delete = DIALECT.create_triggers(AppendOnly("audit_entries"))
    assert "BEFORE UPDATE ON audit_entries" in update
    assert "BEFORE DELETE ON audit_entries" in delete


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("--read-only", "the server is read-only, as a replica is"),
        ("--super-read-only", "the server is read-only, as a replica is"),
        ("--max-session-mem-used", "the server's option --max-session-mem-used forbids it"),
        ("NO_ENGINE_SUBSTITUTION", "the server's option NO_ENGINE_SUBSTITUTION forbids it"),
    ],
)
def test_an_option_that_forbids_something_is_named_unless_the_server_is_a_replica(
    option: str, reason: str
) -> None:
    error = Exception(1290, f"The MariaDB server is running with the {option} option so it cannot")
    diagnosis = DIALECT.diagnose_driver_error(error)
    assert diagnosis is not None
    assert diagnosis.reason == reason


def test_what_meets_a_table_that_another_one_changes_is_run_again() -> None:
    """As a migration may that begins while another one, on another node, makes its tables."""
    error = Exception(1684, "Table was skipped since its definition is being modified")
    diagnosis = DIALECT.diagnose_driver_error(error)
    assert diagnosis is not None
    assert diagnosis.is_conflict
