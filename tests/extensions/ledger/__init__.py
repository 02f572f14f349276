"""An extension whose tables refer to those of the library."""

from enum import StrEnum

from synthorg.persistence.extension import (
    AccumulatingRepository,
    Amount,
    AppendOnlyRepository,
    Count,
    Entity,
    Extension,
    Key,
    KeyedRepository,
    ListQuery,
    NotBlankStr,
    Text,
    UtcDatetime,
    Version,
    VersionedRepository,
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
    decided_by: Key | None = None


class Spending(Entity):
    """What a project has spent so far."""

    project: Key
    calls: Count = 0
    amount: Amount = 0.0
    last_agent: Key | None = None


class Decision(Entity):
    """What was decided once and for all."""

    id: Key
    text: Text


class Plan(Entity):
    """What is to be done, under optimistic concurrency."""

    id: Key
    version: Version
    steps: tuple[NotBlankStr, ...] = ()


ledger = Extension("ledger", migrations="tests.extensions.ledger:migrations")

approvals = ledger.table(
    Approval,
    name="approvals",
    key="id",
    indexes=[("verdict", "asked_at", "id")],
    references={"task_id": tables.tasks.c.id},
)

spendings = ledger.table(Spending, name="spendings", key="project")
decisions = ledger.table(Decision, name="decisions", key="id", append_only=True)
plans = ledger.table(Plan, name="plans", key="id")


class ApprovalRepository(KeyedRepository[Approval]):
    """The approvals, the oldest first."""

    table = approvals
    record = Approval
    listing = ListQuery(approvals, Approval, order_by=("asked_at", "id"), filters=("verdict",))


class SpendingRepository(AccumulatingRepository[Spending]):
    """What each project has spent."""

    table = spendings
    record = Spending
    added = frozenset({"calls", "amount"})
    listing = ListQuery(spendings, Spending, order_by=("project",))


class DecisionRepository(AppendOnlyRepository[Decision]):
    """The decisions."""

    table = decisions
    record = Decision
    listing = ListQuery(decisions, Decision, order_by=("id",))


class PlanRepository(VersionedRepository[Plan]):
    """The plans."""

    table = plans
    record = Plan
    listing = ListQuery(plans, Plan, order_by=("id",))
