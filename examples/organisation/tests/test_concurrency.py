"""Of what many do at once, nothing is lost and nothing is done twice."""

import asyncio
from datetime import UTC, datetime

import pytest

from organisation import (
    Approval,
    ApprovalRepository,
    ClaimStatus,
    IdempotencyKey,
    IdempotencyKeyRepository,
    ProjectCost,
    ProjectCostRepository,
    Subworkflow,
    SubworkflowNode,
    SubworkflowRepository,
)
from synthorg.entities import Project, Task, WorkflowDefinition, WorkflowNode, WorkflowNodeType
from synthorg.persistence import ManagedBackend, UnitOfWork, VersionConflictError

AT_ONCE = 12
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
START = WorkflowNode(id="start", label="Start", type=WorkflowNodeType.START)
END = WorkflowNode(id="end", label="End", type=WorkflowNodeType.END)


class MishapError(Exception):
    """Raised in a unit to have it undone."""


async def test_of_many_that_claim_a_key_one_does_the_work(
    backend: ManagedBackend, name: str
) -> None:
    keys = backend.repository(IdempotencyKeyRepository)
    claims = [IdempotencyKey(key=name) for _ in range(AT_ONCE)]

    won = await asyncio.gather(*map(keys.claim, claims))

    assert won.count(True) == 1
    winner = claims[won.index(True)]
    settled = await asyncio.gather(
        *[keys.settle(claim, ClaimStatus.COMPLETED, claim.token) for claim in claims]
    )
    assert settled == won
    stored = await keys.get(name)
    assert stored is not None
    assert (stored.status, stored.answer) == (ClaimStatus.COMPLETED, winner.token)
    assert not await keys.claim(IdempotencyKey(key=name))


async def test_work_that_has_failed_is_done_by_one_of_those_that_claim_it_then(
    backend: ManagedBackend, name: str
) -> None:
    keys = backend.repository(IdempotencyKeyRepository)
    failed = IdempotencyKey(key=name)
    assert await keys.claim(failed)
    assert await keys.settle(failed, ClaimStatus.FAILED)
    claims = [IdempotencyKey(key=name) for _ in range(AT_ONCE)]

    won = await asyncio.gather(*map(keys.claim, claims))

    assert won.count(True) == 1
    assert not await keys.settle(failed, ClaimStatus.COMPLETED)
    assert await keys.settle(claims[won.index(True)], ClaimStatus.COMPLETED)


async def test_costs_that_are_added_at_once_add_up(backend: ManagedBackend, name: str) -> None:
    costs = backend.repository(ProjectCostRepository)
    await backend.projects.save(Project(id=name, name="Project"))
    call = ProjectCost(project_id=name, calls=1, input_tokens=10, cost_usd=0.5, last_call_at=NOON)

    await asyncio.gather(*[costs.add(call) for _ in range(AT_ONCE)])

    assert await costs.get(name) == ProjectCost(
        project_id=name,
        calls=AT_ONCE,
        input_tokens=10 * AT_ONCE,
        cost_usd=0.5 * AT_ONCE,
        last_call_at=NOON,
    )


async def test_of_two_that_save_the_same_version_one_is_told(
    backend: ManagedBackend, name: str
) -> None:
    subworkflows = backend.repository(SubworkflowRepository)
    await backend.workflow_definitions.save(
        WorkflowDefinition(id=name, name="Release", nodes=(START, END), created_by="ada")
    )
    first = Subworkflow(definition_id=name, name="Test", updated_at=NOON)
    await subworkflows.save(first)
    mine, theirs = (
        first.model_copy(
            update={"version": 2, "nodes": (SubworkflowNode(id=node, kind="command"),)}
        )
        for node in ("lint", "test")
    )
    await subworkflows.save(mine)

    with pytest.raises(VersionConflictError):
        await subworkflows.save(theirs)

    assert await subworkflows.find(name) == (mine,)


async def test_a_unit_over_built_in_and_own_records_is_stored_as_a_whole_or_not_at_all(
    backend: ManagedBackend, task: Task, approval: Approval, name: str
) -> None:
    renamed = task.model_copy(update={"title": "Deploy it now"})

    async def ask(work: UnitOfWork) -> None:
        await work.tasks.save(renamed)
        await work.repository(ApprovalRepository).save(approval)
        await work.repository(IdempotencyKeyRepository).claim(IdempotencyKey(key=name))

    async def ask_and_fail(work: UnitOfWork) -> None:
        await ask(work)
        raise MishapError

    with pytest.raises(MishapError):
        await backend.run_in_transaction(ask_and_fail)
    assert await backend.tasks.get(task.id) == task
    assert await backend.repository(ApprovalRepository).find(task_id=task.id) == ()
    assert await backend.repository(IdempotencyKeyRepository).get(name) is None

    await backend.run_in_transaction(ask)

    assert await backend.tasks.get(task.id) == renamed
    assert await backend.repository(ApprovalRepository).find(task_id=task.id) == (approval,)
    assert await backend.repository(IdempotencyKeyRepository).get(name) is not None
