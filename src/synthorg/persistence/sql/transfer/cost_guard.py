"""Costs that come from elsewhere, kept from days whose roll-ups may count them already."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, delete
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import QueryError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.repositories.cost_rollup_state import (
    NOTHING_ROLLED_UP,
    READING,
    THE_ROW,
    RollupState,
)
from synthorg.persistence.sql.repositories.cost_rollups import LOCKING
from synthorg.persistence.sql.tables import cost_records, cost_rollup_state
from synthorg.persistence.sql.transfer.canonical import moved_columns

_NAMES: Final = [column.name for column in moved_columns(cost_records)]
_NUMBER: Final = _NAMES.index("sequence_number")
_TIME: Final = _NAMES.index("timestamp")
_REVISION: Final = [column.name for column in moved_columns(cost_rollup_state)].index("revision")


def is_blank(table: Table, row: Sequence[Any]) -> bool:
    """Tell whether a row says that nothing is rolled up.

    Args:
        table: Its table.
        row: The row, as it is moved.
    """
    return table is cost_rollup_state and row[_REVISION] == NOTHING_ROLLED_UP.revision


def are_not_blank(table: Table) -> Sequence[ColumnElement[bool]]:
    """Build the conditions for rows that say something.

    Args:
        table: Their table.
    """
    if table is not cost_rollup_state:
        return ()
    return [table.c.revision != NOTHING_ROLLED_UP.revision]


async def refuse_counted_costs(
    connection: AsyncConnection, dialect: Dialect, rows: Sequence[Sequence[Any]]
) -> None:
    """Refuse costs that are not there, of which the roll-ups may count some.

    Args:
        connection: The transaction that saves them, which keeps others from rolling up.
        dialect: The kind of database.
        rows: The costs, as they are moved.

    Raises:
        QueryError: If the roll-ups may count one, so that it would count twice.
    """
    nothing = {**NOTHING_ROLLED_UP._asdict(), "id": THE_ROW}
    await dialect.step(connection, connection.execute(LOCKING.build(dialect), nothing))
    found = await dialect.step(connection, connection.execute(READING.build(dialect)))
    state = RollupState(*found.one())
    if state.revision == NOTHING_ROLLED_UP.revision:
        # The lock is kept, and nothing is left of a row that would say nothing.
        await dialect.step(connection, connection.execute(delete(cost_rollup_state)))
        return
    for row in rows:
        number, time = row[_NUMBER], row[_TIME]
        is_rolled_up = time < state.rolled_up_before and number <= state.last_sequence_number
        if is_rolled_up or time < state.pruned_before:
            raise QueryError(
                f"cannot import {cost_records.name} (sequence_number={number}): the roll-ups of "
                f"{dialect.description} may count it already, since costs of its day were pruned "
                "or rolled up there; export only costs of after that time"
            )
