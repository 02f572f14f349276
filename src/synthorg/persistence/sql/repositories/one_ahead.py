"""Steps in their order, each of which runs while the next one is being prepared."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Self


class OneAhead:
    """Runs one step at a time; leaving waits for the last one, or cancels it when cancelled.

    What a step raises comes before what its successor's preparation raises.
    """

    def __init__(self) -> None:
        self._step: asyncio.Task[None] | None = None

    async def start(self, step: Coroutine[object, object, None]) -> None:
        """Start a step when the one before has ended.

        Args:
            step: What to do.

        Raises:
            Exception: What the step before has raised.
        """
        try:
            await self.finish()
        except BaseException:
            step.close()
            raise
        self._step = asyncio.create_task(step)
        await asyncio.sleep(0)  # so that it gets to where it waits for the database

    async def let_it_go_on(self) -> None:
        """Give the step under way a moment, to send what follows an answer that has come."""
        if self._step is not None and not self._step.done():
            await asyncio.sleep(0)

    async def finish(self) -> None:
        """Wait for the end of the step under way, if there is one.

        Raises:
            Exception: What it has raised.
        """
        step, self._step = self._step, None
        if step is not None:
            await step

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, Exception):
            await self.finish()
        elif self._step is not None:
            self._step.cancel()
            with suppress(Exception, asyncio.CancelledError):
                await self.finish()
