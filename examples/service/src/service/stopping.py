"""Have streams end when the process is told to end, which waits for all answers that have begun."""

import asyncio
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def noticed() -> Generator[asyncio.Event]:
    """Give an event that is set by the signals to which the server listens."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def notice(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stopping.set)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    listened_to = [number for number, handler in before.items() if callable(handler)]
    for number in listened_to:
        signal.signal(number, notice)
    try:
        yield stopping
    finally:
        for number in listened_to:
            signal.signal(number, before[number])
