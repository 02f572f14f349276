"""Steps that are never left half done."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def to_the_end(step: Coroutine[Any, Any, Result]) -> Result:
    """Await a step that must not be left half done, also when the caller is cancelled meanwhile.

    Args:
        step: What has to finish, such as a commit.

    Returns:
        Its result.

    Raises:
        asyncio.CancelledError: After the step has finished, if the caller was cancelled.
    """
    task = asyncio.ensure_future(step)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None:
        if not task.cancelled():
            task.exception()  # seen: the cancellation is what the caller is told
        raise cancellation
    return task.result()
