"""Whatever is done, in whatever order: the database holds what a plain model of it holds."""

from hypothesis import HealthCheck, given, settings
from sqlalchemy import delete

from synthorg.persistence.sql import tables
from synthorg.persistence.transactions import TransactionalBackend
from tests.conformance.model import STEPS, Model, Step, carry_out

MODELLED = (
    tables.tasks,
    tables.users,
    tables.workflow_definitions,
    tables.settings,
    tables.messages,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
async def test_the_database_is_always_equal_to_a_plain_model_of_it(
    backend: TransactionalBackend, steps: list[Step]
) -> None:
    await _empty(backend)
    await carry_out(steps, Model(), backend)


async def _empty(backend: TransactionalBackend) -> None:
    """Delete what another example has left, also what the library itself never deletes."""
    async with backend.get_db().begin() as connection:
        for table in MODELLED:
            await connection.execute(delete(table))
