"""A database of the predecessor, made by its own DDL, with rows written as the predecessor did."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Connection

from synthorg.entities import EvaluationConfidence
from synthorg.persistence.sql.dialects.triggered import AppendOnly
from synthorg.persistence.sql.migrations.adoption import adopt, explain_mismatch, is_predecessor
from synthorg.persistence.sql.tables import metadata
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import KINDS
from tests.migrations.support import Site, site_at

MOMENT: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)

NEW: Final[dict[str, dict[str, object]]] = {
    "task_metrics": {"started_at": None},
    "collaboration_metrics": {"interaction_summary": None},
    "audit_entries": {"confidence": EvaluationConfidence.HIGH},
    "artifacts": {"project_id": None},
}
"""By table: the columns that the predecessor did not have, as they come out of an adoption."""

DDL: Final = """
CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    type TEXT NOT NULL,
    priority TEXT NOT NULL DEFAULT 'medium',
    project TEXT NOT NULL,
    created_by TEXT NOT NULL,
    assigned_to TEXT,
    status TEXT NOT NULL DEFAULT 'created',
    estimated_complexity TEXT NOT NULL DEFAULT 'medium',
    budget_limit REAL NOT NULL DEFAULT 0.0,
    deadline TEXT,
    max_retries INTEGER NOT NULL DEFAULT 1,
    parent_task_id TEXT,
    task_structure TEXT,
    coordination_topology TEXT NOT NULL DEFAULT 'auto',
    reviewers TEXT NOT NULL DEFAULT '[]',
    dependencies TEXT NOT NULL DEFAULT '[]',
    artifacts_expected TEXT NOT NULL DEFAULT '[]',
    acceptance_criteria TEXT NOT NULL DEFAULT '[]',
    delegation_chain TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE cost_records (
    rowid INTEGER PRIMARY KEY AUTOINCREMENT,
    agent_id TEXT NOT NULL,
    task_id TEXT NOT NULL REFERENCES tasks(id),
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    timestamp TEXT NOT NULL,
    call_category TEXT
);
CREATE TABLE messages (
    id TEXT PRIMARY KEY,
    timestamp TEXT NOT NULL,
    sender TEXT NOT NULL,
    "to" TEXT NOT NULL,
    type TEXT NOT NULL,
    priority TEXT NOT NULL DEFAULT 'normal',
    channel TEXT NOT NULL,
    content TEXT NOT NULL,
    attachments TEXT NOT NULL DEFAULT '[]',
    metadata TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE lifecycle_events (
    id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    event_type TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    initiated_by TEXT NOT NULL,
    details TEXT NOT NULL DEFAULT '',
    metadata TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE task_metrics (
    id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL,
    task_id TEXT NOT NULL REFERENCES tasks(id),
    task_type TEXT NOT NULL,
    completed_at TEXT NOT NULL,
    is_success INTEGER NOT NULL,
    duration_seconds REAL NOT NULL,
    cost_usd REAL NOT NULL,
    turns_used INTEGER NOT NULL,
    tokens_used INTEGER NOT NULL,
    quality_score REAL,
    complexity TEXT NOT NULL
);
CREATE TABLE collaboration_metrics (
    id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    delegation_success INTEGER,
    delegation_response_seconds REAL,
    conflict_constructiveness REAL,
    meeting_contribution REAL,
    loop_triggered INTEGER NOT NULL DEFAULT 0,
    handoff_completeness REAL
);
CREATE TABLE parked_contexts (
    id TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    task_id TEXT,
    approval_id TEXT NOT NULL,
    parked_at TEXT NOT NULL,
    context_json TEXT NOT NULL,
    metadata TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE audit_entries (
    id TEXT PRIMARY KEY,
    timestamp TEXT NOT NULL,
    agent_id TEXT,
    task_id TEXT,
    tool_name TEXT NOT NULL,
    tool_category TEXT NOT NULL,
    action_type TEXT NOT NULL,
    arguments_hash TEXT NOT NULL,
    verdict TEXT NOT NULL,
    risk_level TEXT NOT NULL,
    reason TEXT NOT NULL,
    matched_rules TEXT NOT NULL DEFAULT '[]',
    evaluation_duration_ms REAL NOT NULL,
    approval_id TEXT
);
CREATE TABLE settings (
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (namespace, key)
);
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    must_change_password INTEGER NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    key_hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    username TEXT NOT NULL,
    role TEXT NOT NULL,
    ip_address TEXT NOT NULL DEFAULT '',
    user_agent TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    last_active_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE checkpoints (
    id TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    turn_number INTEGER NOT NULL CHECK (turn_number >= 0),
    context_json TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE TABLE heartbeats (
    execution_id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    last_heartbeat_at TEXT NOT NULL
);
CREATE TABLE agent_states (
    agent_id TEXT PRIMARY KEY,
    execution_id TEXT,
    task_id TEXT,
    status TEXT NOT NULL DEFAULT 'idle'
        CHECK (status IN ('idle', 'executing', 'paused')),
    turn_count INTEGER NOT NULL DEFAULT 0 CHECK (turn_count >= 0),
    accumulated_cost_usd REAL NOT NULL DEFAULT 0.0
        CHECK (accumulated_cost_usd >= 0.0),
    last_activity_at TEXT NOT NULL,
    started_at TEXT,
    CHECK (
        (status = 'idle'
         AND execution_id IS NULL
         AND task_id IS NULL
         AND started_at IS NULL
         AND turn_count = 0
         AND accumulated_cost_usd = 0.0)
        OR
        (status IN ('executing', 'paused')
         AND execution_id IS NOT NULL
         AND started_at IS NOT NULL)
    )
);
CREATE TABLE artifacts (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    path TEXT NOT NULL,
    task_id TEXT NOT NULL,
    created_by TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    content_type TEXT NOT NULL DEFAULT '',
    size_bytes INTEGER NOT NULL DEFAULT 0 CHECK (size_bytes >= 0),
    created_at TEXT NOT NULL
);
CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    team TEXT NOT NULL DEFAULT '[]',
    lead TEXT,
    task_ids TEXT NOT NULL DEFAULT '[]',
    deadline TEXT,
    budget REAL NOT NULL DEFAULT 0.0 CHECK (budget >= 0.0),
    status TEXT NOT NULL DEFAULT 'planning'
);
CREATE TABLE custom_presets (
    name TEXT PRIMARY KEY CHECK(length(name) > 0),
    config_json TEXT NOT NULL CHECK(length(config_json) > 0),
    description TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE workflow_definitions (
    id TEXT PRIMARY KEY NOT NULL CHECK(length(id) > 0),
    name TEXT NOT NULL CHECK(length(name) > 0),
    description TEXT NOT NULL DEFAULT '',
    workflow_type TEXT NOT NULL CHECK(workflow_type IN (
        'sequential_pipeline', 'parallel_execution', 'kanban', 'agile_kanban'
    )),
    nodes TEXT NOT NULL,
    edges TEXT NOT NULL,
    created_by TEXT NOT NULL CHECK(length(created_by) > 0),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1 CHECK(version >= 1)
);
CREATE TABLE workflow_executions (
    id TEXT PRIMARY KEY NOT NULL CHECK(length(id) > 0),
    definition_id TEXT NOT NULL CHECK(length(definition_id) > 0),
    definition_version INTEGER NOT NULL CHECK(definition_version >= 1),
    status TEXT NOT NULL CHECK(status IN (
        'pending', 'running', 'completed', 'failed', 'cancelled'
    )),
    node_executions TEXT NOT NULL DEFAULT '[]',
    activated_by TEXT NOT NULL CHECK(length(activated_by) > 0),
    project TEXT NOT NULL CHECK(length(project) > 0),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    completed_at TEXT,
    error TEXT,
    version INTEGER NOT NULL DEFAULT 1 CHECK(version >= 1),
    FOREIGN KEY (definition_id) REFERENCES workflow_definitions(id)
);
CREATE INDEX idx_tasks_status ON tasks(status);
CREATE INDEX idx_tasks_assigned_to ON tasks(assigned_to);
CREATE INDEX idx_tasks_project ON tasks(project);
CREATE INDEX idx_cost_records_agent_id ON cost_records(agent_id);
CREATE INDEX idx_cost_records_task_id ON cost_records(task_id);
CREATE INDEX idx_messages_channel ON messages(channel);
CREATE INDEX idx_messages_timestamp ON messages(timestamp);
CREATE INDEX idx_le_agent_id ON lifecycle_events(agent_id);
CREATE INDEX idx_le_event_type ON lifecycle_events(event_type);
CREATE INDEX idx_le_timestamp ON lifecycle_events(timestamp);
CREATE INDEX idx_tm_agent_id ON task_metrics(agent_id);
CREATE INDEX idx_tm_completed_at ON task_metrics(completed_at);
CREATE INDEX idx_tm_agent_completed
    ON task_metrics(agent_id, completed_at);
CREATE INDEX idx_cm_agent_id ON collaboration_metrics(agent_id);
CREATE INDEX idx_cm_recorded_at
    ON collaboration_metrics(recorded_at);
CREATE INDEX idx_cm_agent_recorded
    ON collaboration_metrics(agent_id, recorded_at);
CREATE INDEX idx_pc_agent_id ON parked_contexts(agent_id);
CREATE INDEX idx_pc_approval_id ON parked_contexts(approval_id);
CREATE INDEX idx_ae_timestamp ON audit_entries(timestamp);
CREATE INDEX idx_ae_agent_id ON audit_entries(agent_id);
CREATE INDEX idx_ae_action_type ON audit_entries(action_type);
CREATE INDEX idx_ae_verdict ON audit_entries(verdict);
CREATE INDEX idx_ae_risk_level ON audit_entries(risk_level);
CREATE INDEX idx_users_role ON users(role);
CREATE UNIQUE INDEX idx_single_ceo ON users(role) WHERE role = 'ceo';
CREATE INDEX idx_api_keys_user_id ON api_keys(user_id);
CREATE INDEX idx_sessions_user_revoked_expires
    ON sessions(user_id, revoked, expires_at);
CREATE INDEX idx_sessions_revoked_expires
    ON sessions(revoked, expires_at);
CREATE INDEX idx_sessions_expires_at ON sessions(expires_at);
CREATE INDEX idx_cp_execution_id ON checkpoints(execution_id);
CREATE INDEX idx_cp_task_id ON checkpoints(task_id);
CREATE INDEX idx_cp_exec_turn
    ON checkpoints(execution_id, turn_number);
CREATE INDEX idx_cp_task_turn
    ON checkpoints(task_id, turn_number);
CREATE INDEX idx_hb_last_heartbeat
    ON heartbeats(last_heartbeat_at);
CREATE INDEX idx_as_status_activity
    ON agent_states(status, last_activity_at DESC);
CREATE INDEX idx_artifacts_task_id ON artifacts(task_id);
CREATE INDEX idx_artifacts_created_by ON artifacts(created_by);
CREATE INDEX idx_artifacts_type ON artifacts(type);
CREATE INDEX idx_projects_status ON projects(status);
CREATE INDEX idx_projects_lead ON projects(lead);
CREATE INDEX idx_wd_workflow_type
    ON workflow_definitions(workflow_type);
CREATE INDEX idx_wd_updated_at
    ON workflow_definitions(updated_at DESC);
CREATE INDEX idx_wfe_definition_id
    ON workflow_executions(definition_id);
CREATE INDEX idx_wfe_status
    ON workflow_executions(status);
CREATE INDEX idx_wfe_updated_at
    ON workflow_executions(updated_at DESC);
CREATE INDEX idx_wfe_definition_updated
    ON workflow_executions(definition_id, updated_at DESC);
CREATE INDEX idx_wfe_status_updated
    ON workflow_executions(status, updated_at DESC);
CREATE INDEX idx_wfe_project
    ON workflow_executions(project);
"""


SESSION: Final = (
    "INSERT INTO sessions (session_id, user_id, username, role, created_at, last_active_at,"
    " expires_at) VALUES ('s1', 'user-1', 'ada', 'manager', '2026-03-01T12:00:00+02:00', '?', '')"
)


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database behind its owner's back, and commit what was done."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")
        yield connection


def make_database(path: Path, ddl: str = DDL) -> None:
    """Make an empty database."""
    with opened(path) as connection:
        connection.executescript(ddl)


def change(path: Path, *statements: str) -> None:
    """Change a database, where nothing but its own DDL is in the way."""
    with opened(path) as connection:
        for statement in statements:
            connection.execute(statement)


def dump(path: Path) -> list[str]:
    """Write a whole database as SQL, also when a text in it is not UTF-8."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = lambda content: content.decode(errors="surrogateescape")
        (version,) = connection.execute("PRAGMA user_version")
        return [f"PRAGMA user_version={version[0]}", *connection.iterdump()]


async def adopt_database(
    path: Path,
    *,
    disturb: Callable[[Connection], object] = lambda _: None,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Adopt a database alone, without the rest of a migration.

    Args:
        path: The database.
        disturb: Done on the connection when the new tables have been created.
        progress: Told about the progress.
    """
    async with site_at(f"sqlite:///{path}") as site, site.engine.connect() as connection:
        await connection.run_sync(_adopt, site, disturb, progress)


def _adopt(
    connection: Connection,
    site: Site,
    disturb: Callable[[Connection], object],
    progress: Callable[[str, int, int], None] | None,
) -> None:
    def create_schema(connection: Connection) -> None:
        metadata.create_all(connection)
        for statement in site.dialect.create_triggers(AppendOnly("audit_entries")):
            connection.exec_driver_sql(statement)
        disturb(connection)

    with site.dialect.migration_transaction(connection):
        adopt(connection, create_schema, progress)


def read(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Read what a database holds."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.execute(query))


async def recognise(path: Path) -> tuple[bool, str | None]:
    """Tell whether a database is the predecessor's, and if not, why it is almost one."""

    def look(connection: Connection) -> tuple[bool, str | None]:
        return is_predecessor(connection), explain_mismatch(connection)

    async with site_at(f"sqlite:///{path}") as site:
        return await site.run(look)


@cache
def example() -> bytes:
    """Make the file of a database with a record of every kind, and a session."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "example.db"
        make_database(path)
        write(path, [(kind, storable(kind, kind.example)) for kind in KINDS])
        change(path, SESSION)
        return path.read_bytes()


def storable(kind: Kind, record: Any) -> Any:
    """Make of a record the one that is left when the predecessor has stored it."""
    changes = dict(NEW.get(kind.repository, {}))
    if kind.repository == "artifacts" and record.created_at is None:
        changes["created_at"] = MOMENT
    if kind.repository == "custom_presets":
        changes["config_json"] = record.config_json or "{}"
    return kind.altered(record, **changes)


def write(
    path: Path,
    records: Iterable[tuple[Kind, Any]],
    spell: Callable[[datetime], str] = datetime.isoformat,
) -> None:
    """Store records as the predecessor did.

    Args:
        path: The database.
        records: The records, each after its kind.
        spell: How a time is written.
    """
    with opened(path) as connection:
        for kind, record in records:
            names = [name for name in kind.fields if name not in NEW.get(kind.repository, {})]
            columns = ", ".join(f'"{name}"' for name in names)
            connection.execute(
                f"INSERT INTO {kind.repository} ({columns}) VALUES ({', '.join('?' * len(names))})",
                [_stored(getattr(record, name), spell) for name in names],
            )


def _stored(value: object, spell: Callable[[datetime], str]) -> object:
    match value:
        case datetime():
            return spell(value)
        case bool():
            return int(value)
        case Enum():
            return value.value
        case UUID():
            return str(value)
        case None | str() | int() | float():
            return value
    return json.dumps(TypeAdapter(object).dump_python(value, mode="json"))
