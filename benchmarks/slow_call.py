"""`python -m benchmarks.slow_call`: record how a slow call shows on the dashboard for operators."""

import argparse
import asyncio
import json
import logging
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import urlopen

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server
from sqlalchemy import text

from benchmarks.dashboard import draw
from benchmarks.data import message, task, task_id
from benchmarks.own_tasks import own, own_tasks
from benchmarks.recording import (
    DASHBOARD,
    OUTPUT,
    PHASES,
    PICTURES,
    RATE_SECONDS,
    SECONDS,
    Recording,
    Series,
    name_of,
)
from synthorg.entities import Task
from synthorg.persistence import ManagedBackend, PersistenceConfig, create_backend
from synthorg.persistence.extension import KeyedRepository, ListQuery
from synthorg.persistence.telemetry import OpenTelemetryObserver

ROWS: Final = 400_000
CREATORS: Final = 100_000
WORKERS: Final = 6
SCRAPE_SECONDS: Final = 2
METRICS_PORT: Final = 9464
PROMETHEUS_PORT: Final = 9490
LOGGED: Final = ("call_slow", "call_explained")


class TasksByCreator(KeyedRepository[Task]):
    """The tasks of an application's own, of whoever created them: no index is made for that."""

    table = own_tasks
    record = Task
    listing = ListQuery(own_tasks, Task, order_by=("id",), filters=("created_by",))


class Told(logging.Handler):
    """Remembers the first of what is logged about each call that was slow."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[tuple[str, ...]] = set()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Remember a record."""
        facts = vars(record)
        call = tuple(facts.get(name, "") for name in ("event", "repository", "operation"))
        if call[0] in LOGGED and call not in self._known:
            self._known.add(call)
            self.lines.append(f"{record.levelname} {call[0]}: {record.getMessage()}")


def creator(number: int) -> str:
    """Name whoever created a task."""
    return f"creator-{number % CREATORS:05}"


async def fill(backend: ManagedBackend) -> None:
    """Store the tasks that are there from the start."""
    tasks = (
        task(number, project=number % 200).model_copy(update={"created_by": creator(number)})
        for number in range(ROWS)
    )
    await backend.repository(TasksByCreator).save_many(tasks)
    async with backend.get_db().connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("ANALYZE own_tasks"))


class Load:
    """What agents do all the time, and what the release adds to it.

    Args:
        backend: The backend.
    """

    def __init__(self, backend: ManagedBackend) -> None:
        self._backend = backend
        self._numbers = iter(range(10**9))
        self.is_released = False
        self.is_over = False

    async def run(self) -> None:
        """Do it until it is over."""
        async with asyncio.TaskGroup() as group:
            for seed in range(WORKERS):
                group.create_task(self._work(random.Random(seed)))

    async def _work(self, choose: random.Random) -> None:
        tasks = self._backend.repository(TasksByCreator)
        while not self.is_over:
            found = await tasks.get(task_id(choose.randrange(ROWS)))
            assert found is not None
            async with self._backend.transaction() as unit:
                await unit.repository(TasksByCreator).save(found)
                await unit.messages.save(message(next(self._numbers)))
            await self._backend.messages.get_history(f"channel-{choose.randrange(20):02}", limit=20)
            if self.is_released and choose.random() < 0.05:  # noqa: PLR2004 (one of twenty)
                await tasks.page(created_by=creator(choose.randrange(CREATORS)), limit=20)
            await asyncio.sleep(choose.uniform(0.02, 0.12))


@contextmanager
def prometheus() -> Iterator[None]:
    """Have Prometheus look at the metrics of this process."""
    program = shutil.which("prometheus")
    if program is None:
        raise SystemExit("prometheus is not installed: apt-get install prometheus")
    configuration = {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s"},
        "scrape_configs": [
            {
                "job_name": "agents",
                "static_configs": [{"targets": [f"127.0.0.1:{METRICS_PORT}"]}],
            }
        ],
    }
    with TemporaryDirectory() as folder:
        file = Path(folder) / "prometheus.yml"
        file.write_text(json.dumps(configuration))  # which is YAML
        arguments = [
            f"--config.file={file}",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{PROMETHEUS_PORT}",
            "--log.level=error",
        ]
        server = subprocess.Popen([program, *arguments])  # noqa: S603 (found above)
        try:
            yield
        finally:
            server.terminate()
            server.wait(30)


def ask(expression: str, began: float, ended: float) -> list[tuple[dict[str, str], list[Any]]]:
    """Ask Prometheus what a panel shows between two moments."""
    query = {
        "query": expression.replace("$__rate_interval", f"{RATE_SECONDS}s"),
        "start": began,
        "end": ended,
        "step": SCRAPE_SECONDS,
    }
    address = f"http://127.0.0.1:{PROMETHEUS_PORT}/api/v1/query_range?{urlencode(query)}"
    with urlopen(address, timeout=30) as answer:
        found = json.load(answer)
    assert found["status"] == "success", found
    return [(each["metric"], each["values"]) for each in found["data"]["result"]]


def answers(began: float, ended: float) -> dict[str, list[Series]]:
    """Ask all that the dashboard asks."""
    found: dict[str, list[Series]] = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            found[target["expr"]] = [
                Series(
                    name_of(target["legendFormat"], labels),
                    [
                        (round(at - began, 1), float(f"{float(value):.4g}"))
                        for at, value in values
                        if value not in ("NaN", "+Inf")
                    ],
                )
                for labels, values in ask(target["expr"], began, ended)
            ]
    return found


async def record(url: str) -> Recording:
    """Run the session.

    Args:
        url: An empty database of PostgreSQL.
    """
    told = Told()
    logging.getLogger("synthorg.persistence").addHandler(told)
    async with create_backend(
        PersistenceConfig.from_url(url), extensions=[own], migrate=True
    ) as backend:
        await fill(backend)
    config = PersistenceConfig.from_url(f"{url}?slow_call_seconds=0.1&explain_slow_calls=true")
    observer = OpenTelemetryObserver(meter_provider=MeterProvider([PrometheusMetricReader()]))
    async with create_backend(config, extensions=[own], observers=[observer]) as backend:
        start_http_server(METRICS_PORT, "127.0.0.1")
        with prometheus():
            load = Load(backend)
            running = asyncio.create_task(load.run())
            await asyncio.sleep(2 * SCRAPE_SECONDS)  # until the first look
            began = time.time()
            await asyncio.sleep(PHASES["release"])
            load.is_released = True
            await asyncio.sleep(PHASES["index"] - PHASES["release"])
            async with backend.get_db().connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                await connection.execute(
                    text("CREATE INDEX CONCURRENTLY own_by_creator ON own_tasks (created_by, id)")
                )
            await asyncio.sleep(began + SECONDS - time.time())
            found = await asyncio.to_thread(answers, began, began + SECONDS)
            load.is_over = True
            await running
    return Recording(found, PHASES, SECONDS, told.lines)


def main() -> None:
    """Record, and draw the dashboard when the fault was seen and when it was mended."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("url", help="an empty database of PostgreSQL")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    options.output.mkdir(exist_ok=True)
    recording = asyncio.run(record(options.url))
    recording.save(options.output / "recorded.json")
    draw_both(recording, options.output)


def draw_both(recording: Recording, folder: Path) -> None:
    """Draw the dashboard twice: before the index is made, and in the end."""
    dashboard = json.loads(DASHBOARD.read_text())
    for name, until in PICTURES.items():
        picture = draw(dashboard, recording, until).as_svg()
        (folder / f"{name}.svg").write_text(f"{picture}\n")


if __name__ == "__main__":
    main()
