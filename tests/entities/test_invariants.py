"""Which combinations of values an entity refuses, and which it admits just beside them."""

from datetime import timedelta
from typing import Final

import pytest
from pydantic import ValidationError

from synthorg.entities import (
    SYSTEM_USER_ID,
    AgentRuntimeState,
    CostRecord,
    Entity,
    ExecutionStatus,
    MessageMetadata,
    Project,
    Task,
    TaskMetricRecord,
    WorkflowDefinition,
    WorkflowExecution,
    WorkflowNodeExecution,
)
from synthorg.entities.base import now
from synthorg.persistence.testing.kinds import MOMENT
from tests.entities.examples import END, START, make

EXECUTING: Final = {"status": "executing", "execution_id": "execution-1", "started_at": MOMENT}
EDGE: Final = {"id": "edge-1", "source_node_id": "first", "target_node_id": "last"}
EDGE_BACK: Final = {"id": "edge-2", "source_node_id": "last", "target_node_id": "first"}
TASK_NODE: Final = {"node_id": "write", "node_type": "task"}
RUN_OF_FIRST: Final = {"node_id": "first", "node_type": "start"}

IDLE_HAS_NO_REFERENCES: Final = "status idle has no execution_id, task_id or started_at"
IDLE_HAS_NO_COUNTERS: Final = "status idle has turn_count and accumulated_cost_usd 0"
ACTIVE_NEEDS_EXECUTION: Final = "status executing and paused need execution_id and started_at"
NEEDS_ASSIGNEE: Final = "status assigned, in_progress, in_review and completed need assigned_to"
COMPLETED_AT: Final = "completed_at is set exactly when status is completed, failed or cancelled"
ERROR: Final = "error is set exactly when status is failed"
TASK_ID: Final = "task_id is set exactly when status is task_created"
SKIPPED_REASON: Final = "skipped_reason is set exactly when status is skipped"
EDGE_DIFFERS: Final = "source_node_id and target_node_id of an edge must differ"
EDGE_EXISTS: Final = "source_node_id and target_node_id of an edge must be in nodes"
ONE_START: Final = "nodes must contain exactly one of type start"
ONE_END: Final = "nodes must contain exactly one of type end"

REFUSED: Final[list[tuple[type[Entity], dict[str, object], str]]] = [
    (Task, {"reviewers": ["a", "b", "a"]}, "reviewers must be unique"),
    (Task, {"dependencies": ["a", "a"]}, "dependencies must be unique"),
    (Task, {"delegation_chain": ["a", "a"]}, "delegation_chain must be unique"),
    (Task, {"dependencies": ["a", "task-1"]}, "dependencies must not contain the id of the task"),
    (Task, {"parent_task_id": "task-1"}, "parent_task_id must not be the id of the task"),
    (
        Task,
        {"status": "blocked", "assigned_to": "a", "delegation_chain": ["a"]},
        "assigned_to must not be in delegation_chain",
    ),
    (Task, {"status": "created", "assigned_to": "a"}, "status created has no assigned_to"),
    (Task, {"assigned_to": "a"}, "status created has no assigned_to"),
    (Task, {"status": "assigned"}, NEEDS_ASSIGNEE),
    (Task, {"status": "in_progress"}, NEEDS_ASSIGNEE),
    (Task, {"status": "in_review"}, NEEDS_ASSIGNEE),
    (Task, {"status": "completed"}, NEEDS_ASSIGNEE),
    (
        CostRecord,
        {"cost_usd": 5e-324, "input_tokens": 0, "output_tokens": 0},
        "cost_usd above 0 needs input_tokens or output_tokens above 0",
    ),
    (MessageMetadata, {"extra": [("a", "1"), ("a", "2")]}, "keys of extra must be unique"),
    (TaskMetricRecord, {"started_at": MOMENT}, "started_at must be before completed_at"),
    (
        TaskMetricRecord,
        {"started_at": MOMENT + timedelta(microseconds=1)},
        "started_at must be before completed_at",
    ),
    (AgentRuntimeState, {"execution_id": "execution-1"}, IDLE_HAS_NO_REFERENCES),
    (AgentRuntimeState, {"task_id": "task-1"}, IDLE_HAS_NO_REFERENCES),
    (AgentRuntimeState, {"started_at": MOMENT}, IDLE_HAS_NO_REFERENCES),
    (AgentRuntimeState, {"turn_count": 1}, IDLE_HAS_NO_COUNTERS),
    (AgentRuntimeState, {"accumulated_cost_usd": 5e-324}, IDLE_HAS_NO_COUNTERS),
    (AgentRuntimeState, {**EXECUTING, "execution_id": None}, ACTIVE_NEEDS_EXECUTION),
    (AgentRuntimeState, {**EXECUTING, "started_at": None}, ACTIVE_NEEDS_EXECUTION),
    (AgentRuntimeState, {"status": "paused"}, ACTIVE_NEEDS_EXECUTION),
    (Project, {"team": ["a", "a"]}, "team must be unique"),
    (Project, {"task_ids": ["a", "a"]}, "task_ids must be unique"),
    (WorkflowDefinition, {"nodes": []}, ONE_START),
    (WorkflowDefinition, {"nodes": [END]}, ONE_START),
    (WorkflowDefinition, {"nodes": [START]}, ONE_END),
    (WorkflowDefinition, {"nodes": [START, {**START, "id": "second"}, END]}, ONE_START),
    (WorkflowDefinition, {"nodes": [START, END, {**END, "id": "second"}]}, ONE_END),
    (WorkflowDefinition, {"nodes": [START, {**END, "id": "first"}]}, "ids of nodes must be unique"),
    (WorkflowDefinition, {"edges": [EDGE, EDGE]}, "ids of edges must be unique"),
    (WorkflowDefinition, {"edges": [{**EDGE, "target_node_id": "first"}]}, EDGE_DIFFERS),
    (WorkflowDefinition, {"edges": [{**EDGE, "source_node_id": "nowhere"}]}, EDGE_EXISTS),
    (WorkflowDefinition, {"edges": [{**EDGE, "target_node_id": "nowhere"}]}, EDGE_EXISTS),
    (
        WorkflowNodeExecution,
        {"status": "task_created", "task_id": "task-1", "node_type": "start"},
        "status task_created needs node_type task",
    ),
    (WorkflowNodeExecution, {**TASK_NODE, "status": "task_created"}, TASK_ID),
    (WorkflowNodeExecution, {**TASK_NODE, "task_id": "task-1"}, TASK_ID),
    (WorkflowNodeExecution, {**TASK_NODE, "status": "completed", "task_id": "task-1"}, TASK_ID),
    (
        WorkflowNodeExecution,
        {**TASK_NODE, "status": "skipped", "skipped_reason": "late", "task_id": "task-1"},
        TASK_ID,
    ),
    (WorkflowNodeExecution, {"status": "skipped"}, SKIPPED_REASON),
    (WorkflowNodeExecution, {"skipped_reason": "late"}, SKIPPED_REASON),
    (WorkflowNodeExecution, {"status": "completed", "skipped_reason": "late"}, SKIPPED_REASON),
    (
        WorkflowNodeExecution,
        {
            **TASK_NODE,
            "status": "task_created",
            "task_id": "task-1",
            "skipped_reason": "late",
        },
        SKIPPED_REASON,
    ),
    (
        WorkflowExecution,
        {"node_executions": [RUN_OF_FIRST, RUN_OF_FIRST]},
        "node ids of node_executions must be unique",
    ),
    (WorkflowExecution, {"status": "pending", "completed_at": MOMENT}, COMPLETED_AT),
    (WorkflowExecution, {"status": "running", "completed_at": MOMENT}, COMPLETED_AT),
    (WorkflowExecution, {"status": "completed"}, COMPLETED_AT),
    (WorkflowExecution, {"status": "cancelled"}, COMPLETED_AT),
    (WorkflowExecution, {"status": "failed", "error": "broken"}, COMPLETED_AT),
    (WorkflowExecution, {"status": "failed", "completed_at": MOMENT}, ERROR),
    (WorkflowExecution, {"status": "running", "error": "broken"}, ERROR),
    (WorkflowExecution, {"status": "completed", "completed_at": MOMENT, "error": "broken"}, ERROR),
    (WorkflowExecution, {"status": "cancelled", "completed_at": MOMENT, "error": "broken"}, ERROR),
]

ADMITTED: Final[list[tuple[type[Entity], dict[str, object]]]] = [
    (Task, {"reviewers": ["a", "A", "a "], "dependencies": ["task-2"], "delegation_chain": ["a"]}),
    (Task, {"parent_task_id": "task-1 ", "dependencies": ["Task-1"]}),
    (Task, {"status": "assigned", "assigned_to": "a", "delegation_chain": ["A"]}),
    (Task, {"status": "assigned", "assigned_to": "a"}),
    (Task, {"status": "in_progress", "assigned_to": "a"}),
    (Task, {"status": "in_review", "assigned_to": "a"}),
    (Task, {"status": "completed", "assigned_to": "a"}),
    (Task, {"status": "blocked", "assigned_to": "a"}),
    (Task, {"status": "failed", "assigned_to": "a"}),
    (Task, {"status": "interrupted", "assigned_to": "a"}),
    (Task, {"status": "cancelled", "assigned_to": "a"}),
    (Task, {"status": "blocked"}),
    (Task, {"status": "failed"}),
    (Task, {"status": "interrupted"}),
    (Task, {"status": "cancelled"}),
    (CostRecord, {"cost_usd": 0.0, "input_tokens": 0, "output_tokens": 0}),
    (CostRecord, {"cost_usd": 5.0, "input_tokens": 0, "output_tokens": 1}),
    (CostRecord, {"cost_usd": 5.0, "input_tokens": 1, "output_tokens": 0}),
    (MessageMetadata, {"extra": [("a", "1"), ("A", "1")]}),
    (TaskMetricRecord, {"started_at": MOMENT - timedelta(microseconds=1)}),
    (AgentRuntimeState, {"turn_count": 0, "accumulated_cost_usd": -0.0}),
    (AgentRuntimeState, EXECUTING),
    (AgentRuntimeState, {**EXECUTING, "status": "paused", "task_id": "task-1", "turn_count": 9}),
    (Project, {"team": ["a", "b"], "task_ids": ["a", "b"], "lead": "a"}),
    (WorkflowDefinition, {"edges": [EDGE, EDGE_BACK, {**EDGE, "id": "edge-3"}]}),
    (WorkflowDefinition, {"edges": [EDGE_BACK]}),
    (WorkflowNodeExecution, {**TASK_NODE, "status": "task_created", "task_id": "task-1"}),
    (WorkflowNodeExecution, {**TASK_NODE, "status": "skipped", "skipped_reason": "late"}),
    (WorkflowNodeExecution, {"status": "completed"}),
    (WorkflowExecution, {"node_executions": [RUN_OF_FIRST, TASK_NODE]}),
    (WorkflowExecution, {"status": "running"}),
    (WorkflowExecution, {"status": "completed", "completed_at": MOMENT}),
    (WorkflowExecution, {"status": "cancelled", "completed_at": MOMENT}),
    (WorkflowExecution, {"status": "failed", "completed_at": MOMENT, "error": "broken"}),
]


@pytest.mark.parametrize(("entity", "changes", "reason"), REFUSED)
def test_values_that_contradict_each_other_are_refused(
    entity: type[Entity], changes: dict[str, object], reason: str
) -> None:
    """The reason is fixed text, so it names the fields and repeats no value."""
    with pytest.raises(ValidationError) as refusal:
        make(entity, **changes)
    assert [error["msg"] for error in refusal.value.errors()] == [f"Value error, {reason}"]


@pytest.mark.parametrize(("entity", "changes"), ADMITTED)
def test_values_just_inside_an_invariant_are_admitted(
    entity: type[Entity], changes: dict[str, object]
) -> None:
    made = make(entity, **changes)
    assert entity.model_validate(made.model_dump()) == made


def test_an_idle_agent_has_nothing_but_its_last_activity() -> None:
    before = now()
    state = AgentRuntimeState.idle("ada")
    assert before <= state.last_activity_at <= now()
    assert state == AgentRuntimeState(
        agent_id="ada", status=ExecutionStatus.IDLE, last_activity_at=state.last_activity_at
    )


def test_an_idle_agent_needs_a_valid_id() -> None:
    with pytest.raises(ValidationError, match="must not be blank"):
        AgentRuntimeState.idle(" ")


def test_the_id_of_the_system_user_is_fixed() -> None:
    """Databases out there hold it."""
    assert SYSTEM_USER_ID == "system"
