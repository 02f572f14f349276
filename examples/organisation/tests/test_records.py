"""Every kind of record is saved, read and listed."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from organisation import (
    Approval,
    ApprovalRepository,
    ApprovalStatus,
    Decision,
    DecisionRepository,
    Escalation,
    EscalationRepository,
    Plan,
    PlanRepository,
    PlanStep,
    RiskLevel,
    RiskOverride,
    RiskOverrideRepository,
    Session,
    SessionRepository,
    TrainingResult,
    TrainingResultRepository,
)
from synthorg.entities import HumanRole, Task, User
from synthorg.persistence import DuplicateRecordError, ManagedBackend, QueryError, UnitOfWork

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def test_an_approval_is_closed_once(backend: ManagedBackend, approval: Approval) -> None:
    approvals = backend.repository(ApprovalRepository)
    await approvals.save(approval)

    assert await approvals.close(approval, ApprovalStatus.GRANTED)
    assert not await approvals.close(approval, ApprovalStatus.DENIED)

    granted = approval.model_copy(update={"status": ApprovalStatus.GRANTED})
    assert await approvals.get(approval.id) == granted
    assert await approvals.find(status=ApprovalStatus.GRANTED, task_id=approval.task_id) == (
        granted,
    )


async def test_an_approval_of_no_task_is_refused(backend: ManagedBackend, name: str) -> None:
    with pytest.raises(QueryError, match=r"cannot save approvals .*refers to a record"):
        await backend.repository(ApprovalRepository).save(
            Approval(task_id=name, action="deploy", requested_by="agent")
        )


async def test_escalations_are_listed_by_whom_they_wait_for(
    backend: ManagedBackend, approval: Approval, name: str
) -> None:
    escalations = backend.repository(EscalationRepository)
    await backend.repository(ApprovalRepository).save(approval)
    first, second = (
        Escalation(
            approval_id=approval.id,
            raised_by="agent",
            raised_to=name,
            raised_at=NOON + hours * HOUR,
        )
        for hours in range(2)
    )
    await escalations.save_many([second, first])

    assert await escalations.find(name) == (first, second)
    resolved = first.model_copy(update={"resolved_at": NOON + HOUR})
    await escalations.save(resolved)
    assert await escalations.get_many([first.id]) == {first.id: resolved}


async def test_a_decision_stays_as_it_is(backend: ManagedBackend, approval: Approval) -> None:
    decisions = backend.repository(DecisionRepository)
    await backend.repository(ApprovalRepository).save(approval)
    decision = Decision(
        approval_id=approval.id, status=ApprovalStatus.DENIED, decided_by="ada", reason="Too soon"
    )
    await decisions.save(decision)

    with pytest.raises(DuplicateRecordError):
        await decisions.save(decision.model_copy(update={"reason": "Never"}))

    async def tamper(work: UnitOfWork) -> None:
        connection = await work.connection()
        await connection.execute(DecisionRepository.table.delete())

    with pytest.raises(DBAPIError, match="append-only"):
        await backend.run_in_transaction(tamper)
    assert await decisions.find(approval_id=approval.id) == (decision,)


async def test_sessions_go_with_their_user(backend: ManagedBackend, name: str) -> None:
    sessions = backend.repository(SessionRepository)
    user = User(
        id=name,
        username=name,
        password_hash="hash",
        role=HumanRole.OBSERVER,
        created_at=NOON,
        updated_at=NOON,
    )
    await backend.users.save(user)
    old, new = (
        Session(
            token_hash=f"{name}-{hours}",
            user_id=name,
            created_at=NOON + hours * HOUR,
            expires_at=NOON + 9 * HOUR,
        )
        for hours in range(2)
    )
    await sessions.save_many([old, new])
    assert await sessions.swap(old.model_copy(update={"revoked": True}), revoked=False)

    assert [each.revoked for each in await sessions.find(name)] == [False, True]
    await backend.users.delete(name)

    assert await sessions.find(name) == ()


async def test_the_newest_plan_of_a_task_comes_first(backend: ManagedBackend, task: Task) -> None:
    plans = backend.repository(PlanRepository)
    first = Plan(task_id=task.id, made_at=NOON, steps=(PlanStep(description="Build"),))
    second = Plan(
        task_id=task.id,
        made_at=NOON + HOUR,
        steps=(PlanStep(description="Build", done=True), PlanStep(description="Test")),
    )
    await plans.save_many([first, second])

    assert await plans.find(task.id) == (second, first)
    page = await plans.page(task.id, limit=1)
    assert page.items == (second,)
    assert (await plans.page(task.id, after=page.next_cursor)).items == (first,)


async def test_training_results_are_listed_by_time(backend: ManagedBackend, name: str) -> None:
    results = backend.repository(TrainingResultRepository)
    saved = [
        TrainingResult(
            agent_id=name,
            exercise="review",
            score=hours / 3,
            passed=hours > 1,
            finished_at=NOON + hours * HOUR,
            details={"mistakes": [hours]},
        )
        for hours in range(4)
    ]
    await results.save_many(saved)

    assert await results.find(agent_id=name, since=NOON + HOUR, until=NOON + 2 * HOUR) == (
        saved[2],
        saved[1],
    )
    assert [each async for each in results.stream(agent_id=name)] == saved[::-1]


async def test_overrides_of_risk_are_in_force_until_they_expire(
    backend: ManagedBackend, name: str
) -> None:
    overrides = backend.repository(RiskOverrideRepository)
    short, long = (
        RiskOverride(
            action=name,
            level=RiskLevel.LOW,
            set_by="ada",
            reason="Release week",
            since=NOON,
            expires_at=NOON + hours * HOUR,
        )
        for hours in (1, 2)
    )
    await overrides.save_many([long, short])

    assert await overrides.find(NOON - HOUR, action=name) == ()
    assert await overrides.find(NOON, action=name) == (short, long)
    assert await overrides.find(NOON + HOUR, action=name) == (long,)
    assert await overrides.find(moment=NOON + 2 * HOUR, action=name) == ()
