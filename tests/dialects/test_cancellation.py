"""What must not be left half done ends before its caller goes on, and tells how."""

import asyncio

import pytest

from synthorg.persistence.sql.drivers.cancellation import run_to_completion


async def test_the_result_of_the_step_is_given() -> None:
    assert await run_to_completion(asyncio.sleep(0, "done")) == "done"


async def test_an_error_of_the_step_comes_out() -> None:
    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await run_to_completion(fail())


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancelled_caller_is_told_of_that_when_the_step_has_ended(*, fails: bool) -> None:
    ends, ended = asyncio.Event(), False

    async def step() -> None:
        nonlocal ended
        await ends.wait()
        ended = True
        if fails:
            raise LookupError

    caller = asyncio.create_task(run_to_completion(step()))
    for _ in range(3):
        await asyncio.sleep(0)
        caller.cancel()
    await asyncio.sleep(0)
    assert not caller.done()
    ends.set()
    await asyncio.wait([caller])
    assert ended
    assert caller.cancelled()
