"""What `alembic revision --autogenerate` writes otherwise than Alembic would of itself."""

from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import (
    CreateTableOp,
    DowngradeOps,
    DropIndexOp,
    DropTableOp,
    MigrateOperation,
    MigrationScript,
    ModifyTableOps,
)
from alembic.runtime.migration import MigrationContext

from synthorg.persistence.sql.tables import APPEND_ONLY


class OperationCall(MigrateOperation):
    """A call of one of our operations on a table.

    Args:
        operation: Its name.
        table: The table.
    """

    def __init__(self, operation: str, table: str) -> None:
        self.operation = operation
        self.table = table

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Tell of the call where Alembic lists differences."""
        return self.operation, self.table


def adjust_directives(
    _context: MigrationContext, _revision: object, directives: list[MigrationScript]
) -> None:
    """Protect what is append-only, and leave indexes to the tables that are dropped.

    Args:
        directives: What Alembic would write.
    """
    for directive in directives:
        protected: list[str] = []
        for upgrade in directive.upgrade_ops_list:
            made = [each for each in upgrade.ops if isinstance(each, CreateTableOp)]
            protected += [each.table_name for each in made if each.info.pop(APPEND_ONLY, False)]
            upgrade.ops += [OperationCall("make_append_only", table) for table in protected]
        for downgrade in directive.downgrade_ops_list:
            _leave_indexes_to_tables(downgrade)
            lifted = [OperationCall("lift_append_only", table) for table in protected]
            downgrade.ops = [*lifted, *downgrade.ops]


def _leave_indexes_to_tables(downgrade: DowngradeOps) -> None:
    """Drop no index that goes with its table, since foreign keys may need it until then."""
    dropped = {each.table_name for each in downgrade.ops if isinstance(each, DropTableOp)}
    downgrade.ops = [
        each
        for each in downgrade.ops
        if not (isinstance(each, DropIndexOp | ModifyTableOps) and each.table_name in dropped)
    ]


@renderers.dispatch_for(OperationCall)
def _render_call(_: AutogenContext, call: OperationCall) -> str:
    return f"operations.{call.operation}({call.table!r})"
