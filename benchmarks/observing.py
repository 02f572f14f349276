"""What it costs to be observed: `python -m benchmarks.observing`, with the extra `test`.

Each round measures all ways in turn, so that whatever else the machine does meets all of them.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from rich.console import Console

from benchmarks import data
from synthorg.persistence import Observer, PersistenceConfig, create_backend
from synthorg.persistence.telemetry import OpenTelemetryObserver
from synthorg.persistence.transactions import ManagedBackend

TOGETHER: Final = 64
NOBODY: Final = "nobody"

Work = Callable[[ManagedBackend, int], Awaitable[object]]


def sampling(ratio: float) -> OpenTelemetryObserver:
    """Make an observer whose provider samples a part of all traces."""
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(ratio)))
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    return OpenTelemetryObserver(provider, MeterProvider([InMemoryMetricReader()]))


OBSERVERS: Final[dict[str, Callable[[], Sequence[Observer]]]] = {
    NOBODY: lambda: (),
    "nobody, again": lambda: (),
    "without a provider": lambda: (OpenTelemetryObserver(),),
    "one of a hundred": lambda: (sampling(0.01),),
    "each": lambda: (sampling(1),),
}

WORKS: Final[dict[str, Work]] = {
    "get": lambda backend, number: backend.tasks.get(data.task_id(number)),
    "save": lambda backend, number: backend.tasks.save(data.task(number, project=0)),
}


async def one_by_one(backend: ManagedBackend, work: Work, calls: int) -> float:
    """Tell how long calls take one after the other."""
    began = time.perf_counter()
    for number in range(calls):
        await work(backend, number)
    return time.perf_counter() - began


async def together(backend: ManagedBackend, work: Work, calls: int) -> float:
    """Tell how long calls take of which many are under way."""
    numbers = iter(range(calls))

    async def run() -> None:
        for number in numbers:
            await work(backend, number)

    began = time.perf_counter()
    await asyncio.gather(*[run() for _ in range(TOGETHER)])
    return time.perf_counter() - began


async def measure(url: str | None, rounds: int, calls: int) -> None:
    """Print how fast each way is, as a part of what it is without observers."""
    console = Console(highlight=False)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        backends = {}
        for place, (name, observers) in enumerate(OBSERVERS.items()):
            config = PersistenceConfig.from_url(url or f"sqlite:///{folder / f'{place}.db'}")
            backend = create_backend(config, observers=observers(), migrate=True)
            backends[name] = await stack.enter_async_context(backend)
            await backend.tasks.save_many([data.task(each, project=0) for each in range(calls)])
        for label, run in (("one by one", one_by_one), (f"{TOGETHER} at once", together)):
            for action, work in WORKS.items():
                seconds: dict[str, list[float]] = {name: [] for name in backends}
                for each in range(rounds):
                    names = [*backends]
                    for name in names[each % len(names) :] + names[: each % len(names)]:
                        seconds[name].append(await run(backends[name], work, calls))
                usual = seconds[NOBODY]
                console.print(f"{action}, {label}: {statistics.median(usual) / calls * 1e6:.0f} µs")
                for name, measured in seconds.items():
                    ratio = statistics.median(
                        [one / other for one, other in zip(usual, measured, strict=True)]
                    )
                    console.print(f"  {name}: {ratio:.3f}")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a database for it alone, instead of SQLite files")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=1000)
    options = parser.parse_args()
    asyncio.run(measure(options.url, options.rounds, options.calls))


if __name__ == "__main__":
    main()
