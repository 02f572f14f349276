"""What a person has to approve, to whom it was passed on, and what was decided."""

from enum import StrEnum

from pydantic import Field

from organisation.declaration import organisation
from synthorg.persistence.extension import (
    AppendOnlyRepository,
    Entity,
    Key,
    KeyedRepository,
    ListQuery,
    Text,
    UtcDatetime,
    now,
    random_id,
    tables,
)


class ApprovalStatus(StrEnum):
    """How far an approval is."""

    OPEN = "open"
    GRANTED = "granted"
    DENIED = "denied"


class Approval(Entity):
    """What a task may not do before a person agrees."""

    id: Key = Field(default_factory=random_id)
    task_id: Key
    action: Key
    status: ApprovalStatus = ApprovalStatus.OPEN
    requested_by: Key
    requested_at: UtcDatetime = Field(default_factory=now)
    reason: Text = ""


class Escalation(Entity):
    """An approval that was passed on to somebody who may decide."""

    id: Key = Field(default_factory=random_id)
    approval_id: Key
    raised_by: Key
    raised_to: Key
    raised_at: UtcDatetime = Field(default_factory=now)
    resolved_at: UtcDatetime | None = None


class Decision(Entity):
    """What was decided about an approval, which nobody changes afterwards."""

    id: Key = Field(default_factory=random_id)
    approval_id: Key
    status: ApprovalStatus
    decided_by: Key
    decided_at: UtcDatetime = Field(default_factory=now)
    reason: Text = ""


approvals = organisation.table(
    Approval,
    name="approvals",
    key="id",
    indexes=[("status", "requested_at", "id"), ("task_id", "requested_at", "id")],
    references={"task_id": tables.tasks.c.id},
)

escalations = organisation.table(
    Escalation,
    name="escalations",
    key="id",
    indexes=[("approval_id",), ("raised_to", "raised_at", "id")],
    references={"approval_id": approvals.c.id},
)

decisions = organisation.table(
    Decision,
    name="decisions",
    key="id",
    indexes=[("approval_id", "decided_at", "id"), ("decided_by", "decided_at", "id")],
    references={"approval_id": approvals.c.id},
    append_only=True,
)


class ApprovalRepository(KeyedRepository[Approval]):
    """The approvals, the oldest first."""

    table = approvals
    record = Approval
    listing = ListQuery(
        table, record, order_by=("requested_at", "id"), filters=("status", "task_id")
    )

    async def close(self, approval: Approval, status: ApprovalStatus) -> bool:
        """Grant or deny an approval, and tell whether it was open until now."""
        closed = approval.model_copy(update={"status": status})
        return await self.swap(closed, status=ApprovalStatus.OPEN)


class EscalationRepository(KeyedRepository[Escalation]):
    """The escalations to one person, the oldest first."""

    table = escalations
    record = Escalation
    listing = ListQuery(table, record, order_by=("raised_at", "id"), required=("raised_to",))


class DecisionRepository(AppendOnlyRepository[Decision]):
    """The decisions, the newest first."""

    table = decisions
    record = Decision
    listing = ListQuery(
        table,
        record,
        order_by=("decided_at", "id"),
        descending=True,
        filters=("approval_id", "decided_by"),
    )
