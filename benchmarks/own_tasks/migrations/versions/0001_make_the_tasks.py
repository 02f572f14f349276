"""Make the tasks.

Revision: 0001
Revises: nothing
"""

import sqlalchemy as sa
from alembic import op

from synthorg.persistence.extension import operations, types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    operations.create_table(
        "own_tasks",
        sa.Column("id", types.ShortText(length=255), autoincrement=False, nullable=False),
        sa.Column("title", types.LongText(), nullable=False),
        sa.Column("description", types.LongText(), nullable=False),
        sa.Column("project", types.ShortText(length=255), nullable=False),
        sa.Column("created_by", types.ShortText(length=255), nullable=False),
        sa.Column("type", types.ShortText(length=32), nullable=False),
        sa.Column("priority", types.ShortText(length=32), nullable=False),
        sa.Column("assigned_to", types.ShortText(length=255), nullable=True),
        sa.Column("reviewers", types.JsonDocument(), nullable=False),
        sa.Column("dependencies", types.JsonDocument(), nullable=False),
        sa.Column("delegation_chain", types.JsonDocument(), nullable=False),
        sa.Column("artifacts_expected", types.JsonDocument(), nullable=False),
        sa.Column("acceptance_criteria", types.JsonDocument(), nullable=False),
        sa.Column("estimated_complexity", types.ShortText(length=32), nullable=False),
        sa.Column("budget_limit", sa.Double(), nullable=False),
        sa.Column("deadline", types.LongText(), nullable=True),
        sa.Column("max_retries", sa.BigInteger(), nullable=False),
        sa.Column("status", types.ShortText(length=32), nullable=False),
        sa.Column("parent_task_id", types.ShortText(length=255), nullable=True),
        sa.Column("task_structure", types.ShortText(length=32), nullable=True),
        sa.Column("coordination_topology", types.ShortText(length=32), nullable=False),
        sa.CheckConstraint("budget_limit >= 0", name=op.f("ck_own_tasks_budget_limit")),
        sa.CheckConstraint("max_retries >= 0", name=op.f("ck_own_tasks_max_retries")),
        sa.PrimaryKeyConstraint("id"),
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
    )
    operations.create_index(
        op.f("ix_own_tasks_assigned_to_id"), "own_tasks", ["assigned_to", "id"], unique=False
    )
    operations.create_index(
        op.f("ix_own_tasks_project_id"), "own_tasks", ["project", "id"], unique=False
    )
    operations.create_index(
        op.f("ix_own_tasks_status_id"), "own_tasks", ["status", "id"], unique=False
    )


def downgrade() -> None:
    operations.drop_table("own_tasks")
