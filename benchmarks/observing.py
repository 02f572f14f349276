"""What it costs to be observed: `python -m benchmarks.observing`, with the extra `test`.

It measures the processor's time of this process, which depends less on what else the machine does;
and each of many short rounds measures all ways, in an order of its own, so that what remains of
that meets all of them. The functions of Python that a call calls are counted, too, which are the
same on every machine. What OpenTelemetry itself takes is measured without an observer, by such a
span and such a histogram around a call.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import INVALID_SPAN, SpanKind
from rich.console import Console

from benchmarks import data
from synthorg.persistence import Observer, PersistenceConfig, create_backend
from synthorg.persistence.telemetry import SECONDS, OpenTelemetryObserver
from synthorg.persistence.transactions import ManagedBackend

TOGETHER: Final = 64
NOBODY: Final = "nobody"
COUNTED: Final = 100

Work = Callable[[ManagedBackend, int], Awaitable[object]]
Run = Callable[[ManagedBackend, Work, int], Awaitable[float]]


class Way(NamedTuple):
    """A way to observe."""

    observers: Callable[[], Sequence[Observer]]
    around: Callable[[Work], Work] = lambda work: work
    span: trace.Span = INVALID_SPAN


def tracers(ratio: float) -> TracerProvider:
    """Make a provider that samples a part of all traces."""
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(ratio)))
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    return provider


def meters() -> MeterProvider:
    """Make a provider that measures."""
    return MeterProvider([InMemoryMetricReader()])


def traced(ratio: float) -> Sequence[Observer]:
    """Make an observer that makes spans alone."""
    return [OpenTelemetryObserver(tracers(ratio), NoOpMeterProvider())]


def traced_and_measured(ratio: float) -> Sequence[Observer]:
    """Make an observer that makes spans and metrics."""
    return [OpenTelemetryObserver(tracers(ratio), meters())]


def bare(*, measures: bool) -> Callable[[Work], Work]:
    """Do what OpenTelemetry alone does around a call: a span that is not sampled, a histogram."""
    tracer = tracers(0).get_tracer("bare")
    duration = (meters() if measures else NoOpMeterProvider()).get_meter("bare")
    histogram = duration.create_histogram("bare", explicit_bucket_boundaries_advisory=SECONDS)
    names = dict.fromkeys(["db.system.name", "db.namespace", "db.operation.name", "db.table"], "a")

    def around(work: Work) -> Work:
        async def observed(backend: ManagedBackend, number: int) -> object:
            tracer.start_span("bare", None, SpanKind.CLIENT, names)
            if not measures:
                return await work(backend, number)
            began = time.perf_counter()
            try:
                return await work(backend, number)
            finally:
                histogram.record(time.perf_counter() - began, names)

        return observed

    return around


WAYS: Final[dict[str, Way]] = {
    NOBODY: Way(lambda: ()),
    "nobody, again": Way(lambda: ()),
    "no provider": Way(lambda: [OpenTelemetryObserver()]),
    "in a trace that is not sampled": Way(
        lambda: traced(1), span=tracers(0).get_tracer("program").start_span("program")
    ),
    "one span of a hundred": Way(lambda: traced(0.01)),
    "  OpenTelemetry's part": Way(lambda: (), bare(measures=False)),
    "one span of a hundred, and metrics": Way(lambda: traced_and_measured(0.01)),
    "  OpenTelemetry's part of these": Way(lambda: (), bare(measures=True)),
    "each span, and metrics": Way(lambda: traced_and_measured(1)),
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


@contextmanager
def counted(functions: Counter[str]) -> Iterator[None]:
    """Count which functions of Python this thread calls."""

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            functions[frame.f_code.co_name] += 1

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)


async def functions_of(backend: ManagedBackend, work: Work) -> float:
    """Tell how many functions of Python a call calls."""
    functions: Counter[str] = Counter()
    with counted(functions):
        await one_by_one(backend, work, COUNTED)
    return functions.total() / COUNTED


async def measure(url: str | None, rounds: int, calls: int) -> None:
    """Print how much each way takes, as a part of what it takes without observers."""
    console = Console(highlight=False)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        backends = {}
        for place, (name, way) in enumerate(WAYS.items()):
            config = PersistenceConfig.from_url(url or f"sqlite:///{folder / f'{place}.db'}")
            backend = create_backend(config, observers=way.observers(), migrate=True)
            backends[name] = await stack.enter_async_context(backend)
            await backend.tasks.save_many([data.task(each, project=0) for each in range(calls)])
        for label, run in (("one by one", one_by_one), (f"{TOGETHER} at once", together)):
            for action, work in WORKS.items():
                console.print(f"{action}, {label}")
                await compare(console, backends, work, run, rounds, calls)


async def compare(
    console: Console,
    backends: dict[str, ManagedBackend],
    work: Work,
    run: Run,
    rounds: int,
    calls: int,
) -> None:
    """Print how much one work takes in each way."""
    seconds: dict[str, list[float]] = {name: [] for name in backends}
    for _ in range(rounds):
        for name in random.sample([*backends], len(backends)):
            with trace.use_span(WAYS[name].span):
                taken = await run(backends[name], WAYS[name].around(work), calls)
            seconds[name].append(taken)
    for name, measured in seconds.items():
        ratios = [one / other for one, other in zip(seconds[NOBODY], measured, strict=True)]
        with trace.use_span(WAYS[name].span):
            functions = await functions_of(backends[name], WAYS[name].around(work))
        console.print(
            f"  {name}: {statistics.median(measured) / calls * 1e6:.1f} µs, "
            f"{statistics.median(ratios):.3f} of the throughput, {functions:.0f} functions",
            soft_wrap=True,
        )


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a database for it alone, instead of SQLite files")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--calls", type=int, default=200)
    options = parser.parse_args()
    asyncio.run(measure(options.url, options.rounds, options.calls))


if __name__ == "__main__":
    main()
