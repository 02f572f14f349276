"""Have roll-ups of costs know the project of their tasks, so that sums look none up.

Revision: 0006_rollup_projects
Revises: 0005_audit_ageing
"""

import sqlalchemy as sa
from alembic import op

from synthorg.persistence.sql import types
from synthorg.persistence.sql.migrations import operations

revision = "0006_rollup_projects"
down_revision = "0005_audit_ageing"
branch_labels = None
depends_on = None

INDEX = "ix_cost_rollups_task_project_day"


def upgrade() -> None:
    column = sa.Column[str]("task_project", types.ShortText(255), nullable=True)
    operations.add_column("cost_rollups", column)
    operations.create_index(op.f(INDEX), "cost_rollups", ["task_project", "day"])
    operations.have_rollups_follow_tasks()


def downgrade() -> None:
    operations.leave_rollups_behind_tasks()
    operations.drop_index(INDEX, "cost_rollups")
    operations.drop_column("cost_rollups", "task_project")
