"""Number messages, audit entries, events and metrics in the order in which they are saved.

Revision: 0007_insertion_sequence
Revises: 0006_rollup_projects
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

from synthorg.persistence.sql import types
from synthorg.persistence.sql.migrations import operations

revision = "0007_insertion_sequence"
down_revision = "0006_rollup_projects"
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

NUMBER = "number"


def _messages() -> list[SchemaItem]:
    return [
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
    ]


def _lifecycle_events() -> list[SchemaItem]:
    return [
        sa.Column("id", types.ShortText(255), nullable=False),
        sa.Column("agent_id", types.ShortText(255), nullable=False),
        sa.Column("agent_name", types.LongText(), nullable=False),
        sa.Column("event_type", types.ShortText(32), nullable=False),
        sa.Column("timestamp", types.utc_datetime(), nullable=False),
        sa.Column("initiated_by", types.ShortText(255), nullable=False),
        sa.Column("details", types.LongText(), nullable=False),
        sa.Column("metadata", types.JsonDocument(), nullable=False),
    ]


def _task_metrics() -> list[SchemaItem]:
    return [
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
    ]


def _collaboration_metrics() -> list[SchemaItem]:
    return [
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
    ]


def _audit_entries() -> list[SchemaItem]:
    return [
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
    ]


class Numbered(NamedTuple):
    """What changes of a table.

    Attributes:
        items: Makes its columns and checks, without the number.
        time: The column by which the rows that are there are numbered.
        lists: The columns that lists are narrowed by, before which they are ordered by time.
        other: Indexes that are new.
        kept: Indexes that stay.
    """

    items: Callable[[], Sequence[SchemaItem]]
    time: str
    lists: Sequence[Sequence[str]]
    other: Sequence[Sequence[str]] = ()
    kept: Sequence[Sequence[str]] = ()

    def ordered(self, by: str) -> list[tuple[str, ...]]:
        """Give the columns of the index of each list, where a column orders what is of one time."""
        return [(*columns, self.time, by) for columns in self.lists]


TABLES: Mapping[str, Numbered] = {
    "messages": Numbered(_messages, "timestamp", [["channel"]], other=[["channel", NUMBER]]),
    "lifecycle_events": Numbered(
        _lifecycle_events, "timestamp", [[], ["agent_id"], ["event_type"]]
    ),
    "task_metrics": Numbered(_task_metrics, "completed_at", [[], ["agent_id"]]),
    "collaboration_metrics": Numbered(_collaboration_metrics, "recorded_at", [[], ["agent_id"]]),
    "audit_entries": Numbered(
        _audit_entries,
        "timestamp",
        [[], ["agent_id"], ["action_type"], ["verdict"], ["risk_level"]],
        kept=[["timestamp", "id"]],
    ),
}


def upgrade() -> None:
    for name, table in TABLES.items():
        kept = [tuple(each) for each in table.kept]
        operations.number_records(
            name,
            *table.items(),
            time=table.time,
            indexes=[*table.ordered(NUMBER), *table.other],
            without=[each for each in table.ordered("id") if each not in kept],
            kept=table.kept,
            **TABLE_OPTIONS,
        )


def downgrade() -> None:
    for name, table in TABLES.items():
        kept = [tuple(each) for each in table.kept]
        operations.drop_numbers(
            name,
            *table.items(),
            indexes=[each for each in table.ordered("id") if each not in kept],
            without=[*table.ordered(NUMBER), *table.other],
            kept=table.kept,
            **TABLE_OPTIONS,
        )
