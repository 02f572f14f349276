"""How Alembic compares the metadata with a database."""

from typing import Any, Final

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import AlterColumnOp
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import Column, Identity

PLUGIN: Final = "synthorg.persistence.comparison"

COMPARISON: Final[dict[str, Any]] = {"autogenerate_plugins": ["alembic.autogenerate.*", PLUGIN]}
"""The options of a migration context in which something is compared."""


def _pass_over_identity(
    context: AutogenContext,
    _operation: AlterColumnOp,
    _schema: str | None,
    _table: str,
    _name: str,
    _found: Column[Any],
    column: Column[Any],
) -> PriorityDispatchResult:
    """Compare identity columns only where there are any; elsewhere SQLAlchemy creates none."""
    dialect = context.migration_context.dialect
    if isinstance(column.server_default, Identity) and not dialect.supports_identity_columns:
        return PriorityDispatchResult.STOP
    return PriorityDispatchResult.CONTINUE


Plugin(PLUGIN).add_autogenerate_comparator(
    _pass_over_identity, "column", "server_default", priority=DispatchPriority.FIRST
)
