"""What must not be left half done ends before its caller goes on, and tells how."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from synthorg.persistence.sql.drivers.cancellation import run_in_place, run_to_completion

Completing = Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]]

by_both_ways = pytest.mark.parametrize("completing", [run_to_completion, run_in_place])


@by_both_ways
@pytest.mark.parametrize("seconds", [0, 0.001])
async def test_the_result_of_the_step_is_given(completing: Completing, seconds: float) -> None:
    assert await completing(asyncio.sleep(seconds, "done")) == "done"


@by_both_ways
async def test_an_error_of_the_step_comes_out(completing: Completing) -> None:
    async def fail() -> None:
        await asyncio.sleep(0.001)
        raise LookupError

    with pytest.raises(LookupError):
        await completing(fail())


@by_both_ways
@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancelled_caller_is_told_of_that_when_the_step_has_ended(
    completing: Completing, *, fails: bool
) -> None:
    ends, ended = asyncio.Event(), False

    async def step() -> None:
        nonlocal ended
        await asyncio.sleep(0)
        await ends.wait()
        await asyncio.sleep(0)
        ended = True
        if fails:
            raise LookupError

    async def call() -> None:
        await completing(step())

    caller = asyncio.create_task(call())
    for _ in range(3):
        await asyncio.sleep(0)
        caller.cancel()
    await asyncio.sleep(0)
    assert not caller.done()
    ends.set()
    await asyncio.wait([caller])
    assert ended
    assert caller.cancelled()


async def test_a_step_in_place_is_done_in_the_callers_task() -> None:
    async def step() -> asyncio.Task[object] | None:
        await asyncio.sleep(0.001)
        return asyncio.current_task()

    assert await run_in_place(step()) is asyncio.current_task()
