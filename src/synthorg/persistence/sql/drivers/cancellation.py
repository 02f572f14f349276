"""Steps that are never left half done."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

Result = TypeVar("Result")

SECONDS_BETWEEN_INTERRUPTS: Final = 0.02


async def run_to_completion(
    step: Awaitable[Result], interrupt: Callable[[], Awaitable[None]] | None = None
) -> Result:
    """Await a step that must not be left half done, also when the caller is cancelled meanwhile.

    Args:
        step: What has to finish, such as a commit.
        interrupt: Makes it finish sooner once the caller is cancelled; called until it has.

    Returns:
        Its result.

    Raises:
        asyncio.CancelledError: After the step has finished, if the caller was cancelled.
    """
    task = asyncio.ensure_future(step)
    cancellation: asyncio.CancelledError | None = None
    pause = None
    while not task.done():
        try:
            await asyncio.wait([task], timeout=pause)
        except asyncio.CancelledError as error:
            cancellation = error
        if interrupt is not None and cancellation is not None and not task.done():
            await interrupt()
            pause = SECONDS_BETWEEN_INTERRUPTS
    if cancellation is not None:
        if not task.cancelled():
            task.exception()  # seen: the cancellation is what the caller is told
        raise cancellation
    return task.result()
