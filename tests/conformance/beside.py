"""What goes on beside a test: others who work on the same backend and know nothing of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any, Final

SECONDS: Final = 20


async def until(holds: Callable[[], bool]) -> None:
    """Let others go on until something is so.

    Args:
        holds: Tells whether it is.
    """
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110 (it is what others do, who tell nobody)
            await asyncio.sleep(0)


@asynccontextmanager
async def beside(*works: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Run something as others would, who know of no transaction of this task.

    Args:
        works: What they do; the block ends when all of it is done.
    """
    tasks = [asyncio.create_task(work, context=Context()) for work in works]
    try:
        yield
    finally:
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(*tasks)
