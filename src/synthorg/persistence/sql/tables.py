"""The metadata module: every table, from which Alembic's revisions and all statements come.

Columns are named after the entities' fields. Enumerations are text without a CHECK, since adding
a member must not rebuild a table; the entity refuses unknown ones when it is read.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Double,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    SmallInteger,
    Table,
    UniqueConstraint,
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.sql import quoted_name

from synthorg.persistence.sql.types import (
    JsonDocument,
    LongText,
    ShortText,
    flag,
    serial_number,
    utc_datetime,
)

# Without primary keys: the MySQL family warns that it ignores their names.
NAMING_CONVENTION: Final = {
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}

TABLE_OPTIONS: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_0900_bin",
    "mysql_row_format": "DYNAMIC",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mariadb_row_format": "DYNAMIC",
}
"""Keys compare exactly (case, accents, trailing spaces) only under a binary no-pad collation, and
only dynamic rows, which an operator may have replaced as the default, have indexes that hold keys
of 255 characters."""

VERSION_TABLE: Final = "synthorg_persistence_version"
"""Alembic's own table, named so that the application may keep an `alembic_version` beside it."""

APPEND_ONLY: Final = "append_only"
"""What a table has in its `info` when the database itself protects its rows from change."""

DERIVED: Final = "derived"
"""What a table or a column has in its `info` that triggers write, so that no copy does."""

RECORD_KEY: Final = "record_key"
"""What a table has in its `info` whose records are known by another column than its primary key,
which numbers them in the order in which they were saved."""

NUMBER: Final = "number"
"""The column of such a number; a longer name would leave no room for a `table_prefix`."""

OWN_TIME: Final = "own_time"
"""What a column has in its `info` that tells how old a record is, of a kind that grows for ever."""


class LibraryName(quoted_name):
    """The name of a table of this library, before which a database writes its `table_prefix`."""

    __slots__ = ()


metadata: Final = MetaData(naming_convention=NAMING_CONVENTION)


def _table(name: str, *items: SchemaItem, **options: Any) -> Table:
    return Table(LibraryName(name, None), metadata, *items, **TABLE_OPTIONS, **options)


def _numbered_table(name: str, *items: SchemaItem, **options: Any) -> Table:
    """Make a table of records known by their `id`, numbered in the order of saving."""
    options["info"] = {**options.get("info", {}), RECORD_KEY: "id"}
    columns = [item for item in items if isinstance(item, Column)]
    others = [item for item in items if not isinstance(item, Column)]
    by_id = Index(None, "id", unique=True)
    # Without AUTOINCREMENT, SQLite would give the largest number again once its row is removed.
    options["sqlite_autoincrement"] = True
    return _table(name, *columns, _number(NUMBER), by_id, *others, **options)


def _number(name: str) -> Column[int]:
    # An identity, since whoever may insert needs no rights on its sequence.
    return Column(name, serial_number(), Identity(), primary_key=True, autoincrement=True)


def _key(name: str, *items: SchemaItem, primary_key: bool = False) -> Column[str]:
    return Column(name, ShortText(), *items, primary_key=primary_key, nullable=False)


def _optional_key(name: str) -> Column[str]:
    return Column(name, ShortText(), nullable=True)


def _choice(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, ShortText(32), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, LongText(), nullable=nullable)


def _json(name: str) -> Column[object]:
    return Column(name, JsonDocument(), nullable=False)


def _time(name: str, *, nullable: bool = False, own: bool = False) -> Column[Any]:
    return Column(name, utc_datetime(), nullable=nullable, info={OWN_TIME: True} if own else {})


def _count(name: str, *, at_least: int = 0) -> tuple[SchemaItem, SchemaItem]:
    column = Column(name, BigInteger(), nullable=False)
    return column, CheckConstraint(f"{name} >= {at_least}", name=name)


def _amount(
    name: str, *, nullable: bool = False, at_most: int | None = None
) -> tuple[SchemaItem, SchemaItem]:
    limit = f"{name} >= 0" if at_most is None else f"{name} >= 0 AND {name} <= {at_most}"
    return Column(name, Double(), nullable=nullable), CheckConstraint(limit, name=name)


tasks = _table(
    "tasks",
    _key("id", primary_key=True),
    _text("title"),
    _text("description"),
    _choice("type"),
    _choice("priority"),
    _key("project"),
    _key("created_by"),
    _optional_key("assigned_to"),
    _json("reviewers"),
    _json("dependencies"),
    _json("artifacts_expected"),
    _json("acceptance_criteria"),
    _choice("estimated_complexity"),
    *_amount("budget_limit"),
    _text("deadline", nullable=True),
    *_count("max_retries"),
    _choice("status"),
    _optional_key("parent_task_id"),
    _json("delegation_chain"),
    _choice("task_structure", nullable=True),
    _choice("coordination_topology"),
    CheckConstraint("parent_task_id <> id", name="not_its_own_parent"),
    CheckConstraint("status <> 'created' OR assigned_to IS NULL", name="created_is_unassigned"),
    CheckConstraint(
        "status NOT IN ('assigned', 'in_progress', 'in_review', 'completed')"
        " OR assigned_to IS NOT NULL",
        name="work_is_assigned",
    ),
    Index(None, "status", "id"),
    Index(None, "assigned_to", "id"),
    Index(None, "project", "id"),
)

cost_records = _table(
    "cost_records",
    _number("sequence_number"),
    _key("agent_id"),
    _key("task_id"),  # no foreign key: the cost is evidence, whatever becomes of the task
    _key("provider"),
    _key("model"),
    *_count("input_tokens"),
    *_count("output_tokens"),
    *_amount("cost_usd"),
    _time("timestamp", own=True),
    _choice("call_category", nullable=True),
    CheckConstraint(
        "cost_usd = 0 OR input_tokens > 0 OR output_tokens > 0", name="cost_needs_tokens"
    ),
    # In the order of recording; the cost makes them covering for the sum.
    Index(None, "agent_id", "sequence_number", "cost_usd"),
    Index(None, "task_id", "sequence_number", "cost_usd"),
    Index(None, "timestamp"),
)

cost_rollups = _table(
    "cost_rollups",
    # The digest of all that the costs of a group have in common, which is too long for an index.
    Column("id", ShortText(64), primary_key=True),
    _time("day"),
    _key("agent_id"),
    _key("task_id"),
    _optional_key("project"),
    _key("provider"),
    _key("model"),
    _choice("call_category", nullable=True),
    *_amount("cost_usd"),
    # Sums of tokens may have more than 64 bits: these count what each has in its lower 32.
    *_count("input_tokens"),
    *_count("input_tokens_upper"),
    *_count("output_tokens"),
    *_count("output_tokens_upper"),
    *_count("records"),
    # That of the task as long as it is there, and this is known; `project` is that of before.
    Column("task_project", ShortText(), nullable=True, info={DERIVED: True}),
    Index(None, "day"),
    Index(None, "agent_id", "day"),
    Index(None, "task_id", "day"),
    Index(None, "task_project", "day"),
)
"""Sums of costs by day: of those that were pruned, and of those that are counted here already."""

cost_rollup_state = _table(
    "cost_rollup_state",
    Column("id", SmallInteger(), primary_key=True, autoincrement=False),
    *_count("revision"),
    # Costs of before this time, and up to this number, are in the roll-ups.
    _time("rolled_up_before"),
    *_count("last_sequence_number"),
    # Of days before this time, costs may be missing that are in the roll-ups.
    _time("pruned_before"),
)
"""One row: which costs the roll-ups stand for. The revision tells whether it has changed."""

messages = _numbered_table(
    "messages",
    Column("id", ShortText(36), nullable=False),
    _time("timestamp", own=True),
    _key("sender"),
    _key("to"),
    _choice("type"),
    _choice("priority"),
    _key("channel"),
    _text("content"),
    _json("attachments"),
    _json("metadata"),
    Index(None, "channel", "timestamp", NUMBER),
    Index(None, "channel", NUMBER),
)

lifecycle_events = _numbered_table(
    "lifecycle_events",
    _key("id"),
    _key("agent_id"),
    _text("agent_name"),
    _choice("event_type"),
    _time("timestamp", own=True),
    _key("initiated_by"),
    _text("details"),
    _json("metadata"),
    Index(None, "timestamp", NUMBER),
    Index(None, "agent_id", "timestamp", NUMBER),
    Index(None, "event_type", "timestamp", NUMBER),
)

task_metrics = _numbered_table(
    "task_metrics",
    _key("id"),
    _key("agent_id"),
    _key("task_id"),  # no foreign key: a metric outlives its task
    _choice("task_type"),
    _time("started_at", nullable=True),
    _time("completed_at", own=True),
    Column("is_success", flag("is_success"), nullable=False),
    *_amount("duration_seconds"),
    *_amount("cost_usd"),
    *_count("turns_used"),
    *_count("tokens_used"),
    *_amount("quality_score", nullable=True, at_most=10),
    _choice("complexity"),
    CheckConstraint("started_at < completed_at", name="started_before_completed"),
    Index(None, "completed_at", NUMBER),
    Index(None, "agent_id", "completed_at", NUMBER),
)

collaboration_metrics = _numbered_table(
    "collaboration_metrics",
    _key("id"),
    _key("agent_id"),
    _time("recorded_at", own=True),
    Column("delegation_success", flag("delegation_success"), nullable=True),
    *_amount("delegation_response_seconds", nullable=True),
    *_amount("conflict_constructiveness", nullable=True, at_most=1),
    *_amount("meeting_contribution", nullable=True, at_most=1),
    Column("loop_triggered", flag("loop_triggered"), nullable=False),
    *_amount("handoff_completeness", nullable=True, at_most=1),
    _text("interaction_summary", nullable=True),
    Index(None, "recorded_at", NUMBER),
    Index(None, "agent_id", "recorded_at", NUMBER),
)

parked_contexts = _table(
    "parked_contexts",
    _key("id", primary_key=True),
    _key("execution_id"),
    _key("agent_id"),
    _optional_key("task_id"),
    _key("approval_id"),
    _time("parked_at", own=True),
    _text("context_json"),
    _json("metadata"),
    Index(None, "approval_id", "parked_at", "id"),
    Index(None, "parked_at", "id"),
    Index(None, "agent_id", "parked_at", "id"),
)

audit_entries = _numbered_table(
    "audit_entries",
    _key("id"),
    _time("timestamp", own=True),
    _optional_key("agent_id"),
    _optional_key("task_id"),
    _text("tool_name"),
    _choice("tool_category"),
    _key("action_type"),
    Column("arguments_hash", ShortText(64), nullable=False),
    _choice("verdict"),
    _choice("risk_level"),
    _text("reason"),
    _json("matched_rules"),
    *_amount("evaluation_duration_ms"),
    _choice("confidence"),
    _optional_key("approval_id"),
    Index(None, "timestamp", NUMBER),
    # For the ranges by time and key that are removed.
    Index(None, "timestamp", "id"),
    Index(None, "agent_id", "timestamp", NUMBER),
    Index(None, "action_type", "timestamp", NUMBER),
    Index(None, "verdict", "timestamp", NUMBER),
    Index(None, "risk_level", "timestamp", NUMBER),
    info={APPEND_ONLY: True},
)

audit_removals = _table(
    "audit_removals",
    _key("id", primary_key=True),
    _time("removed_at"),
    _text("removed_by"),
    # The range by time and key that was removed.
    _time("first_timestamp"),
    _time("last_timestamp"),
    _key("last_id"),
    *_count("entries", at_least=1),
    Column("digest", ShortText(64), nullable=False),
    _key("archive"),
    Index(None, "removed_at", "id"),
    info={APPEND_ONLY: True},
)
"""What was removed from the audit trail: a trigger removes what a new row of this table names."""

audit_gates = _table(
    "audit_gates",
    _key("removal_id", primary_key=True),
    Column("is_open", flag("is_open"), nullable=False),
    Index(None, "is_open"),
    info={DERIVED: True},
)
"""Which removals are being carried out: none beyond the statement that records one."""

# In a copy, what was removed is recorded before there are entries of the same range.
audit_entries.add_is_dependent_on(audit_removals)

users = _table(
    "users",
    _key("id", primary_key=True),
    _key("username"),
    _text("password_hash"),
    _choice("role"),
    Column("must_change_password", flag("must_change_password"), nullable=False),
    _time("created_at"),
    _time("updated_at"),
    # A partial unique index would say it directly, but the MySQL family has none.
    Column(
        "ceo_guard", SmallInteger(), Computed("CASE WHEN role = 'ceo' THEN 1 END", persisted=True)
    ),
    UniqueConstraint("username"),
    UniqueConstraint("ceo_guard"),
    Index(None, "created_at", "id"),
    Index(None, "role"),
)

api_keys = _table(
    "api_keys",
    _key("id", primary_key=True),
    _key("key_hash"),
    _text("name"),
    _choice("role"),
    _key("user_id", ForeignKey("users.id", ondelete="CASCADE")),
    _time("created_at"),
    _time("expires_at", nullable=True),
    Column("revoked", flag("revoked"), nullable=False),
    UniqueConstraint("key_hash"),
    Index(None, "user_id", "created_at", "id"),
    Index(None, "created_at", "id"),
)

checkpoints = _table(
    "checkpoints",
    _key("id", primary_key=True),
    _key("execution_id"),
    _key("agent_id"),
    _key("task_id"),
    *_count("turn_number"),
    _text("context_json"),
    _time("created_at", own=True),
    Index(None, "execution_id", "turn_number", "created_at", "id"),
    Index(None, "task_id", "turn_number", "created_at", "id"),
)

heartbeats = _table(
    "heartbeats",
    _key("execution_id", primary_key=True),
    _key("agent_id"),
    _key("task_id"),
    _time("last_heartbeat_at", own=True),
    Index(None, "last_heartbeat_at", "execution_id"),
)

agent_states = _table(
    "agent_states",
    _key("agent_id", primary_key=True),
    _optional_key("execution_id"),
    _optional_key("task_id"),
    _choice("status"),
    *_count("turn_count"),
    *_amount("accumulated_cost_usd"),
    _time("last_activity_at"),
    _time("started_at", nullable=True),
    # Keeps the active agents together in an index, however many idle ones there are.
    Column(
        "active_at",
        utc_datetime(),
        Computed("CASE WHEN status <> 'idle' THEN last_activity_at END", persisted=True),
    ),
    CheckConstraint(
        "status <> 'idle' OR (execution_id IS NULL AND task_id IS NULL AND started_at IS NULL"
        " AND turn_count = 0 AND accumulated_cost_usd = 0)",
        name="idle_is_empty",
    ),
    CheckConstraint(
        "status = 'idle' OR (execution_id IS NOT NULL AND started_at IS NOT NULL)",
        name="active_has_execution",
    ),
    Index(None, "active_at", "agent_id"),
)

settings = _table(
    "settings",
    _key("namespace", primary_key=True),
    _key("key", primary_key=True),
    _text("value"),
    _key("updated_at"),
)

artifacts = _table(
    "artifacts",
    _key("id", primary_key=True),
    _choice("type"),
    _text("path"),
    _key("task_id"),
    _key("created_by"),
    _text("description"),
    _optional_key("project_id"),
    _text("content_type"),
    *_count("size_bytes"),
    _time("created_at", nullable=True),
    Index(None, "task_id", "id"),
    Index(None, "created_by", "id"),
    Index(None, "type", "id"),
)

projects = _table(
    "projects",
    _key("id", primary_key=True),
    _text("name"),
    _text("description"),
    _json("team"),
    _optional_key("lead"),
    _json("task_ids"),
    _text("deadline", nullable=True),
    *_amount("budget"),
    _choice("status"),
    Index(None, "status", "id"),
    Index(None, "lead", "id"),
)

custom_presets = _table(
    "custom_presets",
    _key("name", primary_key=True),
    _text("config_json"),
    _text("description"),
    _text("created_at"),
    _text("updated_at"),
)

workflow_definitions = _table(
    "workflow_definitions",
    _key("id", primary_key=True),
    _text("name"),
    _text("description"),
    _choice("workflow_type"),
    _json("nodes"),
    _json("edges"),
    _key("created_by"),
    _time("created_at"),
    _time("updated_at"),
    *_count("version", at_least=1),
    Index(None, "updated_at", "id"),
    Index(None, "workflow_type", "updated_at", "id"),
)

workflow_executions = _table(
    "workflow_executions",
    _key("id", primary_key=True),
    _key("definition_id", ForeignKey("workflow_definitions.id", ondelete="RESTRICT")),
    *_count("definition_version", at_least=1),
    _choice("status"),
    _json("node_executions"),
    _key("activated_by"),
    _key("project"),
    _time("created_at"),
    _time("updated_at"),
    _time("completed_at", nullable=True, own=True),
    _text("error", nullable=True),
    *_count("version", at_least=1),
    CheckConstraint(
        "(status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)",
        name="completed_at_when_ended",
    ),
    CheckConstraint("(status = 'failed') = (error IS NOT NULL)", name="error_when_failed"),
    Index(None, "updated_at", "id"),
    Index(None, "definition_id", "updated_at", "id"),
    Index(None, "status", "updated_at", "id"),
)


def record_key(table: Table) -> list[Column[Any]]:
    """Give the columns by which the records of a table are known: those of its primary key, mostly.

    Args:
        table: The table.
    """
    name = table.info.get(RECORD_KEY)
    return [*table.primary_key.columns] if name is None else [table.columns[name]]


def own_time(table: Table) -> Column[Any] | None:
    """Find the column that tells how old the records of a table are.

    Args:
        table: The table.

    Returns:
        The column; None where records are kept as long as what they are of.
    """
    return next((column for column in table.columns if OWN_TIME in column.info), None)
