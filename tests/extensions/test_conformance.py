"""The repositories of an extension keep what their bases promise, by the tests that are shipped."""

from typing import Any

from hypothesis import strategies as st

from synthorg.persistence import ManagedBackend, UnitOfWork
from synthorg.persistence.testing.repositories import (
    AccumulatingConformance,
    AppendOnlyConformance,
    KeyedConformance,
    VersionedConformance,
)
from synthorg.persistence.testing.strategies import records
from tests.extensions.conftest import EXTENSIONS, task
from tests.extensions.ledger import (
    Approval,
    ApprovalRepository,
    Decision,
    DecisionRepository,
    PlanRepository,
    SpendingRepository,
)


class TestApprovals(KeyedConformance):
    """They refer to a task, which has to be there."""

    repository = ApprovalRepository
    extensions = EXTENSIONS
    records = records(Approval, task_id=st.just("task"))

    async def prepare(self, stores: ManagedBackend | UnitOfWork, record: Any, /) -> None:
        """Save the task."""
        await stores.tasks.save(task(record.task_id))


class TestSpendings(AccumulatingConformance):
    """They are made by the types of their fields."""

    repository = SpendingRepository
    extensions = EXTENSIONS


class TestPlans(VersionedConformance):
    """As above."""

    repository = PlanRepository
    extensions = EXTENSIONS


class TestDecisions(AppendOnlyConformance):
    """They are given one by one."""

    repository = DecisionRepository
    extensions = EXTENSIONS
    records = tuple(Decision(id=key, text=f"Decision {key}") for key in ("a", "B", "c "))
