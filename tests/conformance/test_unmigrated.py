"""A database without tables is reported as what it is, with what to do about it."""

import asyncio

import pytest

from synthorg.persistence import MigrationError, PersistenceBackend
from synthorg.persistence.testing.concurrency import together
from synthorg.persistence.testing.kinds import KINDS, TASKS

ADVICE = r"no schema yet.*migrate\(\)"


async def test_every_repository_says_that_the_database_has_to_be_migrated(
    unmigrated: PersistenceBackend,
) -> None:
    for kind in KINDS:
        with pytest.raises(MigrationError, match=rf"{kind.repository}.*{ADVICE}"):
            await kind.save(unmigrated, kind.example)
        for read in (*kind.gets, *kind.lists):
            with pytest.raises(MigrationError, match=rf"{kind.repository}.*{ADVICE}"):
                await read(unmigrated, kind.example)
        if kind.delete is not None:
            with pytest.raises(MigrationError, match=rf"{kind.repository}.*{ADVICE}"):
                await kind.delete(unmigrated, kind.example)


async def test_the_settings_of_the_system_say_so_too(unmigrated: PersistenceBackend) -> None:
    with pytest.raises(MigrationError, match=ADVICE):
        await unmigrated.get_setting("limit")
    with pytest.raises(MigrationError, match=ADVICE):
        await unmigrated.set_setting("limit", "1")


async def test_an_unmigrated_database_is_healthy(unmigrated: PersistenceBackend) -> None:
    assert await unmigrated.health_check()


async def test_many_calls_at_once_are_all_told(unmigrated: PersistenceBackend) -> None:
    results = await together(unmigrated.tasks.save(TASKS.keyed(str(n))) for n in range(20))
    assert {type(result) for result in results} == {MigrationError}


async def test_everything_works_once_it_is_migrated(unmigrated: PersistenceBackend) -> None:
    with pytest.raises(MigrationError):
        await unmigrated.tasks.list_tasks()
    await asyncio.gather(*(unmigrated.migrate() for _ in range(3)))
    await unmigrated.tasks.save(TASKS.example)
    assert await unmigrated.tasks.list_tasks() == (TASKS.example,)
