"""The initial schema, with the protection of the audit trail.

Revision: 0001_initial_schema
Revises: nothing
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from synthorg.persistence.sql import types
from synthorg.persistence.sql.migrations import operations

revision = "0001_initial_schema"
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

TABLES = (
    "agent_states",
    "artifacts",
    "audit_entries",
    "checkpoints",
    "collaboration_metrics",
    "cost_records",
    "custom_presets",
    "heartbeats",
    "lifecycle_events",
    "messages",
    "parked_contexts",
    "projects",
    "settings",
    "task_metrics",
    "tasks",
    "users",
    "workflow_definitions",
    "api_keys",
    "workflow_executions",
)
"""In an order in which each comes after those that it refers to."""


def upgrade() -> None:
    operations.create_table(
        "agent_states",
        sa.Column("agent_id", types.ShortText(255), nullable=False),
        sa.Column("execution_id", types.ShortText(255), nullable=True),
        sa.Column("task_id", types.ShortText(255), nullable=True),
        sa.Column("status", types.ShortText(32), nullable=False),
        sa.Column("turn_count", sa.BigInteger(), nullable=False),
        sa.Column("accumulated_cost_usd", sa.Double(), nullable=False),
        sa.Column("last_activity_at", types.utc_datetime(), nullable=False),
        sa.Column("started_at", types.utc_datetime(), nullable=True),
        sa.Column(
            "active_at",
            types.utc_datetime(),
            sa.Computed("CASE WHEN status <> 'idle' THEN last_activity_at END", persisted=True),
            nullable=True,
        ),
        sa.CheckConstraint(
            "status <> 'idle' OR (execution_id IS NULL AND task_id IS NULL AND started_at IS NULL"
            " AND turn_count = 0 AND accumulated_cost_usd = 0)",
            name=op.f("ck_agent_states_idle_is_empty"),
        ),
        sa.CheckConstraint(
            "status = 'idle' OR (execution_id IS NOT NULL AND started_at IS NOT NULL)",
            name=op.f("ck_agent_states_active_has_execution"),
        ),
        sa.CheckConstraint(
            "accumulated_cost_usd >= 0", name=op.f("ck_agent_states_accumulated_cost_usd")
        ),
        sa.CheckConstraint("turn_count >= 0", name=op.f("ck_agent_states_turn_count")),
        sa.PrimaryKeyConstraint("agent_id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_agent_states_active_at_agent_id"), "agent_states", ["active_at", "agent_id"]
    )
    operations.create_table(
        "artifacts",
        sa.Column("id", types.ShortText(255), nullable=False),
        sa.Column("type", types.ShortText(32), nullable=False),
        sa.Column("path", types.LongText(), nullable=False),
        sa.Column("task_id", types.ShortText(255), nullable=False),
        sa.Column("created_by", types.ShortText(255), nullable=False),
        sa.Column("description", types.LongText(), nullable=False),
        sa.Column("project_id", types.ShortText(255), nullable=True),
        sa.Column("content_type", types.LongText(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.utc_datetime(), nullable=True),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_artifacts_size_bytes")),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(op.f("ix_artifacts_created_by_id"), "artifacts", ["created_by", "id"])
    operations.create_index(op.f("ix_artifacts_task_id_id"), "artifacts", ["task_id", "id"])
    operations.create_index(op.f("ix_artifacts_type_id"), "artifacts", ["type", "id"])
    operations.create_table(
        "audit_entries",
        sa.Column("id", types.ShortText(255), nullable=False),
        sa.Column("timestamp", types.utc_datetime(), nullable=False),
        sa.Column("agent_id", types.ShortText(255), nullable=True),
        sa.Column("task_id", types.ShortText(255), nullable=True),
        sa.Column("tool_name", types.LongText(), nullable=False),
        sa.Column("tool_category", types.ShortText(32), nullable=False),
        sa.Column("action_type", types.ShortText(255), nullable=False),
        sa.Column("arguments_hash", types.ShortText(64), nullable=False),
        sa.Column("verdict", types.ShortText(32), nullable=False),
        sa.Column("risk_level", types.ShortText(32), nullable=False),
        sa.Column("reason", types.LongText(), nullable=False),
        sa.Column("matched_rules", types.JsonDocument(), nullable=False),
        sa.Column("evaluation_duration_ms", sa.Double(), nullable=False),
        sa.Column("confidence", types.ShortText(32), nullable=False),
        sa.Column("approval_id", types.ShortText(255), nullable=True),
        sa.CheckConstraint(
            "evaluation_duration_ms >= 0", name=op.f("ck_audit_entries_evaluation_duration_ms")
        ),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_audit_entries_action_type_timestamp_id"),
        "audit_entries",
        ["action_type", "timestamp", "id"],
    )
    operations.create_index(
        op.f("ix_audit_entries_agent_id_timestamp_id"),
        "audit_entries",
        ["agent_id", "timestamp", "id"],
    )
    operations.create_index(
        op.f("ix_audit_entries_risk_level_timestamp_id"),
        "audit_entries",
        ["risk_level", "timestamp", "id"],
    )
    operations.create_index(
        op.f("ix_audit_entries_timestamp_id"), "audit_entries", ["timestamp", "id"]
    )
    operations.create_index(
        op.f("ix_audit_entries_verdict_timestamp_id"),
        "audit_entries",
        ["verdict", "timestamp", "id"],
    )
    operations.create_table(
        "checkpoints",
        sa.Column("id", types.ShortText(255), nullable=False),
        sa.Column("execution_id", types.ShortText(255), nullable=False),
        sa.Column("agent_id", types.ShortText(255), nullable=False),
        sa.Column("task_id", types.ShortText(255), nullable=False),
        sa.Column("turn_number", sa.BigInteger(), nullable=False),
        sa.Column("context_json", types.LongText(), nullable=False),
        sa.Column("created_at", types.utc_datetime(), nullable=False),
        sa.CheckConstraint("turn_number >= 0", name=op.f("ck_checkpoints_turn_number")),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_checkpoints_execution_id_turn_number_created_at_id"),
        "checkpoints",
        ["execution_id", "turn_number", "created_at", "id"],
    )
    operations.create_index(
        op.f("ix_checkpoints_task_id_turn_number_created_at_id"),
        "checkpoints",
        ["task_id", "turn_number", "created_at", "id"],
    )
    operations.create_table(
        "collaboration_metrics",
        sa.Column("id", types.ShortText(255), nullable=False),
        sa.Column("agent_id", types.ShortText(255), nullable=False),
        sa.Column("recorded_at", types.utc_datetime(), nullable=False),
        sa.Column("delegation_success", types.flag("delegation_success"), nullable=True),
        sa.Column("delegation_response_seconds", sa.Double(), nullable=True),
        sa.Column("conflict_constructiveness", sa.Double(), nullable=True),
        sa.Column("meeting_contribution", sa.Double(), nullable=True),
        sa.Column("loop_triggered", types.flag("loop_triggered"), nullable=False),
        sa.Column("handoff_completeness", sa.Double(), nullable=True),
        sa.Column("interaction_summary", types.LongText(), nullable=True),
        sa.CheckConstraint(
            "conflict_constructiveness >= 0 AND conflict_constructiveness <= 1",
            name=op.f("ck_collaboration_metrics_conflict_constructiveness"),
        ),
        sa.CheckConstraint(
            "delegation_response_seconds >= 0",
            name=op.f("ck_collaboration_metrics_delegation_response_seconds"),
        ),
        sa.CheckConstraint(
            "handoff_completeness >= 0 AND handoff_completeness <= 1",
            name=op.f("ck_collaboration_metrics_handoff_completeness"),
        ),
        sa.CheckConstraint(
            "meeting_contribution >= 0 AND meeting_contribution <= 1",
            name=op.f("ck_collaboration_metrics_meeting_contribution"),
        ),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_collaboration_metrics_agent_id_recorded_at_id"),
        "collaboration_metrics",
        ["agent_id", "recorded_at", "id"],
    )
    operations.create_index(
        op.f("ix_collaboration_metrics_recorded_at_id"),
        "collaboration_metrics",
        ["recorded_at", "id"],
    )
    operations.create_table(
        "cost_records",
        sa.Column("sequence_number", types.serial_number(), autoincrement=True, nullable=False),
        sa.Column("agent_id", types.ShortText(255), nullable=False),
        sa.Column("task_id", types.ShortText(255), nullable=False),
        sa.Column("provider", types.ShortText(255), nullable=False),
        sa.Column("model", types.ShortText(255), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_usd", sa.Double(), nullable=False),
        sa.Column("timestamp", types.utc_datetime(), nullable=False),
        sa.Column("call_category", types.ShortText(32), nullable=True),
        sa.CheckConstraint(
            "cost_usd = 0 OR input_tokens > 0 OR output_tokens > 0",
            name=op.f("ck_cost_records_cost_needs_tokens"),
        ),
        sa.CheckConstraint("cost_usd >= 0", name=op.f("ck_cost_records_cost_usd")),
        sa.CheckConstraint("input_tokens >= 0", name=op.f("ck_cost_records_input_tokens")),
        sa.CheckConstraint("output_tokens >= 0", name=op.f("ck_cost_records_output_tokens")),
        sa.PrimaryKeyConstraint("sequence_number"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_cost_records_agent_id_sequence_number_cost_usd"),
        "cost_records",
        ["agent_id", "sequence_number", "cost_usd"],
    )
    operations.create_index(
        op.f("ix_cost_records_task_id_sequence_number_cost_usd"),
        "cost_records",
        ["task_id", "sequence_number", "cost_usd"],
    )
    operations.create_index(op.f("ix_cost_records_timestamp"), "cost_records", ["timestamp"])
    operations.create_table(
        "custom_presets",
        sa.Column("name", types.ShortText(255), nullable=False),
        sa.Column("config_json", types.LongText(), nullable=False),
        sa.Column("description", types.LongText(), nullable=False),
        sa.Column("created_at", types.LongText(), nullable=False),
        sa.Column("updated_at", types.LongText(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        **TABLE_OPTIONS,
    )
    operations.create_table(
        "heartbeats",
        sa.Column("execution_id", types.ShortText(255), nullable=False),
        sa.Column("agent_id", types.ShortText(255), nullable=False),
        sa.Column("task_id", types.ShortText(255), nullable=False),
        sa.Column("last_heartbeat_at", types.utc_datetime(), nullable=False),
        sa.PrimaryKeyConstraint("execution_id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_heartbeats_last_heartbeat_at_execution_id"),
        "heartbeats",
        ["last_heartbeat_at", "execution_id"],
    )
    operations.create_table(
        "lifecycle_events",
        sa.Column("id", types.ShortText(255), nullable=False),
        sa.Column("agent_id", types.ShortText(255), nullable=False),
        sa.Column("agent_name", types.LongText(), nullable=False),
        sa.Column("event_type", types.ShortText(32), nullable=False),
        sa.Column("timestamp", types.utc_datetime(), nullable=False),
        sa.Column("initiated_by", types.ShortText(255), nullable=False),
        sa.Column("details", types.LongText(), nullable=False),
        sa.Column("metadata", types.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_lifecycle_events_agent_id_timestamp_id"),
        "lifecycle_events",
        ["agent_id", "timestamp", "id"],
    )
    operations.create_index(
        op.f("ix_lifecycle_events_event_type_timestamp_id"),
        "lifecycle_events",
        ["event_type", "timestamp", "id"],
    )
    operations.create_index(
        op.f("ix_lifecycle_events_timestamp_id"), "lifecycle_events", ["timestamp", "id"]
    )
    operations.create_table(
        "messages",
        sa.Column("id", types.ShortText(36), nullable=False),
        sa.Column("timestamp", types.utc_datetime(), nullable=False),
        sa.Column("sender", types.ShortText(255), nullable=False),
        sa.Column("to", types.ShortText(255), nullable=False),
        sa.Column("type", types.ShortText(32), nullable=False),
        sa.Column("priority", types.ShortText(32), nullable=False),
        sa.Column("channel", types.ShortText(255), nullable=False),
        sa.Column("content", types.LongText(), nullable=False),
        sa.Column("attachments", types.JsonDocument(), nullable=False),
        sa.Column("metadata", types.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_messages_channel_timestamp_id"), "messages", ["channel", "timestamp", "id"]
    )
    operations.create_table(
        "parked_contexts",
        sa.Column("id", types.ShortText(255), nullable=False),
        sa.Column("execution_id", types.ShortText(255), nullable=False),
        sa.Column("agent_id", types.ShortText(255), nullable=False),
        sa.Column("task_id", types.ShortText(255), nullable=True),
        sa.Column("approval_id", types.ShortText(255), nullable=False),
        sa.Column("parked_at", types.utc_datetime(), nullable=False),
        sa.Column("context_json", types.LongText(), nullable=False),
        sa.Column("metadata", types.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_parked_contexts_agent_id_parked_at_id"),
        "parked_contexts",
        ["agent_id", "parked_at", "id"],
    )
    operations.create_index(
        op.f("ix_parked_contexts_approval_id_parked_at_id"),
        "parked_contexts",
        ["approval_id", "parked_at", "id"],
    )
    operations.create_table(
        "projects",
        sa.Column("id", types.ShortText(255), nullable=False),
        sa.Column("name", types.LongText(), nullable=False),
        sa.Column("description", types.LongText(), nullable=False),
        sa.Column("team", types.JsonDocument(), nullable=False),
        sa.Column("lead", types.ShortText(255), nullable=True),
        sa.Column("task_ids", types.JsonDocument(), nullable=False),
        sa.Column("deadline", types.LongText(), nullable=True),
        sa.Column("budget", sa.Double(), nullable=False),
        sa.Column("status", types.ShortText(32), nullable=False),
        sa.CheckConstraint("budget >= 0", name=op.f("ck_projects_budget")),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(op.f("ix_projects_lead_id"), "projects", ["lead", "id"])
    operations.create_index(op.f("ix_projects_status_id"), "projects", ["status", "id"])
    operations.create_table(
        "settings",
        sa.Column("namespace", types.ShortText(255), nullable=False),
        sa.Column("key", types.ShortText(255), nullable=False),
        sa.Column("value", types.LongText(), nullable=False),
        sa.Column("updated_at", types.ShortText(255), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "key"),
        **TABLE_OPTIONS,
    )
    operations.create_table(
        "task_metrics",
        sa.Column("id", types.ShortText(255), nullable=False),
        sa.Column("agent_id", types.ShortText(255), nullable=False),
        sa.Column("task_id", types.ShortText(255), nullable=False),
        sa.Column("task_type", types.ShortText(32), nullable=False),
        sa.Column("started_at", types.utc_datetime(), nullable=True),
        sa.Column("completed_at", types.utc_datetime(), nullable=False),
        sa.Column("is_success", types.flag("is_success"), nullable=False),
        sa.Column("duration_seconds", sa.Double(), nullable=False),
        sa.Column("cost_usd", sa.Double(), nullable=False),
        sa.Column("turns_used", sa.BigInteger(), nullable=False),
        sa.Column("tokens_used", sa.BigInteger(), nullable=False),
        sa.Column("quality_score", sa.Double(), nullable=True),
        sa.Column("complexity", types.ShortText(32), nullable=False),
        sa.CheckConstraint("cost_usd >= 0", name=op.f("ck_task_metrics_cost_usd")),
        sa.CheckConstraint("duration_seconds >= 0", name=op.f("ck_task_metrics_duration_seconds")),
        sa.CheckConstraint(
            "quality_score >= 0 AND quality_score <= 10", name=op.f("ck_task_metrics_quality_score")
        ),
        sa.CheckConstraint(
            "started_at < completed_at", name=op.f("ck_task_metrics_started_before_completed")
        ),
        sa.CheckConstraint("tokens_used >= 0", name=op.f("ck_task_metrics_tokens_used")),
        sa.CheckConstraint("turns_used >= 0", name=op.f("ck_task_metrics_turns_used")),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_task_metrics_agent_id_completed_at_id"),
        "task_metrics",
        ["agent_id", "completed_at", "id"],
    )
    operations.create_index(
        op.f("ix_task_metrics_completed_at_id"), "task_metrics", ["completed_at", "id"]
    )
    operations.create_table(
        "tasks",
        sa.Column("id", types.ShortText(255), nullable=False),
        sa.Column("title", types.LongText(), nullable=False),
        sa.Column("description", types.LongText(), nullable=False),
        sa.Column("type", types.ShortText(32), nullable=False),
        sa.Column("priority", types.ShortText(32), nullable=False),
        sa.Column("project", types.ShortText(255), nullable=False),
        sa.Column("created_by", types.ShortText(255), nullable=False),
        sa.Column("assigned_to", types.ShortText(255), nullable=True),
        sa.Column("reviewers", types.JsonDocument(), nullable=False),
        sa.Column("dependencies", types.JsonDocument(), nullable=False),
        sa.Column("artifacts_expected", types.JsonDocument(), nullable=False),
        sa.Column("acceptance_criteria", types.JsonDocument(), nullable=False),
        sa.Column("estimated_complexity", types.ShortText(32), nullable=False),
        sa.Column("budget_limit", sa.Double(), nullable=False),
        sa.Column("deadline", types.LongText(), nullable=True),
        sa.Column("max_retries", sa.BigInteger(), nullable=False),
        sa.Column("status", types.ShortText(32), nullable=False),
        sa.Column("parent_task_id", types.ShortText(255), nullable=True),
        sa.Column("delegation_chain", types.JsonDocument(), nullable=False),
        sa.Column("task_structure", types.ShortText(32), nullable=True),
        sa.Column("coordination_topology", types.ShortText(32), nullable=False),
        sa.CheckConstraint(
            "status <> 'created' OR assigned_to IS NULL",
            name=op.f("ck_tasks_created_is_unassigned"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('assigned', 'in_progress', 'in_review', 'completed')"
            " OR assigned_to IS NOT NULL",
            name=op.f("ck_tasks_work_is_assigned"),
        ),
        sa.CheckConstraint("budget_limit >= 0", name=op.f("ck_tasks_budget_limit")),
        sa.CheckConstraint("max_retries >= 0", name=op.f("ck_tasks_max_retries")),
        sa.CheckConstraint("parent_task_id <> id", name=op.f("ck_tasks_not_its_own_parent")),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(op.f("ix_tasks_assigned_to_id"), "tasks", ["assigned_to", "id"])
    operations.create_index(op.f("ix_tasks_project_id"), "tasks", ["project", "id"])
    operations.create_index(op.f("ix_tasks_status_id"), "tasks", ["status", "id"])
    operations.create_table(
        "users",
        sa.Column("id", types.ShortText(255), nullable=False),
        sa.Column("username", types.ShortText(255), nullable=False),
        sa.Column("password_hash", types.LongText(), nullable=False),
        sa.Column("role", types.ShortText(32), nullable=False),
        sa.Column("must_change_password", types.flag("must_change_password"), nullable=False),
        sa.Column("created_at", types.utc_datetime(), nullable=False),
        sa.Column("updated_at", types.utc_datetime(), nullable=False),
        sa.Column(
            "ceo_guard",
            sa.SmallInteger(),
            sa.Computed("CASE WHEN role = 'ceo' THEN 1 END", persisted=True),
            nullable=True,
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("ceo_guard", name=op.f("uq_users_ceo_guard")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
        **TABLE_OPTIONS,
    )
    operations.create_index(op.f("ix_users_created_at_id"), "users", ["created_at", "id"])
    operations.create_index(op.f("ix_users_role"), "users", ["role"])
    operations.create_table(
        "workflow_definitions",
        sa.Column("id", types.ShortText(255), nullable=False),
        sa.Column("name", types.LongText(), nullable=False),
        sa.Column("description", types.LongText(), nullable=False),
        sa.Column("workflow_type", types.ShortText(32), nullable=False),
        sa.Column("nodes", types.JsonDocument(), nullable=False),
        sa.Column("edges", types.JsonDocument(), nullable=False),
        sa.Column("created_by", types.ShortText(255), nullable=False),
        sa.Column("created_at", types.utc_datetime(), nullable=False),
        sa.Column("updated_at", types.utc_datetime(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_workflow_definitions_version")),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_workflow_definitions_updated_at_id"), "workflow_definitions", ["updated_at", "id"]
    )
    operations.create_index(
        op.f("ix_workflow_definitions_workflow_type_updated_at_id"),
        "workflow_definitions",
        ["workflow_type", "updated_at", "id"],
    )
    operations.create_table(
        "api_keys",
        sa.Column("id", types.ShortText(255), nullable=False),
        sa.Column("key_hash", types.ShortText(255), nullable=False),
        sa.Column("name", types.LongText(), nullable=False),
        sa.Column("role", types.ShortText(32), nullable=False),
        sa.Column("user_id", types.ShortText(255), nullable=False),
        sa.Column("created_at", types.utc_datetime(), nullable=False),
        sa.Column("expires_at", types.utc_datetime(), nullable=True),
        sa.Column("revoked", types.flag("revoked"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_api_keys_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_api_keys_user_id_created_at_id"), "api_keys", ["user_id", "created_at", "id"]
    )
    operations.create_table(
        "workflow_executions",
        sa.Column("id", types.ShortText(255), nullable=False),
        sa.Column("definition_id", types.ShortText(255), nullable=False),
        sa.Column("definition_version", sa.BigInteger(), nullable=False),
        sa.Column("status", types.ShortText(32), nullable=False),
        sa.Column("node_executions", types.JsonDocument(), nullable=False),
        sa.Column("activated_by", types.ShortText(255), nullable=False),
        sa.Column("project", types.ShortText(255), nullable=False),
        sa.Column("created_at", types.utc_datetime(), nullable=False),
        sa.Column("updated_at", types.utc_datetime(), nullable=False),
        sa.Column("completed_at", types.utc_datetime(), nullable=True),
        sa.Column("error", types.LongText(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(status = 'failed') = (error IS NOT NULL)",
            name=op.f("ck_workflow_executions_error_when_failed"),
        ),
        sa.CheckConstraint(
            "(status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)",
            name=op.f("ck_workflow_executions_completed_at_when_ended"),
        ),
        sa.CheckConstraint(
            "definition_version >= 1", name=op.f("ck_workflow_executions_definition_version")
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_workflow_executions_version")),
        sa.ForeignKeyConstraint(
            ["definition_id"],
            ["workflow_definitions.id"],
            name=op.f("fk_workflow_executions_definition_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id"),
        **TABLE_OPTIONS,
    )
    operations.create_index(
        op.f("ix_workflow_executions_definition_id_updated_at_id"),
        "workflow_executions",
        ["definition_id", "updated_at", "id"],
    )
    operations.create_index(
        op.f("ix_workflow_executions_status_updated_at_id"),
        "workflow_executions",
        ["status", "updated_at", "id"],
    )
    operations.create_index(
        op.f("ix_workflow_executions_updated_at_id"), "workflow_executions", ["updated_at", "id"]
    )
    operations.make_append_only("audit_entries", every_session=False)


def downgrade() -> None:
    operations.lift_append_only("audit_entries")
    for table in reversed(TABLES):
        operations.drop_table(table)
