"""Steps that are begun at once, and never left half done."""

import asyncio
from contextvars import ContextVar

import pytest

from synthorg.persistence.sql.drivers.cancellation import begin_to_completion

shown: ContextVar[str] = ContextVar("shown", default="nothing")


async def test_a_step_that_does_not_wait_is_done_without_a_task_of_its_own() -> None:
    async def step() -> asyncio.Task[object] | None:
        return asyncio.current_task()

    assert await begin_to_completion(step()) is asyncio.current_task()


async def test_a_step_that_waits_ends_also_when_its_caller_is_cancelled() -> None:
    goes_on, ended = asyncio.Event(), False

    async def step() -> None:
        nonlocal ended
        token = shown.set("a step")
        await asyncio.sleep(0)
        await goes_on.wait()
        shown.reset(token)
        ended = True

    caller = asyncio.create_task(begin_to_completion(step()))
    for _ in range(3):
        await asyncio.sleep(0)
        caller.cancel()
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended
    assert shown.get() == "nothing"


@pytest.mark.parametrize("waits", [False, True])
async def test_what_a_step_raises_comes_out(*, waits: bool) -> None:
    async def step() -> None:
        try:
            if waits:
                await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        finally:
            raise LookupError

    with pytest.raises(LookupError):
        await begin_to_completion(step())
