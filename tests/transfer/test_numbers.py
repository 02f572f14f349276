"""Numbers of the order of saving go with their records, unless others have them already."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from synthorg.entities import Message
from synthorg.persistence import ManagedBackend, PersistenceConfig
from synthorg.persistence.testing.kinds import MESSAGES
from synthorg.persistence.transfer import (
    ImportReport,
    compare_databases,
    export_database,
    import_database,
)
from tests.transfer.conftest import copy, run


def messages(*numbers: int) -> list[Message]:
    return [MESSAGES.make(id=UUID(int=number), channel="#all") for number in numbers]


def save(url: str, *numbers: int) -> None:
    async def work(backend: ManagedBackend) -> None:
        await backend.messages.save_many(messages(*numbers))

    run(url, work)


def saved(url: str) -> Sequence[Message]:
    found: list[Message] = []

    async def work(backend: ManagedBackend) -> None:
        found.extend((await backend.messages.newer_than(limit=1000)).items)

    run(url, work)
    return found


def exported(url: str, folder: Path) -> None:
    asyncio.run(export_database(PersistenceConfig.from_url(url), folder))


def imported(folder: Path, url: str) -> ImportReport:
    return asyncio.run(import_database(folder, PersistenceConfig.from_url(url)))


def test_a_copy_has_the_order_of_saving_and_goes_on_counting(file: str, target: str) -> None:
    save(file, 5, 3, 4)

    copy(file, target)
    save(target, 1)

    assert saved(target) == messages(5, 3, 4, 1)


def test_an_import_into_an_empty_database_keeps_the_order_of_saving(
    file: str, target: str, tmp_path: Path
) -> None:
    save(file, 5, 3, 4)
    exported(file, tmp_path / "export")

    assert imported(tmp_path / "export", target).added == 3
    compared = asyncio.run(
        compare_databases(PersistenceConfig.from_url(file), PersistenceConfig.from_url(target))
    )
    assert not compared.differences
    save(target, 1)

    assert saved(target) == messages(5, 3, 4, 1)


def test_an_import_beside_others_adds_records_after_them_and_knows_those_that_are_there(
    file: str, target: str, tmp_path: Path
) -> None:
    save(target, 9, 2)
    save(file, 2, 4)
    exported(file, tmp_path / "export")

    assert imported(tmp_path / "export", target).added == 1
    assert imported(tmp_path / "export", target).added == 0

    assert saved(target) == messages(9, 2, 4)


def test_an_import_that_goes_on_with_an_earlier_one_keeps_the_order_of_saving(
    file: str, target: str, tmp_path: Path
) -> None:
    save(file, 5)
    exported(file, tmp_path / "part")
    save(file, 3, 4)
    exported(file, tmp_path / "whole")
    imported(tmp_path / "part", target)

    assert imported(tmp_path / "whole", target).added == 2

    assert saved(target) == messages(5, 3, 4)
    compared = asyncio.run(
        compare_databases(PersistenceConfig.from_url(file), PersistenceConfig.from_url(target))
    )
    assert not compared.differences
