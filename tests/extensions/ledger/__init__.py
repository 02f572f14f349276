"""An extension whose tables refer to those of the library."""

from enum import StrEnum

from synthorg.persistence.extension import (
    Amount,
    Entity,
    Extension,
    Key,
    KeyedRepository,
    ListQuery,
    NotBlankStr,
    UtcDatetime,
    tables,
)


class Verdict(StrEnum):
    """What was decided."""

    OPEN = "open"
    GRANTED = "granted"


class Approval(Entity):
    """Whether a task may cost so much."""

    id: Key
    task_id: Key
    verdict: Verdict = Verdict.OPEN
    asked_at: UtcDatetime
    amount: Amount = 0.0
    reasons: tuple[NotBlankStr, ...] = ()


ledger = Extension("ledger", migrations="tests.extensions.ledger:migrations")

approvals = ledger.table(
    Approval,
    name="approvals",
    key="id",
    indexes=[("verdict", "asked_at", "id")],
    references={"task_id": tables.tasks.c.id},
)


class ApprovalRepository(KeyedRepository[Approval]):
    """The approvals, the oldest first."""

    table = approvals
    record = Approval
    listing = ListQuery(approvals, Approval, order_by=("asked_at", "id"), filters=("verdict",))
