"""What it costs to be observed: `python -m benchmarks.observing`, with the extra `test`.

It measures the processor's time of this process, which depends less on what else the machine does;
and each round measures all ways in turn, so that what remains of that meets all of them.
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

from opentelemetry.metrics import NoOpMeterProvider
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


def sampling(ratio: float, *, measures: bool = True) -> OpenTelemetryObserver:
    """Make an observer whose provider samples a part of all traces, with or without metrics."""
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(ratio)))
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    meters = MeterProvider([InMemoryMetricReader()]) if measures else NoOpMeterProvider()
    return OpenTelemetryObserver(provider, meters)


OBSERVERS: Final[dict[str, Callable[[], Sequence[Observer]]]] = {
    NOBODY: lambda: (),
    "nobody, again": lambda: (),
    "without a provider": lambda: (OpenTelemetryObserver(),),
    "one span of a hundred": lambda: (sampling(0.01, measures=False),),
    "one span of a hundred, and metrics": lambda: (sampling(0.01),),
    "each span, and metrics": lambda: (sampling(1),),
}

WORKS: Final[dict[str, Work]] = {
    "get": lambda backend, number: backend.tasks.get(data.task_id(number)),
    "save": lambda backend, number: backend.tasks.save(data.task(number, project=0)),
}


async def one_by_one(backend: ManagedBackend, work: Work, calls: int) -> float:
    """Tell how much time calls take one after the other."""
    began = time.process_time()
    for number in range(calls):
        await work(backend, number)
    return time.process_time() - began


async def together(backend: ManagedBackend, work: Work, calls: int) -> float:
    """Tell how much time calls take of which many are under way."""
    numbers = iter(range(calls))

    async def run() -> None:
        for number in numbers:
            await work(backend, number)

    began = time.process_time()
    await asyncio.gather(*[run() for _ in range(TOGETHER)])
    return time.process_time() - began


async def measure(url: str | None, rounds: int, calls: int) -> None:
    """Print how much each way takes, as a part of what it takes without observers."""
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
                console.print(f"{action}, {label}")
                for name, measured in seconds.items():
                    ratios = [one / other for one, other in zip(usual, measured, strict=True)]
                    microseconds = statistics.median(measured) / calls * 1e6
                    ratio = statistics.median(ratios)
                    console.print(f"  {name}: {microseconds:.0f} µs, {ratio:.2f} of the throughput")


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
