"""Steps that are never left half done."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import copy_context
from types import coroutine
from typing import Any, Final, TypeVar

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


async def begin_to_completion(step: Coroutine[Any, Any, Result]) -> Result:
    """Do the same with a step that hardly ever waits, for which no task is made then.

    Args:
        step: The step, which must not ask for its task before it first waits.

    Returns:
        Its result.
    """
    context = copy_context()
    try:
        first = context.run(step.send, None)
    except StopIteration as end:
        result: Result = end.value
        return result
    rest = asyncio.get_running_loop().create_task(_rest(step, first), context=context)
    return await run_to_completion(rest)


@coroutine
def _rest(step: Coroutine[Any, Any, Result], waits_for: Any) -> Generator[Any, Any, Result]:
    """Go on with a step from where it first waited."""
    try:
        while True:
            try:
                answer = yield waits_for
            except BaseException as error:  # noqa: BLE001 (it is for the step)
                waits_for = step.throw(error)
            else:
                waits_for = step.send(answer)
    except StopIteration as end:
        result: Result = end.value
        return result


@coroutine
def run_in_place(step: Coroutine[Any, Any, Result]) -> Generator[Any, None, Result]:
    """Do the same without a task of its own, which costs less.

    Args:
        step: The step, in which nothing may have a time limit of asyncio's: that would cancel the
            caller's task.

    Returns:
        Its result.
    """
    cancellation: asyncio.CancelledError | None = None
    try:
        while True:
            waits_for = step.send(None)
            is_over = False
            while not is_over:
                try:
                    yield from _until_done(waits_for)
                    is_over = True
                except asyncio.CancelledError as error:
                    cancellation = error
                    is_over = waits_for is None
    except StopIteration as end:
        result: Result = end.value
    except Exception:
        if cancellation is None:
            raise
    finally:
        step.close()
    if cancellation is not None:
        raise cancellation
    return result


def _until_done(future: asyncio.Future[Any] | None) -> Generator[Any, None, None]:
    """Wait for what a step waits for, which a cancellation of the waiter leaves alone.

    Args:
        future: The future; None for the next turn of the event loop.
    """
    if future is None:
        yield
        return
    done = future.get_loop().create_future()

    def wake(_: object) -> None:
        if not done.done():
            done.set_result(None)

    future.add_done_callback(wake)
    try:
        yield from done
    finally:
        future.remove_done_callback(wake)
