"""Every query finds its rows by an index, in the order in which it returns them.

Without statistics, which only ANALYZE gathers, SQLite plans by the schema alone, so that empty
tables have the plans of full ones.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import ClauseElement, Delete, Select, Table, Update
from sqlalchemy.dialects import sqlite

from synthorg.persistence import SQLiteConfig
from synthorg.persistence.sql.dialects.sqlite import SQLiteDialect
from synthorg.persistence.sql.pruning.kinds import PRUNABLE
from synthorg.persistence.sql.pruning.selection import _choosing
from synthorg.persistence.sql.repositories.audit_removals import LISTING
from synthorg.persistence.sql.repositories.base import NumberedRepository, Repository
from synthorg.persistence.sql.repositories.cost_rollup_state import NOTHING_ROLLED_UP
from synthorg.persistence.sql.repositories.costs import SQLCostRecordRepository
from synthorg.persistence.sql.repositories.execution import SQLCheckpointRepository
from synthorg.persistence.sql.repositories.messages import SQLMessageRepository
from synthorg.persistence.sql.statements.queries import LIMIT, SINCE, UNTIL, ListQuery
from synthorg.persistence.sql.statements.statement import Statement
from synthorg.persistence.sql.statements.tails import TailQuery
from synthorg.persistence.sql.tables import RECORD_KEY, metadata
from synthorg.persistence.testing.kinds import KINDS, MOMENT
from tests.tables import table_of


def is_numbered(table: Table) -> bool:
    """Tell whether records are numbered, and known by their id."""
    return RECORD_KEY in table.info


DIALECT: Final = SQLiteDialect(SQLiteConfig(path=":memory:"))
DIALECT_OF_SQL: Final = sqlite.dialect()
NEVER_WHOLE: Final = (SQLCheckpointRepository._checkpoints,)  # noqa: SLF001 (nobody else asks)
"""Lists that cannot be asked for without a filter."""

TIMES: Final = {SINCE: MOMENT, UNTIL: MOMENT + timedelta(days=1)}


INDEXES: Final = {
    str(each.name): each for table in metadata.tables.values() for each in table.indexes
}

SERVED_BY: Final[dict[str, tuple[str, ...]]] = {
    "ix_agent_states_active_at_agent_id": ("listing",),
    "ix_api_keys_created_at_id": ("listing",),
    "ix_api_keys_user_id_created_at_id": ("_by_user",),
    "ix_artifacts_created_by_id": ("listing", "created_by"),
    "ix_artifacts_task_id_id": ("listing", "task_id"),
    "ix_artifacts_type_id": ("listing", "artifact_type"),
    "ix_audit_entries_action_type_timestamp_number": ("listing", "action_type"),
    "ix_audit_entries_agent_id_timestamp_number": ("listing", "agent_id"),
    "ix_audit_entries_risk_level_timestamp_number": ("listing", "risk_level"),
    "ix_audit_entries_timestamp_number": ("listing",),
    "ix_audit_entries_verdict_timestamp_number": ("listing", "verdict"),
    "ix_checkpoints_execution_id_turn_number_created_at_id": ("_checkpoints", "execution_id"),
    "ix_checkpoints_task_id_turn_number_created_at_id": ("_checkpoints", "task_id"),
    "ix_collaboration_metrics_agent_id_recorded_at_number": ("listing", "agent_id"),
    "ix_collaboration_metrics_recorded_at_number": ("listing",),
    "ix_cost_records_agent_id_sequence_number_cost_usd": ("listing", "agent_id"),
    "ix_cost_records_task_id_sequence_number_cost_usd": ("listing", "task_id"),
    "ix_cost_records_timestamp": ("listing", "since", "until"),
    "ix_heartbeats_last_heartbeat_at_execution_id": ("listing",),
    "ix_lifecycle_events_agent_id_timestamp_number": ("listing", "agent_id"),
    "ix_lifecycle_events_event_type_timestamp_number": ("listing", "event_type"),
    "ix_lifecycle_events_timestamp_number": ("listing",),
    "ix_messages_channel_timestamp_number": ("listing",),
    "ix_parked_contexts_agent_id_parked_at_id": ("_by_agent",),
    "ix_parked_contexts_parked_at_id": ("listing",),
    "ix_parked_contexts_approval_id_parked_at_id": ("_by_approval",),
    "ix_projects_lead_id": ("listing", "lead"),
    "ix_projects_status_id": ("listing", "status"),
    "ix_task_metrics_agent_id_completed_at_number": ("listing", "agent_id"),
    "ix_task_metrics_completed_at_number": ("listing",),
    "ix_tasks_assigned_to_id": ("listing", "assigned_to"),
    "ix_tasks_project_id": ("listing", "project"),
    "ix_tasks_status_id": ("listing", "status"),
    "ix_users_created_at_id": ("listing",),
    "ix_users_role": ("_count_by_role",),
    "ix_workflow_definitions_updated_at_id": ("listing",),
    "ix_workflow_definitions_workflow_type_updated_at_id": ("listing", "workflow_type"),
    "ix_workflow_executions_definition_id_updated_at_id": ("listing", "definition_id"),
    "ix_workflow_executions_status_updated_at_id": ("listing", "status"),
    "ix_workflow_executions_updated_at_id": ("listing",),
}
"""For every index what needs it, since each makes writes slower: a query of its table's repository,
and the filters."""


INDEX_OF_REMOVALS: Final = "ix_audit_removals_removed_at_id"

INDEX_OF_GATES: Final = "ix_audit_gates_is_open"
"""It serves the trigger on DELETE, for each entry that is removed."""

INDEX_OF_RANGES: Final = "ix_audit_entries_timestamp_id"
"""It serves the range of entries that a removal names."""

INDEX_OF_CHANNELS: Final = "ix_messages_channel_number"

BY_ID: Final = {f"ix_{table.name}_id" for table in metadata.tables.values() if is_numbered(table)}
"""Those by which a record is found, and is told from another one with its id."""

SERVED_BY_SUMS: Final[dict[str, tuple[str, ...]]] = {
    "ix_cost_rollups_day": ("since", "until"),
    "ix_cost_rollups_agent_id_day": ("agent_id",),
    "ix_cost_rollups_task_id_day": ("task_id",),
    "ix_cost_rollups_task_project_day": (),
}
"""The same for the indexes of roll-ups: the filters of the sum that needs it."""


def repositories(base: type[Repository[Any]] = Repository) -> Iterator[type[Repository[Any]]]:
    """Find the class of every repository."""
    for repository in base.__subclasses__():
        # Those whose calls are observed are derived, and have the same statements.
        if "table" in vars(repository) and repository.__module__.startswith("synthorg."):
            yield repository
        yield from repositories(repository)


def attributes(type_: type[Any]) -> list[Any]:
    """Find the attributes of a type that the repositories have."""
    return [
        pytest.param(value, id=f"{repository.__name__}.{name}")
        for repository in repositories()
        for name in sorted(dir(repository))
        if isinstance(value := getattr(repository, name), type_)
    ]


def plan(database: Path, statement: Statement) -> list[str]:
    """Ask SQLite how it would run a statement."""
    expression = statement.build(DIALECT)
    assert isinstance(expression, ClauseElement)
    sql = re.sub(
        r"\(__\[POSTCOMPILE_\w+\]\)", "(?, ?)", str(expression.compile(dialect=DIALECT_OF_SQL))
    )
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?"))
        return [row[-1] for row in rows]


def test_every_repository_is_looked_at() -> None:
    assert {repository.table for repository in repositories()} == {table_of(kind) for kind in KINDS}


@pytest.mark.parametrize("query", attributes(ListQuery))
def test_every_list_is_read_from_an_index_in_its_order(sqlite_file: Path, query: ListQuery) -> None:
    filters = sorted(query.filters.names)
    beginning = query.after(("x",) * len(query._order_by))  # noqa: SLF001 (no caller asks)
    for size in range(query in NEVER_WHOLE, len(filters) + 1):
        for names in combinations(filters, size):
            if query is SQLCostRecordRepository.listing and names and set(names) <= TIMES.keys():
                continue  # in the order of recording, of which a time says nothing
            for more in ({}, {LIMIT: 10}, {LIMIT: 10, **beginning}):
                given: dict[str, object] = {name: TIMES.get(name, "x") for name in names}
                statement, _ = query.narrowed({**given, **more})
                (step,) = plan(sqlite_file, statement)
                assert step.startswith("SEARCH" if names else ("SEARCH", "SCAN")), (names, more)


@pytest.mark.parametrize("statement", attributes(Statement))
def test_every_statement_with_a_condition_finds_its_rows_by_an_index(
    sqlite_file: Path, statement: Statement
) -> None:
    expression = statement.build(DIALECT)
    if isinstance(expression, Select | Update | Delete) and expression.whereclause is not None:
        steps = plan(sqlite_file, statement)
        (first, *_) = [step for step in steps if not step.startswith(("CO-ROUTINE", "SETUP"))]
        assert "SEARCH" in first or "COVERING INDEX" in first
        assert not [step for step in steps if "TEMP" in step]


def test_no_index_is_there_for_nothing() -> None:
    of_audit = {INDEX_OF_REMOVALS, INDEX_OF_GATES, INDEX_OF_RANGES}
    served = SERVED_BY.keys() | SERVED_BY_SUMS.keys() | of_audit | {INDEX_OF_CHANNELS, *BY_ID}
    assert served == INDEXES.keys()


def tails() -> list[TailQuery]:
    return [
        repository._tail  # noqa: SLF001 (nobody else asks)
        for repository in repositories()
        if issubclass(repository, NumberedRepository)
    ]


def test_a_tail_is_read_by_its_numbers_alone(sqlite_file: Path) -> None:
    assert len(tails()) == len(BY_ID)
    for tail in tails():
        by_number = "USING INTEGER PRIMARY KEY (rowid>?"
        for statement, _ in (tail.numbers(0), tail.between({}, 0, 1, 1)):
            (step,) = plan(sqlite_file, statement)
            assert by_number in step
        (step,) = plan(sqlite_file, tail.newest)
        assert step.startswith("SEARCH")


def test_a_channel_is_followed_by_an_index_of_its_own(sqlite_file: Path) -> None:
    statement, _ = SQLMessageRepository._tail.between({"channel": "x"}, 0, 1, 1)  # noqa: SLF001 (as above)
    (step,) = plan(sqlite_file, statement)
    assert f"{INDEX_OF_CHANNELS} (channel=? AND number>? AND number<?)" in step


@pytest.mark.parametrize("index", sorted(BY_ID))
def test_a_record_is_found_by_its_id(sqlite_file: Path, index: str) -> None:
    repository = next(each for each in repositories() if each.table is INDEXES[index].table)
    (step,) = plan(sqlite_file, repository._selection)  # noqa: SLF001 (as above)
    assert f"INDEX {index} (id=?)" in step


def test_the_range_of_a_removal_is_read_from_an_index(sqlite_file: Path) -> None:
    steps = plan(sqlite_file, _choosing(PRUNABLE["audit_entries"], by_time=True))
    assert [step for step in steps if f"INDEX {INDEX_OF_RANGES} " in step], steps
    assert not [step for step in steps if "TEMP" in step], steps


def test_the_index_of_removals_serves_their_list(sqlite_file: Path) -> None:
    steps = plan(sqlite_file, LISTING)
    assert [step for step in steps if f"INDEX {INDEX_OF_REMOVALS}" in step], steps


@pytest.mark.parametrize("index", SERVED_BY_SUMS)
def test_an_index_of_roll_ups_serves_its_sum(sqlite_file: Path, index: str) -> None:
    sums = SQLCostRecordRepository._sums  # noqa: SLF001 (nobody else asks)
    filters = {name: TIMES.get(name, "x") for name in SERVED_BY_SUMS[index]}
    wanted = sums.wanted(filters, ["model"] if filters else ["project"])
    state = NOTHING_ROLLED_UP._replace(revision=1)
    steps = plan(sqlite_file, sums._statement(wanted, state))  # noqa: SLF001 (as above)
    assert [step for step in steps if f"INDEX {index} " in step], steps


@pytest.mark.parametrize("filters", [("since",), ("until",), ("since", "until")])
def test_a_sum_over_days_rolled_up_reads_no_costs_but_those_that_are_not(
    sqlite_file: Path, filters: tuple[str, ...]
) -> None:
    """Of several limits at one end of a range, an index may be searched by the wider."""
    sums = SQLCostRecordRepository._sums  # noqa: SLF001 (nobody else asks)
    wanted = sums.wanted({name: TIMES[name] for name in filters}, ["project"])
    state = NOTHING_ROLLED_UP._replace(revision=1)
    statement = sums._statement(wanted, state)  # noqa: SLF001 (as above)
    expression = statement.build(DIALECT)
    assert isinstance(expression, ClauseElement)
    sql = str(expression.compile(dialect=DIALECT_OF_SQL))
    *of_costs, _, _ = sql.split(" UNION ALL ")
    assert len(of_costs) == 2 + len(filters)
    for part in of_costs:
        compared = re.findall(r"(?<!\+ )cost_records\.timestamp ([<>])", part)
        assert len(compared) == len({*compared}), part
    assert "SEARCH cost_records USING INTEGER PRIMARY KEY (rowid>?)" in plan(sqlite_file, statement)


@pytest.mark.parametrize("index", SERVED_BY)
def test_an_index_serves_its_query(sqlite_file: Path, index: str) -> None:
    name, *filters = SERVED_BY[index]
    repository = next(each for each in repositories() if each.table is INDEXES[index].table)
    query = getattr(repository, name)
    if isinstance(query, ListQuery):
        query, _ = query.narrowed({**{each: TIMES.get(each, "x") for each in filters}, LIMIT: 10})
    steps = plan(sqlite_file, query)
    assert [step for step in steps if f"INDEX {index}" in step], steps
