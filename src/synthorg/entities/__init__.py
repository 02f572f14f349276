"""What the library stores: import every entity and enumeration from here."""

from synthorg.entities.artifacts import Artifact, ArtifactType
from synthorg.entities.audit import (
    ApprovalRiskLevel,
    AuditEntry,
    AuditVerdictStr,
    EvaluationConfidence,
    ToolCategory,
)
from synthorg.entities.auth import SYSTEM_USER_ID, ApiKey, HumanRole, User
from synthorg.entities.base import Entity, Key, NotBlankStr, UtcDatetime
from synthorg.entities.costs import CostRecord, LLMCallCategory
from synthorg.entities.execution import AgentRuntimeState, Checkpoint, ExecutionStatus, Heartbeat
from synthorg.entities.hr import (
    AgentLifecycleEvent,
    CollaborationMetricRecord,
    LifecycleEventType,
    TaskMetricRecord,
)
from synthorg.entities.messages import (
    Attachment,
    AttachmentType,
    Message,
    MessageMetadata,
    MessagePriority,
    MessageType,
)
from synthorg.entities.parked_contexts import ParkedContext
from synthorg.entities.presets import PresetListRow, PresetRow
from synthorg.entities.projects import Project, ProjectStatus
from synthorg.entities.tasks import (
    TASK_TRANSITIONS,
    AcceptanceCriterion,
    Complexity,
    CoordinationTopology,
    ExpectedArtifact,
    Priority,
    Task,
    TaskStatus,
    TaskStructure,
    TaskType,
)
from synthorg.entities.workflows import (
    WorkflowDefinition,
    WorkflowEdge,
    WorkflowEdgeType,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowNode,
    WorkflowNodeExecution,
    WorkflowNodeExecutionStatus,
    WorkflowNodeType,
    WorkflowType,
)

__all__ = [
    "SYSTEM_USER_ID",
    "TASK_TRANSITIONS",
    "AcceptanceCriterion",
    "AgentLifecycleEvent",
    "AgentRuntimeState",
    "ApiKey",
    "ApprovalRiskLevel",
    "Artifact",
    "ArtifactType",
    "Attachment",
    "AttachmentType",
    "AuditEntry",
    "AuditVerdictStr",
    "Checkpoint",
    "CollaborationMetricRecord",
    "Complexity",
    "CoordinationTopology",
    "CostRecord",
    "Entity",
    "EvaluationConfidence",
    "ExecutionStatus",
    "ExpectedArtifact",
    "Heartbeat",
    "HumanRole",
    "Key",
    "LLMCallCategory",
    "LifecycleEventType",
    "Message",
    "MessageMetadata",
    "MessagePriority",
    "MessageType",
    "NotBlankStr",
    "ParkedContext",
    "PresetListRow",
    "PresetRow",
    "Priority",
    "Project",
    "ProjectStatus",
    "Task",
    "TaskMetricRecord",
    "TaskStatus",
    "TaskStructure",
    "TaskType",
    "ToolCategory",
    "User",
    "UtcDatetime",
    "WorkflowDefinition",
    "WorkflowEdge",
    "WorkflowEdgeType",
    "WorkflowExecution",
    "WorkflowExecutionStatus",
    "WorkflowNode",
    "WorkflowNodeExecution",
    "WorkflowNodeExecutionStatus",
    "WorkflowNodeType",
    "WorkflowType",
]
