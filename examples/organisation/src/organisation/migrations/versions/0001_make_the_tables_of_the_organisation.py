"""Make the tables of the organisation.

Revision: 0001
Revises: nothing
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from synthorg.persistence.extension import operations, types

revision = "0001"
down_revision = None
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
        "approvals",
        sa.Column("id", types.ShortText(length=255), autoincrement=False, nullable=False),
        sa.Column("task_id", types.ShortText(length=255), nullable=False),
        sa.Column("action", types.ShortText(length=255), nullable=False),
        sa.Column("status", types.ShortText(length=32), nullable=False),
        sa.Column("requested_by", types.ShortText(length=255), nullable=False),
        sa.Column("requested_at", types.utc_datetime(), nullable=False),
        sa.Column("reason", types.LongText(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_approvals_task_id")),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_approvals_status_requested_at_id"), "approvals", ["status", "requested_at", "id"]
    )
    operations.create_index(
        op.f("ix_approvals_task_id_requested_at_id"), "approvals", ["task_id", "requested_at", "id"]
    )
    operations.create_table(
        "idempotency_keys",
        sa.Column("key", types.ShortText(length=255), autoincrement=False, nullable=False),
        sa.Column("token", types.ShortText(length=255), nullable=False),
        sa.Column("status", types.ShortText(length=32), nullable=False),
        sa.Column("claimed_at", types.utc_datetime(), nullable=False),
        sa.Column("answer", types.LongText(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_idempotency_keys_status_claimed_at_key"),
        "idempotency_keys",
        ["status", "claimed_at", "key"],
    )
    operations.create_table(
        "plans",
        sa.Column("id", types.ShortText(length=255), autoincrement=False, nullable=False),
        sa.Column("task_id", types.ShortText(length=255), nullable=False),
        sa.Column("made_at", types.utc_datetime(), nullable=False),
        sa.Column("steps", types.JsonDocument(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_plans_task_id")),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_plans_task_id_made_at_id"), "plans", ["task_id", "made_at", "id"]
    )
    operations.create_table(
        "project_costs",
        sa.Column("project_id", types.ShortText(length=255), autoincrement=False, nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_usd", sa.Double(), nullable=False),
        sa.Column("last_call_at", types.utc_datetime(), nullable=False),
        sa.CheckConstraint("calls >= 0", name=op.f("ck_project_costs_calls")),
        sa.CheckConstraint("cost_usd >= 0", name=op.f("ck_project_costs_cost_usd")),
        sa.CheckConstraint("input_tokens >= 0", name=op.f("ck_project_costs_input_tokens")),
        sa.CheckConstraint("output_tokens >= 0", name=op.f("ck_project_costs_output_tokens")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_costs_project_id")
        ),
        sa.PrimaryKeyConstraint("project_id"),
        **TABLE_OPTIONS,
    )
    operations.create_table(
        "risk_overrides",
        sa.Column("id", types.ShortText(length=255), autoincrement=False, nullable=False),
        sa.Column("action", types.ShortText(length=255), nullable=False),
        sa.Column("level", types.ShortText(length=32), nullable=False),
        sa.Column("set_by", types.ShortText(length=255), nullable=False),
        sa.Column("reason", types.LongText(), nullable=False),
        sa.Column("since", types.utc_datetime(), nullable=False),
        sa.Column("expires_at", types.utc_datetime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_risk_overrides_action_expires_at_id"),
        "risk_overrides",
        ["action", "expires_at", "id"],
    )
    operations.create_index(
        op.f("ix_risk_overrides_expires_at_id"), "risk_overrides", ["expires_at", "id"]
    )
    operations.create_table(
        "sessions",
        sa.Column("token_hash", types.ShortText(length=64), nullable=False),
        sa.Column("user_id", types.ShortText(length=255), nullable=False),
        sa.Column("created_at", types.utc_datetime(), nullable=False),
        sa.Column("expires_at", types.utc_datetime(), nullable=False),
        sa.Column("revoked", sa.Boolean(create_constraint=True, name="revoked"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_sessions_user_id_created_at_token_hash"),
        "sessions",
        ["user_id", "created_at", "token_hash"],
    )
    operations.create_table(
        "subworkflows",
        sa.Column("id", types.ShortText(length=255), autoincrement=False, nullable=False),
        sa.Column("definition_id", types.ShortText(length=255), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("name", types.LongText(), nullable=False),
        sa.Column("nodes", types.JsonDocument(), nullable=False),
        sa.Column("updated_at", types.utc_datetime(), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_subworkflows_version")),
        sa.ForeignKeyConstraint(
            ["definition_id"],
            ["workflow_definitions.id"],
            name=op.f("fk_subworkflows_definition_id"),
        ),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_subworkflows_definition_id_id"), "subworkflows", ["definition_id", "id"]
    )
    operations.create_table(
        "training_results",
        sa.Column("id", types.ShortText(length=255), autoincrement=False, nullable=False),
        sa.Column("agent_id", types.ShortText(length=255), nullable=False),
        sa.Column("exercise", types.ShortText(length=255), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("passed", sa.Boolean(create_constraint=True, name="passed"), nullable=False),
        sa.Column("finished_at", types.utc_datetime(), nullable=False),
        sa.Column("details", types.JsonDocument(), nullable=False),
        sa.CheckConstraint("score >= 0 AND score <= 1", name=op.f("ck_training_results_score")),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_training_results_agent_id_finished_at_id"),
        "training_results",
        ["agent_id", "finished_at", "id"],
    )
    operations.create_index(
        op.f("ix_training_results_finished_at_id"), "training_results", ["finished_at", "id"]
    )
    operations.create_table(
        "decisions",
        sa.Column("id", types.ShortText(length=255), autoincrement=False, nullable=False),
        sa.Column("approval_id", types.ShortText(length=255), nullable=False),
        sa.Column("status", types.ShortText(length=32), nullable=False),
        sa.Column("decided_by", types.ShortText(length=255), nullable=False),
        sa.Column("decided_at", types.utc_datetime(), nullable=False),
        sa.Column("reason", types.LongText(), nullable=False),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approvals.id"], name=op.f("fk_decisions_approval_id")
        ),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_decisions_approval_id_decided_at_id"),
        "decisions",
        ["approval_id", "decided_at", "id"],
    )
    operations.create_index(
        op.f("ix_decisions_decided_by_decided_at_id"),
        "decisions",
        ["decided_by", "decided_at", "id"],
    )
    operations.create_table(
        "escalations",
        sa.Column("id", types.ShortText(length=255), autoincrement=False, nullable=False),
        sa.Column("approval_id", types.ShortText(length=255), nullable=False),
        sa.Column("raised_by", types.ShortText(length=255), nullable=False),
        sa.Column("raised_to", types.ShortText(length=255), nullable=False),
        sa.Column("raised_at", types.utc_datetime(), nullable=False),
        sa.Column("resolved_at", types.utc_datetime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approvals.id"], name=op.f("fk_escalations_approval_id")
        ),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(op.f("ix_escalations_approval_id"), "escalations", ["approval_id"])
    operations.create_index(
        op.f("ix_escalations_raised_to_raised_at_id"),
        "escalations",
        ["raised_to", "raised_at", "id"],
    )
    operations.make_append_only("decisions")


def downgrade() -> None:
    operations.lift_append_only("decisions")
    operations.drop_table("escalations")
    operations.drop_table("decisions")
    operations.drop_table("training_results")
    operations.drop_table("subworkflows")
    operations.drop_table("sessions")
    operations.drop_table("risk_overrides")
    operations.drop_table("project_costs")
    operations.drop_table("plans")
    operations.drop_table("idempotency_keys")
    operations.drop_table("approvals")
