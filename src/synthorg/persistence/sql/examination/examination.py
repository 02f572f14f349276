"""All questions about a database, asked one after the other, without a change to it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import QueryError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.findings import Finding, Severity, error
from synthorg.persistence.sql.execution.error_translator import ErrorTranslator
from synthorg.persistence.sql.migrations.drift import find_drift
from synthorg.persistence.sql.migrations.runner import find_schema_problem, find_schema_state
from synthorg.persistence.sql.migrations.state import Condition
from synthorg.persistence.sql.owned_tables import OwnedTables
from synthorg.persistence.sql.transfer.comparing import in_order
from synthorg.persistence.sql.transfer.faults import explained
from synthorg.persistence.sql.transfer.fitness import PassedOver
from synthorg.persistence.sql.transfer.keys import Key, name_record
from synthorg.persistence.sql.transfer.mark import find_unfinished
from synthorg.persistence.sql.transfer.reader import TableReader
from synthorg.persistence.sql.transfer.snapshot import Snapshot

NAMED: Final = 20
"""How many unreadable records of a table are named; the others are counted."""

_ORDER: Final = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


@dataclass(frozen=True)
class Examination:
    """What was found out about a database.

    Attributes:
        database: The database, in words.
        findings: What was found, the most severe first.
    """

    database: str
    findings: tuple[Finding, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether there is nothing but notes."""
        return all(each.severity is Severity.NOTE for each in self.findings)


async def examine(
    dialect: Dialect, every: Sequence[OwnedTables], *, rows: bool = True
) -> Examination:
    """Ask all questions.

    Args:
        dialect: The kind of database.
        every: The tables of each owner.
        rows: Whether to read every record, to find those that cannot be read.
    """
    dialect.refuse_absence()
    findings: list[Finding] = []
    foreign_errors = ErrorTranslator(dialect, find_schema_problem).foreign_errors
    with dialect.read_only_view() as view:
        try:
            with explained(dialect, f"connect to {dialect.description}"):
                async with view.engine.connect() as connection:
                    try:
                        await dialect.inspect_server(connection)
                        await connection.rollback()
                        await _examine(connection, dialect, every, findings, rows=rows)
                    except foreign_errors as problem:
                        diagnosis = dialect.diagnose(problem)
                        if not diagnosis.is_damage:
                            raise
                        findings.append(_damage(diagnosis.reason))
        finally:
            await view.engine.dispose()
    ordered = sorted(findings, key=lambda each: _ORDER.index(each.severity))
    return Examination(dialect.description, tuple(ordered))


async def _examine(
    connection: AsyncConnection,
    dialect: Dialect,
    every: Sequence[OwnedTables],
    findings: list[Finding],
    *,
    rows: bool,
) -> None:
    unfinished = await connection.run_sync(find_unfinished)
    if unfinished is not None:
        findings.append(error("copy", unfinished, "see there"))
    current = []
    for owned in every:
        state = await connection.run_sync(find_schema_state, dialect, owned)
        if state.condition is Condition.CURRENT:
            current.append(owned)
            findings += await connection.run_sync(_drift, dialect, owned)
            await connection.rollback()
        else:
            findings.append(
                error("schema", f"the tables of {owned.owner}: {state.description}", "see there")
            )
    tables = in_order(current)
    names = [dialect.table_prefix + table.name for table in tables]
    findings += await connection.run_sync(lambda sync: [*dialect.examine(sync, names)])
    await connection.rollback()
    if rows:
        errors = [each.what for each in findings if each.severity is Severity.ERROR]
        for table in tables:
            # Of a table that is not as it should be, every record may be one that cannot be read.
            if not any(re.search(rf"\b{table.name}\b", what) for what in errors):
                findings += await _unreadable(Snapshot(connection, dialect), table)
                await connection.rollback()


def _damage(reason: str) -> Finding:
    return error(
        "storage",
        f"{reason}, so that not all questions could be asked",
        "stop all who use it, keep the file, and restore the last backup that is sound",
    )


def _drift(connection: Connection, dialect: Dialect, owned: OwnedTables) -> list[Finding]:
    return [
        error(
            "drift",
            problem,
            "compare with what `synthorg-db migrate --sql` makes, or restore a backup",
        )
        for problem in find_drift(connection, dialect, owned)
    ]


class _Named(PassedOver):
    """Names the records that cannot be read."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[Key] = []

    def add(self, table: Table, key: Key) -> None:
        super().add(table, key)
        self.keys.append(key)


async def _unreadable(snapshot: Snapshot, table: Table) -> Iterator[Finding]:
    named = _Named()
    try:
        async for _ in TableReader(snapshot, table, checks=True, passed_over=named).chunks():
            pass
    except QueryError as problem:  # as of a page that is damaged
        return iter([error("records", str(problem), "see what else is found, and mend that first")])
    return _of_unreadable(table, named.keys)


def _of_unreadable(table: Table, keys: Sequence[Key]) -> Iterator[Finding]:
    remedy = (
        "mend or remove it, or set unreadable_records=skip meanwhile; reading it says which field "
        "is at fault"
    )
    for key in keys[:NAMED]:
        yield error("records", f"cannot read {name_record(table, key)}", remedy)
    if len(keys) > NAMED:
        yield error("records", f"cannot read {len(keys) - NAMED} more of {table.name}", remedy)
