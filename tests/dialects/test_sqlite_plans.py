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
from sqlalchemy import ClauseElement, Delete, Select, Update
from sqlalchemy.dialects import sqlite

from synthorg.persistence import SQLiteConfig
from synthorg.persistence.sql.dialects.sqlite import SQLiteDialect
from synthorg.persistence.sql.queries import LIMIT, SINCE, UNTIL, ListQuery
from synthorg.persistence.sql.repositories.costs import SQLCostRecordRepository
from synthorg.persistence.sql.repositories.execution import SQLCheckpointRepository
from synthorg.persistence.sql.repository import Repository
from synthorg.persistence.sql.statements import Statement
from tests.conformance.kinds import KINDS, MOMENT

DIALECT: Final = SQLiteDialect(SQLiteConfig(path=":memory:"))
DIALECT_OF_SQL: Final = sqlite.dialect()
NEVER_WHOLE: Final = (SQLCheckpointRepository._checkpoints,)  # noqa: SLF001 (nobody else asks)
"""Lists that cannot be asked for without a filter."""

TIMES: Final = {SINCE: MOMENT, UNTIL: MOMENT + timedelta(days=1)}


def repositories(base: type[Repository[Any]] = Repository) -> Iterator[type[Repository[Any]]]:
    """Find the class of every repository."""
    for repository in base.__subclasses__():
        if hasattr(repository, "table"):
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
    assert {repository.table for repository in repositories()} == {kind.table for kind in KINDS}


@pytest.mark.parametrize("query", attributes(ListQuery))
def test_every_list_is_read_from_an_index_in_its_order(sqlite_file: Path, query: ListQuery) -> None:
    filters = sorted(query._conditions.names)  # noqa: SLF001 (no caller needs to know them)
    beginning = query.after(("x",) * len(query._order_by))  # noqa: SLF001 (likewise)
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
        assert "SEARCH" in steps[0] or "COVERING INDEX" in steps[0]
        assert not [step for step in steps if "TEMP" in step]
