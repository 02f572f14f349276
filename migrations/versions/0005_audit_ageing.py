"""Let the audit trail age: entries go when that is recorded, and in no other way.

Revision: 0005_audit_ageing
Revises: 0004_cost_rollups
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from synthorg.persistence.sql import types
from synthorg.persistence.sql.migrations import operations

revision = "0005_audit_ageing"
down_revision = "0004_cost_rollups"
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


def upgrade() -> None:
    operations.create_table(
        "audit_removals",
        sa.Column("id", types.ShortText(255), nullable=False),
        sa.Column("removed_at", types.utc_datetime(), nullable=False),
        sa.Column("removed_by", types.LongText(), nullable=False),
        sa.Column("first_timestamp", types.utc_datetime(), nullable=False),
        sa.Column("last_timestamp", types.utc_datetime(), nullable=False),
        sa.Column("last_id", types.ShortText(255), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("digest", types.ShortText(64), nullable=False),
        sa.Column("archive", types.ShortText(255), nullable=False),
        sa.CheckConstraint("entries >= 1", name=op.f("ck_audit_removals_entries")),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_audit_removals_removed_at_id"), "audit_removals", ["removed_at", "id"]
    )
    operations.create_table(
        "audit_gates",
        sa.Column("removal_id", types.ShortText(255), nullable=False),
        sa.Column("is_open", types.flag("is_open"), nullable=False),
        sa.PrimaryKeyConstraint("removal_id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(op.f("ix_audit_gates_is_open"), "audit_gates", ["is_open"])
    operations.let_audit_age()


def downgrade() -> None:
    operations.keep_audit()
    operations.drop_table("audit_gates")
    operations.drop_table("audit_removals")
