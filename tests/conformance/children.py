"""Children of the test's process, forked while it has a backend open."""

import asyncio
import os
import signal
import sys
import warnings
from collections.abc import Awaitable, Callable
from typing import Final

LONGEST_LIFE_SECONDS: Final = 30


async def in_child(work: Callable[[], Awaitable[object]]) -> str:
    """Do something in a child, in an event loop of its own.

    Args:
        work: What to do.

    Returns:
        The representation of its result, or of the exception that it raised; empty when the
        child had to be killed.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the child leaves
        child = os.fork()
    if child == 0:
        _live(work, writing)
    os.close(writing)
    await asyncio.to_thread(os.waitpid, child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


def _live(work: Callable[[], Awaitable[object]], output: int) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LONGEST_LIFE_SECONDS)

    async def run() -> object:
        return await work()

    try:
        try:
            told = repr(asyncio.run(run()))
        except BaseException as error:  # noqa: BLE001 (it is for the parent)
            told = repr(error)
        os.write(output, told.encode())
        sys.stderr.flush()
    finally:
        os._exit(0)
