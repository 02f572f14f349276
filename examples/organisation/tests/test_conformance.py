"""Each repository keeps what its base promises, in memory and in a file.

On other databases by `--persistence-url`; the other tests of this folder are on every one.
"""

from datetime import UTC, datetime

from hypothesis import strategies as st

from organisation import (
    Approval,
    ApprovalRepository,
    Decision,
    DecisionRepository,
    Escalation,
    EscalationRepository,
    IdempotencyKeyRepository,
    Plan,
    PlanRepository,
    ProjectCostRepository,
    RiskLevel,
    RiskOverride,
    RiskOverrideRepository,
    Session,
    SessionRepository,
    Subworkflow,
    SubworkflowRepository,
    TrainingResultRepository,
    organisation,
)
from synthorg.entities import (
    HumanRole,
    Project,
    Task,
    TaskType,
    User,
    WorkflowDefinition,
    WorkflowNode,
    WorkflowNodeType,
)
from synthorg.persistence import ManagedBackend, UnitOfWork
from synthorg.persistence.testing.repositories import (
    AccumulatingConformance,
    AppendOnlyConformance,
    KeyedConformance,
    VersionedConformance,
)
from synthorg.persistence.testing.strategies import records

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TASK = Task(
    id="task",
    title="Deploy",
    description="Deploy it",
    type=TaskType.DEVELOPMENT,
    project="p",
    created_by="ada",
)
USER = User(
    id="user",
    username="ada",
    password_hash="hash",
    role=HumanRole.OBSERVER,
    created_at=NOON,
    updated_at=NOON,
)
FLOW = WorkflowDefinition(
    id="flow",
    name="Flow",
    created_by="ada",
    nodes=(
        WorkflowNode(id="start", label="Start", type=WorkflowNodeType.START),
        WorkflowNode(id="end", label="End", type=WorkflowNodeType.END),
    ),
)
APPROVAL = Approval(id="approval", task_id=TASK.id, action="deploy", requested_by="ada")

Stores = ManagedBackend | UnitOfWork


async def save_approval(stores: Stores) -> None:
    """Save the approval to which others refer."""
    await stores.tasks.save(TASK)
    await stores.repository(ApprovalRepository).save(APPROVAL)


class TestApprovals(KeyedConformance):
    """They refer to a task."""

    repository = ApprovalRepository
    extensions = (organisation,)
    records = records(Approval, task_id=st.just(TASK.id))

    async def prepare(self, stores: Stores, _record: object, /) -> None:
        """Save the task."""
        await stores.tasks.save(TASK)


class TestEscalations(KeyedConformance):
    """They refer to an approval, and are listed by whom they wait for."""

    repository = EscalationRepository
    extensions = (organisation,)
    required = ("lead",)
    records = records(Escalation, approval_id=st.just(APPROVAL.id), raised_to=st.just(required[0]))

    async def prepare(self, stores: Stores, _record: object, /) -> None:
        """Save the approval."""
        await save_approval(stores)


class TestDecisions(AppendOnlyConformance):
    """They refer to an approval."""

    repository = DecisionRepository
    extensions = (organisation,)
    records = records(Decision, approval_id=st.just(APPROVAL.id))

    async def prepare(self, stores: Stores, _record: object, /) -> None:
        """Save the approval."""
        await save_approval(stores)


class TestIdempotencyKeys(KeyedConformance):
    """They refer to nothing."""

    repository = IdempotencyKeyRepository
    extensions = (organisation,)


class TestPlans(KeyedConformance):
    """They refer to a task, by which they are listed."""

    repository = PlanRepository
    extensions = (organisation,)
    required = (TASK.id,)
    records = records(Plan, task_id=st.just(TASK.id))

    async def prepare(self, stores: Stores, _record: object, /) -> None:
        """Save the task."""
        await stores.tasks.save(TASK)


class TestProjectCosts(AccumulatingConformance):
    """Each refers to a project of its own."""

    repository = ProjectCostRepository
    extensions = (organisation,)

    async def prepare(self, stores: Stores, record: object, /) -> None:
        """Save the project."""
        key = str(getattr(record, "project_id", ""))
        await stores.projects.save(Project(id=key, name="Website"))


class TestSessions(KeyedConformance):
    """They refer to a user, by whom they are listed, and their keys are digests."""

    repository = SessionRepository
    extensions = (organisation,)
    required = (USER.id,)
    records = records(Session, user_id=st.just(USER.id), token_hash=st.uuids().map(str))

    async def prepare(self, stores: Stores, _record: object, /) -> None:
        """Save the user."""
        await stores.users.save(USER)


class TestSubworkflows(VersionedConformance):
    """They refer to a definition, by which they are listed."""

    repository = SubworkflowRepository
    extensions = (organisation,)
    required = (FLOW.id,)
    records = records(Subworkflow, definition_id=st.just(FLOW.id))

    async def prepare(self, stores: Stores, _record: object, /) -> None:
        """Save the definition, unless it is there."""
        if await stores.workflow_definitions.get(FLOW.id) is None:
            await stores.workflow_definitions.save(FLOW)


class TestTrainingResults(AppendOnlyConformance):
    """They refer to nothing."""

    repository = TrainingResultRepository
    extensions = (organisation,)


class TestRiskOverrides(KeyedConformance):
    """They are listed while they are in force."""

    repository = RiskOverrideRepository
    extensions = (organisation,)
    required = (NOON,)
    records = tuple(
        RiskOverride(
            action=action,
            level=level,
            set_by="ada",
            reason="Release week",
            since=NOON,
            expires_at=datetime(2026, 3, day, tzinfo=UTC),
        )
        for day, (action, level) in enumerate(
            (("deploy", RiskLevel.LOW), ("shell", RiskLevel.HIGH), ("mail", RiskLevel.LOW)), 2
        )
    )
