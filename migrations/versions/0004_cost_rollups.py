"""Keep sums of costs by day, so that costs can be pruned and still count.

Revision: 0004_cost_rollups
Revises: 0003_audit_guard
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from synthorg.persistence.sql import types
from synthorg.persistence.sql.migrations import operations

revision = "0004_cost_rollups"
down_revision = "0003_audit_guard"
branch_labels = None
depends_on = None

TABLE_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_0900_bin",
    "mysql_row_format": "DYNAMIC",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mariadb_row_format": "DYNAMIC",
}

COUNTS = (
    "input_tokens",
    "input_tokens_upper",
    "output_tokens",
    "output_tokens_upper",
    "records",
)


def upgrade() -> None:
    operations.create_table(
        "cost_rollups",
        sa.Column("id", types.ShortText(64), nullable=False),
        sa.Column("day", types.utc_datetime(), nullable=False),
        sa.Column("agent_id", types.ShortText(255), nullable=False),
        sa.Column("task_id", types.ShortText(255), nullable=False),
        sa.Column("project", types.ShortText(255), nullable=True),
        sa.Column("provider", types.ShortText(255), nullable=False),
        sa.Column("model", types.ShortText(255), nullable=False),
        sa.Column("call_category", types.ShortText(32), nullable=True),
        sa.Column("cost_usd", sa.Double(), nullable=False),
        *[sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTS],
        sa.CheckConstraint("cost_usd >= 0", name=op.f("ck_cost_rollups_cost_usd")),
        *[
            sa.CheckConstraint(f"{name} >= 0", name=op.f(f"ck_cost_rollups_{name}"))
            for name in COUNTS
        ],
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(op.f("ix_cost_rollups_day"), "cost_rollups", ["day"])
    for key in ("agent_id", "task_id"):
        operations.create_index(op.f(f"ix_cost_rollups_{key}_day"), "cost_rollups", [key, "day"])
    operations.create_table(
        "cost_rollup_state",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("rolled_up_before", types.utc_datetime(), nullable=False),
        sa.Column("last_sequence_number", sa.BigInteger(), nullable=False),
        sa.Column("pruned_before", types.utc_datetime(), nullable=False),
        sa.CheckConstraint("revision >= 0", name=op.f("ck_cost_rollup_state_revision")),
        sa.CheckConstraint(
            "last_sequence_number >= 0", name=op.f("ck_cost_rollup_state_last_sequence_number")
        ),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )


def downgrade() -> None:
    operations.drop_table("cost_rollup_state")
    operations.drop_table("cost_rollups")
