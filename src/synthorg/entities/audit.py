"""The audit trail: what the security rules decided about each tool call."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from synthorg.entities.base import Amount, Entity, Key, Label, NotBlankStr, UtcDatetime


class ToolCategory(StrEnum):
    """What a tool acts upon."""

    FILE_SYSTEM = "file_system"
    CODE_EXECUTION = "code_execution"
    VERSION_CONTROL = "version_control"
    WEB = "web"
    DATABASE = "database"
    TERMINAL = "terminal"
    DESIGN = "design"
    COMMUNICATION = "communication"
    ANALYTICS = "analytics"
    DEPLOYMENT = "deployment"
    MEMORY = "memory"
    MCP = "mcp"
    OTHER = "other"


class ApprovalRiskLevel(StrEnum):
    """How much harm an action could do."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class EvaluationConfidence(StrEnum):
    """How sure the evaluation was of its verdict."""

    HIGH = "high"
    LOW = "low"


AuditVerdictStr = Literal["allow", "deny", "escalate", "output_scan"]
"""What was decided about a tool call."""


class AuditEntry(Entity):
    """One decision about one tool call; the arguments themselves are kept as a digest only."""

    id: Key
    timestamp: UtcDatetime
    agent_id: Key | None = None
    task_id: Key | None = None
    tool_name: NotBlankStr
    tool_category: ToolCategory
    action_type: Label
    arguments_hash: str = Field(pattern="^[0-9a-f]{64}$")
    verdict: AuditVerdictStr
    risk_level: ApprovalRiskLevel
    reason: NotBlankStr
    matched_rules: tuple[NotBlankStr, ...] = ()
    evaluation_duration_ms: Amount
    confidence: EvaluationConfidence = EvaluationConfidence.HIGH
    approval_id: Key | None = None
