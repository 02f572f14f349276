"""Rolling costs up: sums over past days that need not read the costs themselves."""

from datetime import UTC, datetime

from synthorg.entities.base import reason_time_is_unstorable
from synthorg.persistence.errors import UsageError
from synthorg.persistence.protocol import PersistenceBackend
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.sql.repositories.cost_rollups import Progress, RollUpReport, roll_up
from synthorg.persistence.sql.repositories.cost_sums import midnight_before

__all__ = ["RollUpReport", "roll_up_costs"]


async def roll_up_costs(
    backend: PersistenceBackend,
    *,
    before: datetime | None = None,
    progress: Progress | None = None,
) -> RollUpReport:
    """Add up the costs of past days once, so that sums over whole days need not read them.

    The costs stay, and every sum is what it was. Each day is a transaction of its own. Costs that
    are recorded later with a time of before are read one by one until this is called again. Any
    number of processes may call it at once, and an interrupted call is gone on with by the next.

    Args:
        backend: A backend of this library, which is connected.
        before: Costs of this day in UTC, and of later ones, are left as they are; without it,
            those of today.
        progress: Who is told of each day that is done.

    Returns:
        What was rolled up.

    Raises:
        NotConnectedError: If the backend is not connected.
        QueryError: If the costs of a group are too large to be added up, if the user may not lock
            tables (MySQL, MariaDB), or if the database is a node of a cluster that counts rows on
            its own.
        TransactionConflictError: If a transaction of others took too long to wait for.
        UsageError: If it is a backend of another kind, or the time cannot be stored.
    """
    if not isinstance(backend, SQLPersistenceBackend):
        raise UsageError(f"cannot roll up the costs of a {type(backend).__name__}")
    moment = datetime.now(UTC) if before is None else before
    if (reason := reason_time_is_unstorable(moment)) is not None:
        raise UsageError(f"before {reason}")
    database = backend.database_for("roll_up_costs()")
    async with backend.observed("maintenance", "roll_up_costs"):
        return await roll_up(database, midnight_before(moment), progress)
