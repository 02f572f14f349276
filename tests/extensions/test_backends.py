"""Backends with extensions: what they are given, units of work, conflicts."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData

from synthorg.persistence import (
    ManagedBackend,
    MigrationError,
    PersistenceConfig,
    QueryError,
    SQLiteConfig,
    UnitOfWork,
    UsageError,
    create_backend,
)
from synthorg.persistence.extension import Extension
from synthorg.persistence.sqlite import SQLitePersistenceBackend
from tests.extensions.conftest import approval, task
from tests.extensions.ledger import Approval, ApprovalRepository, Verdict, approvals, ledger
from tests.extensions.office import Note, NoteRepository

MEMORY = PersistenceConfig.from_url("sqlite:///:memory:")


class MishapError(Exception):
    """Raised in a unit to have it undone."""


async def test_what_is_saved_is_read_back_equal(extended: ManagedBackend) -> None:
    saved = approval(verdict=Verdict.GRANTED, amount=0.1, reasons=("because", "\U0001f4b6"))
    await extended.tasks.save(task())
    repository = extended.repository(ApprovalRepository)

    await repository.save_many([saved])

    assert await repository.get_many(["approval", "missing"]) == {"approval": saved}
    assert [each async for each in repository.stream(verdict=Verdict.GRANTED)] == [saved]
    assert (await repository.page(verdict=Verdict.OPEN)).items == ()


async def test_a_unit_over_both_kinds_is_undone_as_a_whole(extended: ManagedBackend) -> None:
    async def fail(work: UnitOfWork) -> None:
        await work.tasks.save(task())
        await work.repository(ApprovalRepository).save_many([approval()])
        await work.repository(NoteRepository).save_many([Note(id="n", approval_id="approval")])
        raise MishapError

    with pytest.raises(MishapError):
        await extended.run_in_transaction(fail)

    assert await extended.tasks.get("task") is None
    assert await extended.repository(ApprovalRepository).get_many(["approval"]) == {}


async def test_a_unit_over_both_kinds_is_stored_as_a_whole(extended: ManagedBackend) -> None:
    async with extended.transaction() as work:
        await work.tasks.save(task())
        await work.repository(ApprovalRepository).save_many([approval()])

    assert await extended.tasks.get("task") == task()
    assert await extended.repository(ApprovalRepository).get_many(["approval"]) == {
        "approval": approval()
    }


async def test_units_that_meet_are_run_again_until_none_is_lost(extended: ManagedBackend) -> None:
    await extended.tasks.save(task())
    await extended.repository(ApprovalRepository).save_many([approval(amount=0)])

    async def add(work: UnitOfWork) -> None:
        repository = work.repository(ApprovalRepository)
        found = (await repository.get_many(["approval"]))["approval"]
        await repository.save_many([found.model_copy(update={"amount": found.amount + 1})])

    await asyncio.gather(*[extended.run_in_transaction(add) for _ in range(8)])

    found = await extended.repository(ApprovalRepository).get_many(["approval"])
    assert found["approval"].amount == 8


async def test_a_reference_to_a_record_that_is_not_there_is_refused(
    extended: ManagedBackend,
) -> None:
    with pytest.raises(QueryError, match=r"cannot save approvals .*refers to a record"):
        await extended.repository(ApprovalRepository).save_many([approval()])


async def test_a_record_to_which_an_extension_refers_stays(extended: ManagedBackend) -> None:
    await extended.tasks.save(task())
    await extended.repository(ApprovalRepository).save_many([approval()])

    with pytest.raises(QueryError, match=r"cannot delete tasks .*refers to"):
        await extended.tasks.delete("task")


async def test_a_table_that_was_not_migrated_is_told_with_what_to_do(empty_url: str) -> None:
    config = PersistenceConfig.from_url(empty_url)
    async with create_backend(config, extensions=[ledger]) as backend:
        with pytest.raises(MigrationError, match=r"cannot get approvals: .*migrate\(\)"):
            await backend.repository(ApprovalRepository).get_many(["a"])


def test_a_repository_may_be_asked_for_before_connecting() -> None:
    backend = create_backend(MEMORY, extensions=[ledger])

    assert isinstance(backend.repository(ApprovalRepository), ApprovalRepository)


def test_the_ready_made_backend_takes_extensions_too() -> None:
    backend = SQLitePersistenceBackend(SQLiteConfig(path=":memory:"), [ledger])

    assert isinstance(backend.repository(ApprovalRepository), ApprovalRepository)


def test_a_repository_of_an_unknown_extension_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no table approvals; give create_backend\(\)"):
        create_backend(MEMORY).repository(ApprovalRepository)


@pytest.mark.parametrize("kind", [Approval, "approvals", approvals, None])
def test_what_is_no_repository_is_refused(kind: Any) -> None:
    with pytest.raises(UsageError, match="a class with a table"):
        create_backend(MEMORY, extensions=[ledger]).repository(kind)


@pytest.mark.parametrize(
    ("table", "other"),
    [("Tasks", "this library"), ("approvals", "the extension ledger")],
)
def test_a_name_that_another_owner_has_is_refused_with_both_named(table: str, other: str) -> None:
    second = Extension("second", MetaData(), migrations="tests.extensions.office:migrations")
    second.declare(table, *[column._copy() for column in approvals.primary_key])  # noqa: SLF001 (as SQLAlchemy's own copies)

    with pytest.raises(UsageError, match=rf"the extension second and {other} both .* {table}"):
        create_backend(MEMORY, extensions=[ledger, second])


def test_an_extension_without_an_environment_is_refused() -> None:
    lost = Extension("lost", migrations="tests.extensions:nowhere")

    with pytest.raises(UsageError, match=r"no Alembic environment at tests\.extensions:nowhere"):
        create_backend(MEMORY, extensions=[lost])


def test_revisions_with_two_heads_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = tmp_path / "two_heads" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions.parent.parent / "__init__.py").touch()
    (versions.parent / "env.py").touch()
    for name in ("one", "two"):
        (versions / f"{name}.py").write_text(f"revision = {name!r}\ndown_revision = None\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(UsageError, match=r"several heads \(one, two\)"):
        create_backend(MEMORY, extensions=[Extension("two", migrations="two_heads:migrations")])


async def test_a_record_with_a_key_that_is_taken_is_replaced(extended: ManagedBackend) -> None:
    await extended.tasks.save(task())
    repository = extended.repository(ApprovalRepository)

    await repository.save_many([approval(), approval(amount=2.5)])

    assert (await repository.get_many(["approval"]))["approval"].amount == 2.5
