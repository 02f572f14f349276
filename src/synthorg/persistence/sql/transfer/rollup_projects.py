"""Roll-ups that were moved, and the projects of their tasks, which are not moved with them."""

from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.repositories.cost_rollup_state import NOTHING_ROLLED_UP, THE_ROW
from synthorg.persistence.sql.repositories.cost_rollups import LOCKING
from synthorg.persistence.sql.tables import cost_rollup_state, cost_rollups, tasks

DECIDE_PROJECTS: Final = (cost_rollups, tasks)
"""The tables after which the projects are found, whichever of them was written last."""

_project: Final = (
    select(tasks.c.project).where(tasks.c.id == cost_rollups.c.task_id).scalar_subquery()
)
_FINDING: Final = (
    update(cost_rollups).where(cost_rollups.c.task_project.is_(None)).values(task_project=_project)
)
_CLEANING: Final = delete(cost_rollup_state).where(
    cost_rollup_state.c.revision == NOTHING_ROLLED_UP.revision
)


async def find_projects(connection: AsyncConnection, dialect: Dialect) -> None:
    """Have roll-ups know the projects of their tasks, as far as these are there.

    Args:
        connection: A transaction.
        dialect: The kind of database.
    """
    # Waits for tasks that are moving, whose triggers have not seen the roll-ups.
    nothing = {**NOTHING_ROLLED_UP._asdict(), "id": THE_ROW}
    await dialect.step(connection, connection.execute(LOCKING.build(dialect), nothing))
    await dialect.step(connection, connection.execute(_FINDING))
    await dialect.step(connection, connection.execute(_CLEANING))
