"""A step runs while the next one is prepared, and none is left behind."""

import asyncio

import pytest

from synthorg.persistence.sql.repositories.one_ahead import OneAhead


async def test_a_step_runs_while_the_next_one_is_prepared_and_ends_before_that_starts() -> None:
    happened: list[str] = []

    async def step(name: str) -> None:
        happened.append(f"{name} begins")
        await asyncio.sleep(0.001)
        happened.append(f"{name} ends")

    async with OneAhead() as steps:
        await steps.start(step("first"))
        happened.append("second is prepared")
        await steps.start(step("second"))
    assert happened == [
        "first begins",
        "second is prepared",
        "first ends",
        "second begins",
        "second ends",
    ]


async def test_a_step_that_fails_comes_before_what_fails_after_it() -> None:
    async def fail() -> None:
        await asyncio.sleep(0.001)
        raise LookupError

    async def prepare() -> None:
        async with OneAhead() as steps:
            await steps.start(fail())
            raise ValueError

    with pytest.raises(LookupError):
        await prepare()


async def test_a_step_under_way_has_ended_when_who_waits_is_cancelled() -> None:
    ended = False

    async def step() -> None:
        nonlocal ended
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.001)
            ended = True

    async def prepare() -> None:
        async with OneAhead() as steps:
            await steps.start(step())
            await asyncio.Event().wait()

    task = asyncio.create_task(prepare())
    await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended
