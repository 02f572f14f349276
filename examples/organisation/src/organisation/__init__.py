"""What an organisation of agents keeps beside the records of the library."""

from organisation.approvals import (
    Approval,
    ApprovalRepository,
    ApprovalStatus,
    Decision,
    DecisionRepository,
    Escalation,
    EscalationRepository,
)
from organisation.costs import ProjectCost, ProjectCostRepository
from organisation.declaration import organisation
from organisation.idempotency import ClaimStatus, IdempotencyKey, IdempotencyKeyRepository
from organisation.plans import Plan, PlanRepository, PlanStep
from organisation.risks import RiskLevel, RiskOverride, RiskOverrideRepository
from organisation.sessions import Session, SessionRepository
from organisation.subworkflows import Subworkflow, SubworkflowNode, SubworkflowRepository
from organisation.training import TrainingResult, TrainingResultRepository

__all__ = [
    "Approval",
    "ApprovalRepository",
    "ApprovalStatus",
    "ClaimStatus",
    "Decision",
    "DecisionRepository",
    "Escalation",
    "EscalationRepository",
    "IdempotencyKey",
    "IdempotencyKeyRepository",
    "Plan",
    "PlanRepository",
    "PlanStep",
    "ProjectCost",
    "ProjectCostRepository",
    "RiskLevel",
    "RiskOverride",
    "RiskOverrideRepository",
    "Session",
    "SessionRepository",
    "Subworkflow",
    "SubworkflowNode",
    "SubworkflowRepository",
    "TrainingResult",
    "TrainingResultRepository",
    "organisation",
]
