"""Workflows: the graph that is defined, and each run through it."""

from enum import StrEnum
from typing import Final, Self

from pydantic import Field, model_validator

from synthorg.entities.base import (
    Entity,
    JsonObject,
    Key,
    NotBlankStr,
    Text,
    UtcDatetime,
    Version,
    now,
    refuse_duplicates,
)


class WorkflowType(StrEnum):
    """How the work in a workflow flows."""

    SEQUENTIAL_PIPELINE = "sequential_pipeline"
    PARALLEL_EXECUTION = "parallel_execution"
    KANBAN = "kanban"
    AGILE_KANBAN = "agile_kanban"


class WorkflowNodeType(StrEnum):
    """What happens at a node."""

    START = "start"
    END = "end"
    TASK = "task"
    AGENT_ASSIGNMENT = "agent_assignment"
    CONDITIONAL = "conditional"
    PARALLEL_SPLIT = "parallel_split"
    PARALLEL_JOIN = "parallel_join"


class WorkflowEdgeType(StrEnum):
    """When an edge is followed."""

    SEQUENTIAL = "sequential"
    CONDITIONAL_TRUE = "conditional_true"
    CONDITIONAL_FALSE = "conditional_false"
    PARALLEL_BRANCH = "parallel_branch"


class WorkflowExecutionStatus(StrEnum):
    """Where the run of a workflow stands."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class WorkflowNodeExecutionStatus(StrEnum):
    """Where one node stands in the run of a workflow."""

    PENDING = "pending"
    SKIPPED = "skipped"
    TASK_CREATED = "task_created"
    COMPLETED = "completed"


_ENDED: Final = frozenset(
    {
        WorkflowExecutionStatus.COMPLETED,
        WorkflowExecutionStatus.FAILED,
        WorkflowExecutionStatus.CANCELLED,
    }
)


class WorkflowNode(Entity):
    """A step of a workflow, with its place in the drawing."""

    id: NotBlankStr
    label: NotBlankStr
    type: WorkflowNodeType
    position_x: float = 0.0
    position_y: float = 0.0
    config: JsonObject = Field(default_factory=dict)


class WorkflowEdge(Entity):
    """A way from one node to another."""

    id: NotBlankStr
    source_node_id: NotBlankStr
    target_node_id: NotBlankStr
    type: WorkflowEdgeType = WorkflowEdgeType.SEQUENTIAL
    label: NotBlankStr | None = None


class WorkflowDefinition(Entity):
    """A graph with one start and one end, whose edges join different nodes of it."""

    id: Key
    name: NotBlankStr
    description: Text = ""
    workflow_type: WorkflowType = WorkflowType.SEQUENTIAL_PIPELINE
    nodes: tuple[WorkflowNode, ...] = ()
    edges: tuple[WorkflowEdge, ...] = ()
    created_by: Key
    created_at: UtcDatetime = Field(default_factory=now)
    updated_at: UtcDatetime = Field(default_factory=now)
    version: Version = 1

    @model_validator(mode="after")
    def _refuse_repeated_ids(self) -> Self:
        refuse_duplicates((node.id for node in self.nodes), "ids of nodes")
        refuse_duplicates((edge.id for edge in self.edges), "ids of edges")
        return self

    @model_validator(mode="after")
    def _require_one_start_and_one_end(self) -> Self:
        types = [node.type for node in self.nodes]
        for required in (WorkflowNodeType.START, WorkflowNodeType.END):
            if types.count(required) != 1:
                raise ValueError(f"nodes must contain exactly one of type {required}")
        return self

    @model_validator(mode="after")
    def _join_different_nodes(self) -> Self:
        known = {node.id for node in self.nodes}
        for edge in self.edges:
            if edge.source_node_id == edge.target_node_id:
                raise ValueError("source_node_id and target_node_id of an edge must differ")
            if not known >= {edge.source_node_id, edge.target_node_id}:
                raise ValueError("source_node_id and target_node_id of an edge must be in nodes")
        return self


class WorkflowNodeExecution(Entity):
    """What became of one node in a run: the task created for it, or why it was skipped."""

    node_id: NotBlankStr
    node_type: WorkflowNodeType
    status: WorkflowNodeExecutionStatus = WorkflowNodeExecutionStatus.PENDING
    task_id: Key | None = None
    skipped_reason: NotBlankStr | None = None

    @model_validator(mode="after")
    def _fit_the_status(self) -> Self:
        task_created = self.status is WorkflowNodeExecutionStatus.TASK_CREATED
        if task_created and self.node_type is not WorkflowNodeType.TASK:
            raise ValueError("status task_created needs node_type task")
        if task_created != (self.task_id is not None):
            raise ValueError("task_id is set exactly when status is task_created")
        skipped = self.status is WorkflowNodeExecutionStatus.SKIPPED
        if skipped != (self.skipped_reason is not None):
            raise ValueError("skipped_reason is set exactly when status is skipped")
        return self


class WorkflowExecution(Entity):
    """One run of one version of a workflow."""

    id: Key
    definition_id: Key
    definition_version: Version
    status: WorkflowExecutionStatus = WorkflowExecutionStatus.PENDING
    node_executions: tuple[WorkflowNodeExecution, ...] = ()
    activated_by: Key
    project: Key
    created_at: UtcDatetime = Field(default_factory=now)
    updated_at: UtcDatetime = Field(default_factory=now)
    completed_at: UtcDatetime | None = None
    error: NotBlankStr | None = None
    version: Version = 1

    @model_validator(mode="after")
    def _refuse_repeated_node_ids(self) -> Self:
        node_ids = (execution.node_id for execution in self.node_executions)
        refuse_duplicates(node_ids, "node ids of node_executions")
        return self

    @model_validator(mode="after")
    def _fit_the_status(self) -> Self:
        if (self.status in _ENDED) != (self.completed_at is not None):
            raise ValueError(
                "completed_at is set exactly when status is completed, failed or cancelled"
            )
        if (self.status is WorkflowExecutionStatus.FAILED) != (self.error is not None):
            raise ValueError("error is set exactly when status is failed")
        return self
