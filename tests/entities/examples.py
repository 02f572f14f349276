"""The least that makes each entity valid, and how to see what an entity refuses."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, get_args

import pytest
from pydantic import ValidationError

from synthorg.entities import (
    AcceptanceCriterion,
    AgentLifecycleEvent,
    AgentRuntimeState,
    ApiKey,
    Artifact,
    Attachment,
    AuditEntry,
    Checkpoint,
    CollaborationMetricRecord,
    CostRecord,
    Entity,
    ExpectedArtifact,
    Heartbeat,
    Message,
    MessageMetadata,
    ParkedContext,
    Project,
    Task,
    TaskMetricRecord,
    User,
    WorkflowDefinition,
    WorkflowEdge,
    WorkflowExecution,
    WorkflowNode,
    WorkflowNodeExecution,
)

NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
START: Final = {"id": "first", "label": "Start", "type": "start"}
END: Final = {"id": "last", "label": "End", "type": "end"}

MINIMAL: Final[Mapping[type[Entity], Mapping[str, object]]] = {
    Task: {
        "id": "task-1",
        "title": "Write it",
        "description": "Write it well",
        "project": "project-1",
        "created_by": "ada",
        "type": "development",
    },
    AcceptanceCriterion: {"description": "It works"},
    ExpectedArtifact: {"type": "code", "path": "src/it.py"},
    CostRecord: {
        "agent_id": "ada",
        "task_id": "task-1",
        "provider": "acme",
        "model": "large",
        "input_tokens": 1,
        "output_tokens": 0,
        "cost_usd": 0.5,
        "timestamp": NOON,
    },
    Message: {
        "timestamp": NOON,
        "sender": "ada",
        "to": "bob",
        "type": "question",
        "channel": "general",
        "content": "Is it done?",
    },
    MessageMetadata: {},
    Attachment: {"type": "link", "ref": "https://example.org"},
    AgentLifecycleEvent: {
        "agent_id": "ada",
        "agent_name": "Ada",
        "event_type": "hired",
        "timestamp": NOON,
        "initiated_by": "bob",
    },
    TaskMetricRecord: {
        "agent_id": "ada",
        "task_id": "task-1",
        "task_type": "review",
        "completed_at": NOON,
        "is_success": True,
        "duration_seconds": 1.5,
        "cost_usd": 0.0,
        "turns_used": 1,
        "tokens_used": 2,
        "complexity": "epic",
    },
    CollaborationMetricRecord: {"agent_id": "ada", "recorded_at": NOON},
    ParkedContext: {
        "execution_id": "execution-1",
        "agent_id": "ada",
        "approval_id": "approval-1",
        "parked_at": NOON,
        "context_json": "{}",
    },
    AuditEntry: {
        "id": "audit-1",
        "timestamp": NOON,
        "tool_name": "shell",
        "tool_category": "terminal",
        "action_type": "code:write",
        "arguments_hash": "0123456789abcdef" * 4,
        "verdict": "allow",
        "risk_level": "low",
        "reason": "harmless",
        "evaluation_duration_ms": 0.25,
    },
    User: {
        "id": "user-1",
        "username": "ada",
        "password_hash": "secret-hash",
        "role": "manager",
        "created_at": NOON,
        "updated_at": NOON,
    },
    ApiKey: {
        "id": "key-1",
        "key_hash": "secret-hash",
        "name": "laptop",
        "role": "observer",
        "user_id": "user-1",
        "created_at": NOON,
    },
    Checkpoint: {
        "execution_id": "execution-1",
        "agent_id": "ada",
        "task_id": "task-1",
        "turn_number": 0,
        "context_json": "{}",
    },
    Heartbeat: {
        "execution_id": "execution-1",
        "agent_id": "ada",
        "task_id": "task-1",
        "last_heartbeat_at": NOON,
    },
    AgentRuntimeState: {"agent_id": "ada", "status": "idle", "last_activity_at": NOON},
    Artifact: {
        "id": "artifact-1",
        "type": "tests",
        "path": "tests/test_it.py",
        "task_id": "task-1",
        "created_by": "ada",
    },
    Project: {"id": "project-1", "name": "It"},
    WorkflowDefinition: {
        "id": "workflow-1",
        "name": "Flow",
        "nodes": [START, END],
        "created_by": "ada",
    },
    WorkflowNode: START,
    WorkflowEdge: {"id": "edge-1", "source_node_id": "first", "target_node_id": "last"},
    WorkflowNodeExecution: {"node_id": "first", "node_type": "start"},
    WorkflowExecution: {
        "id": "run-1",
        "definition_id": "workflow-1",
        "definition_version": 1,
        "activated_by": "ada",
        "project": "project-1",
    },
}
"""The required fields of every entity."""

Fields = Mapping[type[Entity], str]
"""Names of fields by entity; a name that ends in [] stands for each element of its tuple."""


def make(entity: type[Entity], **changes: object) -> Any:
    """Make an entity from its required fields and these changes."""
    return entity.model_validate({**MINIMAL[entity], **changes})


def given(field: str, value: object) -> dict[str, object]:
    """Tell what to pass so that a field, or one element of its tuple, has this value."""
    name = field.removesuffix("[]")
    return {name: [value] if name != field else value}


def complaints(entity: type[Entity], field: str, value: object) -> list[str]:
    """List what the entity says against this value of this field; nothing when it is fine."""
    changes = given(field, value)
    places = {*changes, *(entity.model_fields[name].alias for name in changes)}
    try:
        make(entity, **changes)
    except ValidationError as error:
        return [each["msg"] for each in error.errors() if places.intersection(each["loc"][:1])]
    return []


def each_field(*tables: Fields) -> pytest.MarkDecorator:
    """Run a test for each field in these tables, as `entity` and `field`."""
    cases = [
        (entity, field)
        for table in tables
        for entity, names in table.items()
        for field in names.split()
    ]
    ids = [f"{entity.__name__}.{field}" for entity, field in cases]
    return pytest.mark.parametrize(("entity", "field"), cases, ids=ids)


def fields_that_hold(*kinds: object) -> set[tuple[type[Entity], str]]:
    """Find every field of every entity whose values contain one of these types."""

    def holds(annotation: object) -> bool:
        return annotation in kinds or any(holds(part) for part in get_args(annotation))

    return {
        (entity, name)
        for entity in MINIMAL
        for name, field in entity.model_fields.items()
        if holds(field.annotation)
    }


def named(*tables: Fields) -> set[tuple[type[Entity], str]]:
    """Collect the fields in these tables."""
    return {
        (entity, field.removesuffix("[]"))
        for table in tables
        for entity, names in table.items()
        for field in names.split()
    }
