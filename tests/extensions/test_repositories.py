"""What the bases of repositories offer to those of an application."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import Executable, text
from sqlalchemy.exc import DBAPIError

from synthorg.persistence import (
    ManagedBackend,
    QueryError,
    UnitOfWork,
)
from tests.extensions.conftest import approval, task
from tests.extensions.ledger import (
    ApprovalRepository,
    Decision,
    DecisionRepository,
    Spending,
    SpendingRepository,
    Verdict,
)


@pytest.fixture
async def approvals(extended: ManagedBackend) -> ApprovalRepository:
    await extended.tasks.save(task())
    return extended.repository(ApprovalRepository)


async def test_a_list_has_its_order_and_takes_its_filters(approvals: ApprovalRepository) -> None:
    granted = approval(id="1", verdict=Verdict.GRANTED)
    await approvals.save_many([approval(id="2"), granted])

    assert await approvals.find() == (granted, approval(id="2"))
    assert await approvals.find(verdict=Verdict.GRANTED) == (granted,)
    with pytest.raises(TypeError, match="cannot list approvals by colour"):
        await approvals.find(colour="red")


async def test_a_swap_replaces_a_record_that_is_as_expected_and_no_other(
    approvals: ApprovalRepository,
) -> None:
    granted = approval(verdict=Verdict.GRANTED)
    await approvals.save(approval())

    assert await approvals.swap(granted, verdict=Verdict.OPEN, amount=0.0)
    assert not await approvals.swap(approval(amount=9), verdict=Verdict.OPEN)
    assert not await approvals.swap(approval(id="other"), verdict=Verdict.OPEN)

    assert await approvals.find() == (granted,)


async def test_a_swap_can_expect_that_there_is_nothing(approvals: ApprovalRepository) -> None:
    await approvals.save(approval())

    assert await approvals.swap(approval(decided_by="lead"), decided_by=None)
    assert not await approvals.swap(approval(decided_by="other"), decided_by=None)
    assert await approvals.swap(approval(), decided_by="lead")


@pytest.mark.parametrize("expected", [{}, {"colour": "red"}, {"id": "approval"}])
async def test_a_swap_that_expects_nothing_of_the_record_is_refused(
    approvals: ApprovalRepository, expected: dict[str, str]
) -> None:
    with pytest.raises(QueryError, match="cannot save approvals: a swap expects values of"):
        await approvals.swap(approval(), **expected)


async def test_of_many_swaps_at_once_one_succeeds(approvals: ApprovalRepository) -> None:
    await approvals.save(approval())

    swapped = await asyncio.gather(
        *[approvals.swap(approval(decided_by=str(number)), decided_by=None) for number in range(8)]
    )

    assert sorted(swapped) == [False] * 7 + [True]


async def test_what_is_added_in_a_unit_goes_with_it(extended: ManagedBackend) -> None:
    async def add_and_fail(work: UnitOfWork) -> None:
        await work.repository(SpendingRepository).add(Spending(project="p", calls=1))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await extended.run_in_transaction(add_and_fail)

    assert await extended.repository(SpendingRepository).get("p") is None


async def test_what_the_database_protects_is_changed_by_no_sql_either(
    extended: ManagedBackend,
) -> None:
    decisions = extended.repository(DecisionRepository)
    await decisions.save(Decision(id="d", text="yes"))

    table = DecisionRepository.table
    tamperings: list[Executable] = [table.update().values(text="no"), table.delete()]
    if extended.get_db().dialect.name == "sqlite":
        # https://www.sqlite.org/lang_conflict.html: REPLACE fires no trigger on DELETE.
        forged = "SELECT rowid, 'forged', 'no' FROM decisions"
        tamperings.append(text(f"REPLACE INTO decisions (rowid, id, text) {forged}"))

    async def tamper(work: UnitOfWork, statement: Executable) -> None:
        await (await work.connection()).execute(statement)

    for each in tamperings:
        with pytest.raises(DBAPIError, match="append-only"):
            await extended.run_in_transaction(partial(tamper, statement=each))

    assert await decisions.find() == (Decision(id="d", text="yes"),)
