"""Cancelling something at each point where it waits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from functools import partial
from itertools import count
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class CancelledAt(Generic[Result]):
    """Awaits something, and cancels its own task when that waits for the n-th time.

    Args:
        work: What to await.
        place: At which wait to cancel, from zero.
        times: At how many waits in a row, as long as it still waits.
    """

    def __init__(self, work: Awaitable[Result], place: int, times: int = 1) -> None:
        self._work = work
        self._waits = range(place, place + times)
        self.reached = False
        """Whether the work waited that often."""

    def __await__(self) -> Generator[Any, Any, Result]:
        steps = self._work.__await__()
        resume = partial(next, steps)
        for wait in count():
            try:
                awaited = resume()
            except StopIteration as stop:
                result: Result = stop.value
                return result
            if wait in self._waits:
                self.reached = True
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 (the work is told of it)
                resume = partial(steps.throw, error)
            else:
                resume = partial(next, steps)
        raise AssertionError("unreachable")


async def cancelled_at_each_wait(
    work: Callable[[int], Coroutine[Any, Any, None]], times: int = 1
) -> AsyncIterator[int]:
    """Do something again and again, cancelled at its first wait, at its second, up to its last.

    Args:
        work: Does it for the n-th time.
        times: How often it is cancelled, while it does what has to follow the first cancellation.

    Yields:
        The number of each time, at last of the one that was not cancelled.
    """
    for number in count():
        cancelled = CancelledAt(work(number), number, times)
        task = asyncio.ensure_future(_awaited(cancelled))
        await asyncio.wait([task])
        if not cancelled.reached:
            task.result()
            yield number
            return
        assert task.cancelled(), task.exception()
        yield number


async def _awaited(work: Awaitable[None]) -> None:
    await work
