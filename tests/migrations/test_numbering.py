"""Records that are there when numbers come are numbered by time and id, and go on from there."""

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any, Final

import pytest
from alembic import command
from sqlalchemy import Connection, Table, column, insert, select, table
from sqlalchemy.exc import DBAPIError

from synthorg.persistence import DuplicateRecordError
from synthorg.persistence.sql.dialects.audit_tables import AuditTables
from synthorg.persistence.sql.migrations.drift import find_drift
from synthorg.persistence.sql.statements.statement import insertion
from synthorg.persistence.sql.tables import NUMBER, own_time
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import (
    AUDIT_ENTRIES,
    COLLABORATION_METRICS,
    LIFECYCLE_EVENTS,
    MESSAGES,
    MOMENT,
    TASK_METRICS,
)
from tests.migrations.support import HEAD, Site
from tests.tables import table_of

BEFORE: Final = "0006_rollup_projects"
NUMBERED: Final = (
    MESSAGES,
    AUDIT_ENTRIES,
    LIFECYCLE_EVENTS,
    TASK_METRICS,
    COLLABORATION_METRICS,
)


def records_of(kind: Kind, names: Sequence[str]) -> list[Any]:
    """Make records of three moments, in the order in which they get their numbers."""
    time = own_time(table_of(kind))
    assert time is not None
    made = [
        kind.forged(kind.keyed(name), **{time.name: MOMENT + timedelta(seconds=number % 3)})
        for number, name in enumerate(names)
    ]
    return sorted(made, key=lambda record: (getattr(record, time.name), str(record.id)))


def numbers_of(connection: Connection, kind: Kind) -> list[tuple[str, int]]:
    columns = table_of(kind).columns
    rows = connection.execute(select(columns.id, columns[NUMBER]).order_by(columns[NUMBER]))
    return [(key, number) for key, number in rows]


async def save_as_before(site: Site, kind: Kind, records: Sequence[Any]) -> None:
    """Insert rows as a release does that knows of no numbers."""
    known = table_of(kind)
    statement = insertion(known)
    rows = [
        statement.coerce({name: getattr(each, name) for name in names_of(known)})
        for each in records
    ]
    old = table(known.name, *[column(name, known.columns[name].type) for name in names_of(known)])
    await site.run(lambda connection: connection.execute(insert(old), rows))


def names_of(known: Table) -> list[str]:
    return [each.name for each in known.columns if each.name != NUMBER]


@pytest.mark.parametrize("kind", NUMBERED, ids=lambda kind: str(kind.repository))
async def test_rows_are_numbered_by_time_and_id_and_counting_goes_on(
    empty_site: Site, kind: Kind
) -> None:
    async def found() -> list[tuple[str, int]]:
        return await empty_site.run(lambda connection: numbers_of(connection, kind))

    await empty_site.alembic(command.upgrade, BEFORE)
    records = records_of(kind, [f"{number:03}" for number in range(120)])
    await save_as_before(empty_site, kind, Random(1).sample(records, len(records)))

    await empty_site.alembic(command.upgrade, HEAD)

    assert await found() == [(str(each.id), place + 1) for place, each in enumerate(records)]
    await kind.save(empty_site.backend, kind.keyed("new"))
    assert (await found())[-1] == (str(kind.keyed("new").id), 121)
    # What a release before this one writes gets its number as well.
    await save_as_before(empty_site, kind, [kind.keyed("earlier")])
    assert (await found())[-1] == (str(kind.keyed("earlier").id), 122)
    assert not await empty_site.run(lambda connection: find_drift(connection, empty_site.dialect))


async def test_the_audit_trail_is_protected_before_and_after_in_both_directions(
    empty_site: Site,
) -> None:
    await empty_site.alembic(command.upgrade, BEFORE)
    entries = records_of(AUDIT_ENTRIES, ["1", "2", "3"])
    await save_as_before(empty_site, AUDIT_ENTRIES, entries)

    for revision in (HEAD, BEFORE, HEAD):
        step = command.downgrade if revision == BEFORE else command.upgrade
        await empty_site.alembic(step, revision)
        active = await empty_site.run(
            lambda each: empty_site.dialect.inspection.active_triggers(each, AuditTables())
        )
        assert set(active) == set(empty_site.dialect.trigger_names(AuditTables()))
        for statement in ("UPDATE audit_entries SET id = 'x'", "DELETE FROM audit_entries"):
            with pytest.raises(DBAPIError, match="append-only"):
                await execute(empty_site, statement)
    with pytest.raises(DuplicateRecordError):
        await empty_site.backend.audit_entries.save(entries[0])


async def execute(site: Site, statement: str) -> None:
    await site.run(lambda connection: connection.exec_driver_sql(statement))
