"""What may be left out of each entity, the least that makes it valid, and what it refuses."""

from collections.abc import Mapping
from typing import Any, Final, get_args

import pytest
from pydantic import ValidationError

from synthorg.entities import (
    AcceptanceCriterion,
    AgentLifecycleEvent,
    AgentRuntimeState,
    ApiKey,
    Artifact,
    AuditEntry,
    Checkpoint,
    CollaborationMetricRecord,
    CostRecord,
    Entity,
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
from synthorg.persistence.testing.kinds import EXECUTIONS, KINDS, MESSAGES, TASKS

START: Final = {"id": "first", "label": "Start", "type": "start"}
END: Final = {"id": "last", "label": "End", "type": "end"}

Fields = Mapping[type[Entity], str]
"""Names of fields by entity; a name that ends in [] stands for each element of its tuple."""

DEFAULTS: Final[Mapping[type[Entity], Mapping[str, object]]] = {
    Task: {
        "priority": "medium",
        "assigned_to": None,
        "reviewers": (),
        "dependencies": (),
        "delegation_chain": (),
        "artifacts_expected": (),
        "acceptance_criteria": (),
        "estimated_complexity": "medium",
        "budget_limit": 0.0,
        "deadline": None,
        "max_retries": 1,
        "status": "created",
        "parent_task_id": None,
        "task_structure": None,
        "coordination_topology": "auto",
    },
    AcceptanceCriterion: {"met": False},
    CostRecord: {"call_category": None},
    Message: {"priority": "normal", "attachments": (), "metadata": MessageMetadata()},
    MessageMetadata: {
        "task_id": None,
        "project_id": None,
        "tokens_used": None,
        "cost_usd": None,
        "extra": (),
    },
    AgentLifecycleEvent: {"details": "", "metadata": {}},
    TaskMetricRecord: {"started_at": None, "quality_score": None},
    CollaborationMetricRecord: {
        "delegation_success": None,
        "delegation_response_seconds": None,
        "conflict_constructiveness": None,
        "meeting_contribution": None,
        "handoff_completeness": None,
        "loop_triggered": False,
        "interaction_summary": None,
    },
    ParkedContext: {"task_id": None, "metadata": {}},
    AuditEntry: {
        "agent_id": None,
        "task_id": None,
        "matched_rules": (),
        "confidence": "high",
        "approval_id": None,
    },
    User: {"must_change_password": True},
    ApiKey: {"expires_at": None, "revoked": False},
    AgentRuntimeState: {
        "execution_id": None,
        "task_id": None,
        "turn_count": 0,
        "accumulated_cost_usd": 0.0,
        "started_at": None,
    },
    Artifact: {
        "description": "",
        "project_id": None,
        "content_type": "",
        "size_bytes": 0,
        "created_at": None,
    },
    Project: {
        "description": "",
        "team": (),
        "task_ids": (),
        "lead": None,
        "deadline": None,
        "budget": 0.0,
        "status": "planning",
    },
    WorkflowDefinition: {
        "description": "",
        "workflow_type": "sequential_pipeline",
        "edges": (),
        "version": 1,
    },
    WorkflowNode: {"position_x": 0.0, "position_y": 0.0, "config": {}},
    WorkflowEdge: {"type": "sequential", "label": None},
    WorkflowNodeExecution: {"status": "pending", "task_id": None, "skipped_reason": None},
    WorkflowExecution: {
        "status": "pending",
        "node_executions": (),
        "completed_at": None,
        "error": None,
        "version": 1,
    },
}
FRESH_IDS: Final[Fields] = {
    Message: "id",
    AgentLifecycleEvent: "id",
    TaskMetricRecord: "id",
    CollaborationMetricRecord: "id",
    ParkedContext: "id",
    Checkpoint: "id",
}
PRESENT_TIMES: Final[Fields] = {
    Checkpoint: "created_at",
    WorkflowDefinition: "created_at updated_at",
    WorkflowExecution: "created_at updated_at",
}

_EXAMPLES: Final = (
    *(kind.example for kind in KINDS if isinstance(kind.example, Entity)),
    *TASKS.example.acceptance_criteria,
    *TASKS.example.artifacts_expected,
    *MESSAGES.example.attachments,
    MESSAGES.example.metadata,
    EXECUTIONS.example.node_executions[0],
)
_REQUIRED_BY_OTHERS: Final[Mapping[type[Entity], Mapping[str, object]]] = {
    AgentRuntimeState: {"status": "idle"},  # any other needs an execution, too
    WorkflowDefinition: {"nodes": [START, END]},
    WorkflowNode: START,
    WorkflowEdge: {"id": "edge-1", "source_node_id": "first", "target_node_id": "last"},
}


def _may_be_left_out(entity: type[Entity]) -> set[str]:
    others = f"{FRESH_IDS.get(entity, '')} {PRESENT_TIMES.get(entity, '')}".split()
    return {*DEFAULTS.get(entity, ()), *others}


MINIMAL: Final[Mapping[type[Entity], Mapping[str, object]]] = {
    **{
        type(example): {
            **{
                name: getattr(example, name)
                for name in type(example).model_fields
                if name not in _may_be_left_out(type(example))
            },
            **_REQUIRED_BY_OTHERS.get(type(example), {}),
        }
        for example in _EXAMPLES
    },
    **{each: _REQUIRED_BY_OTHERS[each] for each in (WorkflowNode, WorkflowEdge)},
}
"""The required fields of every entity: all but those that may be left out."""


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
