"""Which costs the roll-ups stand for."""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, and_, select

from synthorg.entities.base import EARLIEST_TIME
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.statements.statement import Statement, bind, pick

_costs: Final = tables.cost_records
_state: Final = tables.cost_rollup_state

THE_ROW: Final = 1
"""The key of the only row of the table."""


class RollupState(NamedTuple):
    """Which costs the roll-ups stand for, as the one row of the table has it.

    Attributes:
        revision: A random number, which is another one whenever one of the others changes.
        rolled_up_before: The costs of before this time are in the roll-ups,
            up to those with this number:
        last_sequence_number: The number of the last of them, in the order of recording.
        pruned_before: The roll-ups of days before this one may have costs that are gone.
    """

    revision: int = 0
    rolled_up_before: datetime = EARLIEST_TIME
    last_sequence_number: int = 0
    pruned_before: datetime = EARLIEST_TIME


NOTHING_ROLLED_UP: Final = RollupState()

READING: Final = Statement(
    "get", _state, lambda _: select(*pick(_state, RollupState._fields)), parameters=()
)


async def read_state(executor: Executor) -> RollupState:
    """Read which costs the roll-ups stand for.

    Args:
        executor: What runs the statement.
    """
    rows = await executor.fetch(READING, {})
    return RollupState(*rows[0]) if rows else NOTHING_ROLLED_UP


def old() -> ColumnElement[bool]:
    """Build the condition for costs of before `rolled_up_before`."""
    return _costs.c.timestamp < bind(_state, "rolled_up_before")


def late() -> ColumnElement[bool]:
    """Build the condition for costs that were recorded after `last_sequence_number`."""
    return _costs.c.sequence_number > bind(_state, "last_sequence_number")


def rolled_up() -> ColumnElement[bool]:
    """Build the condition for costs that are in the roll-ups."""
    return and_(old(), ~late())
