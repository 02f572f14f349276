"""How Alembic compares the metadata with a database."""

from typing import Any, Final

from alembic.autogenerate import comparators
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import AlterColumnOp
from sqlalchemy import Column, Identity

OPTION: Final = "autogenerate_plugins"
PLUGIN: Final = "synthorg.persistence.comparison"

COMPARISON: Final[dict[str, Any]] = {
    # Constraints are compared by what they say, in `drift`; only Alembic 1.19.0 and 1.19.1 compare
    # their names unasked.
    OPTION: ["alembic.autogenerate.*", "~alembic.autogenerate.checkconstraint_byname", PLUGIN]
}
"""The options of a migration context in which something is compared."""


def _pass_over_identity(
    context: AutogenContext,
    operation: AlterColumnOp,
    _schema: str | None,
    _table: str,
    _name: str,
    _found: Column[Any],
    column: Column[Any],
) -> Any:
    """Compare identity columns only where there are any; elsewhere SQLAlchemy creates none."""
    migration = context.migration_context
    if (
        PLUGIN in migration.opts.get(OPTION, ())
        and isinstance(column.server_default, Identity)
        and not migration.dialect.supports_identity_columns
    ):
        operation.modify_server_default = False


try:
    from alembic.runtime.plugins import Plugin
    from alembic.util import DispatchPriority
except ImportError:
    # Before Alembic 1.18, what compares is called for every context, in the order of registration.
    comparators.dispatch_for("column")(_pass_over_identity)
else:
    Plugin(PLUGIN).add_autogenerate_comparator(
        _pass_over_identity, "column", priority=DispatchPriority.LAST
    )
