"""The process and the event loop to which connections belong."""

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, Final

from synthorg.persistence.errors import UsageError
from synthorg.persistence.sql.drivers.forks import protect_loop

SECONDS_BETWEEN_LOOKS: Final = 0.1


class Affinity:
    """Where connections were made: they survive neither a fork nor another event loop."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self.loop = asyncio.get_running_loop()
        protect_loop(self.loop)

    @property
    def is_in_this_process(self) -> bool:
        """Whether this is the process, rather than a child that was forked from it."""
        return os.getpid() == self._process

    @property
    def is_here(self) -> bool:
        """Whether the caller is in the same process and event loop."""
        return self.is_in_this_process and asyncio.get_running_loop() is self.loop

    @property
    def has_ended(self) -> bool:
        """Whether the connections can no longer be used by anybody in this process."""
        return not self.is_in_this_process or self.loop.is_closed()

    def check_not_over(self) -> None:
        """Refuse what nobody in this process can do any more.

        Raises:
            UsageError: If this is another process, or the event loop has ended.
        """
        if not self.is_in_this_process:
            raise UsageError(
                "this backend was connected in another process; a child that was forked has to "
                "await connect() itself"
            )
        if self.loop.is_closed():
            raise UsageError(
                "this backend was connected in another event loop, which has ended; await "
                "connect() again"
            )

    def check(self) -> None:
        """Refuse to be used from elsewhere.

        Raises:
            UsageError: If the caller is in another process or event loop.
        """
        if os.getpid() == self._process and asyncio.get_running_loop() is self.loop:
            return
        self.check_not_over()
        raise UsageError(
            "this backend was connected in another event loop; disconnect it there, or make "
            "a backend for each loop"
        )

    async def run(self, step: Coroutine[Any, Any, None]) -> None:
        """Run a step in this event loop, for a caller in another one.

        Args:
            step: The step; it is not waited for any longer once its loop has stopped.
        """
        future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(step, self.loop))
        while not future.done() and self.loop.is_running():
            await asyncio.wait([future], timeout=SECONDS_BETWEEN_LOOKS)
        if future.done():
            future.result()


class LocalLock:
    """A lock for the tasks of one event loop, made anew in another one and after a fork."""

    def __init__(self) -> None:
        self._affinity: Affinity | None = None
        self._lock = asyncio.Lock()

    def here(self) -> asyncio.Lock:
        """Give the lock of this event loop, which is not one that was inherited locked."""
        if self._affinity is None or not self._affinity.is_here:
            self._affinity, self._lock = Affinity(), asyncio.Lock()
        return self._lock
