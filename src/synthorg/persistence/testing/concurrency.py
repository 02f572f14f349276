"""Doing many things at once."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def together(steps: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Start all steps at the same moment, and collect what each returns or raises."""
    listed = list(steps)
    barrier = asyncio.Barrier(len(listed))

    async def run(step: Coroutine[Any, Any, Any]) -> Any:
        await barrier.wait()
        return await step

    return await asyncio.gather(*map(run, listed), return_exceptions=True)


async def outcomes(
    steps: Iterable[Coroutine[Any, Any, None]],
) -> list[BaseException | None]:
    """Start all steps at the same moment, and collect the errors, None for each success."""
    return await together(steps)
