"""`python -m benchmarks.growth`: the same queries on ever larger tables, on SQLite."""

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks import machine
from benchmarks.data import FIRST_MOMENT, Volume, task_id
from benchmarks.databases import fill
from benchmarks.report import FILE_WIDTH, Grid
from benchmarks.results import Spread
from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.transactions import TransactionalBackend

SIZES: Final = (10_000, 100_000, 1_000_000, 10_000_000)
REPETITIONS: Final = 15

PAGE: Final = 100
FAR_PAGE: Final = 10_000
STRIDE: Final = 10_000
"""The page size with which the far page is walked to; a cursor does not depend on it."""

PATTERN: Final = 10_000
"""How many rows of each kind the library writes; the others are made of them."""

RECORDS_OF_AN_AGENT: Final = 2_000
STALE: Final = 50
ACTIVE: Final = 50

Question = Callable[[], Awaitable[Any]]


@dataclass(frozen=True)
class Size:
    """What was measured on tables of one size.

    Attributes:
        rows: The rows of each table.
        fill_seconds: How long it took to make them.
        bytes: The size of the file.
        far_page: Which page the last one was that was asked for.
        milliseconds: By question: the first time, then the spread of the others.
    """

    rows: int
    fill_seconds: float
    bytes: int
    far_page: int
    milliseconds: Mapping[str, tuple[float, Spread]]


# Rows that differ from a row of the pattern in their keys and times alone. %f has three decimals,
# and the library writes six. :first is the number of the first new row.
_MOMENT: Final = "strftime('%Y-%m-%dT%H:%M:%f', :epoch + {number}, 'unixepoch') || '000+00:00'"
_NEW_KEYS: Final[Mapping[str, Mapping[str, str]]] = {
    "tasks": {"id": "printf('task-%08d', :first + p.rowid)"},
    "messages": {
        "id": "printf('%s-%012d', substr(p.id, 1, 23), :first + p.rowid)",
        "timestamp": _MOMENT.format(number=":first + p.rowid"),
        "number": "NULL",
    },
    "cost_records": {
        "sequence_number": "NULL",
        "agent_id": f"printf('agent-%06d', (:first + p.rowid) / {RECORDS_OF_AN_AGENT})",
    },
}
_NUMBERS: Final = (
    "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers"
    " WHERE n + 1 < :rows) "
)
_HEARTBEATS: Final = (
    f"{_NUMBERS} INSERT INTO heartbeats (execution_id, agent_id, task_id, last_heartbeat_at) "
    "SELECT printf('execution-%08d', n), 'agent', 'task', "
    f"{_MOMENT.format(number='n')} FROM numbers"
)
_AGENT_STATES: Final = (
    f"{_NUMBERS} INSERT INTO agent_states (agent_id, execution_id, task_id, status, turn_count, "
    "accumulated_cost_usd, last_activity_at, started_at) "
    "SELECT printf('agent-%08d', n), iif(active, 'execution', NULL), NULL, "
    "iif(active, 'executing', 'idle'), 0, 0.0, moment, iif(active, moment, NULL) "
    f"FROM (SELECT n, n % (:rows / {ACTIVE}) = 0 AS active, "
    f"{_MOMENT.format(number='n')} AS moment FROM numbers)"
)


def enlarge(file: Path, rows: int, pattern: int = PATTERN) -> None:
    """Give every table many rows, as fast as SQLite can.

    Args:
        file: A database with tasks, messages and costs, as the library has written them.
        rows: How many each table is to have.
        pattern: How many there are of each kind, which are repeated with other keys.
    """
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000"):
            connection.execute(f"PRAGMA {pragma}")
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")  # made again in one go, which is faster
        epoch = {"epoch": FIRST_MOMENT.timestamp()}
        connection.execute("BEGIN")
        connection.execute(
            "UPDATE cost_records "
            f"SET agent_id = printf('agent-%06d', (sequence_number - 1) / {RECORDS_OF_AN_AGENT})"
        )
        for table, new_keys in _NEW_KEYS.items():
            statement = _multiplication(connection, table, new_keys, pattern)
            for first in range(pattern, rows, pattern):
                connection.execute(statement, {"first": first - 1, **epoch})
        connection.execute(_HEARTBEATS, {"rows": rows, **epoch})
        connection.execute(_AGENT_STATES, {"rows": rows, **epoch})
        connection.execute("COMMIT")
        for _, statement in indexes:
            connection.execute(statement)
        connection.execute("PRAGMA journal_mode=WAL")


def _multiplication(
    connection: sqlite3.Connection, table: str, new_keys: Mapping[str, str], pattern: int
) -> str:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(new_keys.get(name, f'p."{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    return (
        f"INSERT INTO {table} ({names}) "
        f"SELECT {values} FROM {table} AS p WHERE p.rowid <= {pattern} ORDER BY p.rowid"
    )


async def ask(file: Path, rows: int) -> tuple[int, dict[str, tuple[float, Spread]]]:
    """Ask every question of one database, through the library.

    Args:
        file: The database.
        rows: The rows of each table.

    Returns:
        The number of the far page, and the milliseconds of each question.
    """
    backend = create_backend(PersistenceConfig.from_url(f"sqlite:///{file}"))
    await backend.connect()
    try:
        far_page = min(FAR_PAGE, rows // PAGE)
        cursor = await _cursor_before(backend, (far_page - 1) * PAGE)
        questions = _questions(backend, rows, cursor)
        return far_page, {name: await _time(question) for name, question in questions.items()}
    finally:
        await backend.disconnect()


def _questions(
    backend: TransactionalBackend, rows: int, far_cursor: str | None
) -> dict[str, Question]:
    stale_before = FIRST_MOMENT + timedelta(seconds=STALE)
    return {
        "get a task": lambda: backend.tasks.get(task_id(rows // 2)),
        "newest 50 of a channel": lambda: backend.messages.get_history("channel-03", limit=50),
        "list tasks, page 1": lambda: backend.tasks.page(limit=PAGE),
        "list tasks, far page": lambda: backend.tasks.page(limit=PAGE, after=far_cursor),
        f"{STALE} stale heartbeats": lambda: backend.heartbeats.get_stale(stale_before),
        f"{ACTIVE} active agents": backend.agent_states.get_active,
        f"sum of an agent's {RECORDS_OF_AN_AGENT:,} costs": (
            lambda: backend.cost_records.aggregate(agent_id="agent-000003")
        ),
        "sum of all costs": backend.cost_records.aggregate,
    }


async def _cursor_before(backend: TransactionalBackend, position: int) -> str | None:
    cursor = None
    for start in range(0, position, STRIDE):
        limit = min(STRIDE, position - start)
        cursor = (await backend.tasks.page(limit=limit, after=cursor)).next_cursor
    return cursor


async def _time(question: Question) -> tuple[float, Spread]:
    times = []
    for _ in range(REPETITIONS + 1):
        start = time.perf_counter()
        await question()
        times.append((time.perf_counter() - start) * 1000)
    return times[0], Spread.of(times[1:])


def measure(rows: int, folder: Path) -> Size:
    """Make a database of one size, ask it everything, and remove it.

    Args:
        rows: The rows of each table.
        folder: Where the file goes.
    """
    with tempfile.TemporaryDirectory(dir=folder) as own:
        file = Path(own).resolve() / "growth.db"
        asyncio.run(fill(f"sqlite:///{file}", Volume(PATTERN)))
        start = time.perf_counter()
        enlarge(file, rows)
        seconds = time.perf_counter() - start
        far_page, milliseconds = asyncio.run(ask(file, rows))
        return Size(rows, seconds, file.stat().st_size, far_page, milliseconds)


def grid(sizes: Sequence[Size]) -> Grid:
    """Show each question on each size.

    Args:
        sizes: What was measured.
    """

    def lines() -> Iterator[list[str]]:
        for question in sizes[0].milliseconds:
            spreads = [size.milliseconds[question][1] for size in sizes]
            yield [question, *(_in_milliseconds(spread) for spread in spreads)]
        yield ["far page", *(f"{size.far_page:,}" for size in sizes)]
        yield ["file", *(f"{size.bytes / 2**20:,.0f} MiB" for size in sizes)]
        yield ["made in", *(f"{size.fill_seconds:,.0f} s" for size in sizes)]

    header = ["", *(f"{size.rows:,} rows" for size in sizes)]
    return Grid("Milliseconds: median (least to most)", header, list(lines()))


def _in_milliseconds(spread: Spread) -> str:
    return f"{spread.middle:.2f} ({spread.least:.2f} to {spread.most:.2f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every size up to the largest that is wanted.

    Args:
        arguments: Those of the command line.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--largest", type=int, default=SIZES[2], help="the most rows of a table")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    options.output.mkdir(parents=True, exist_ok=True)
    console, progress = Console(width=FILE_WIDTH), Console(stderr=True)
    sizes = []
    with progress.status("starting") as status:
        for rows in (size for size in SIZES if size <= options.largest):
            status.update(f"{rows:,} rows")
            sizes.append(measure(rows, options.folder))
    table = grid(sizes)
    console.print(table.on_terminal())
    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(options.folder),
        "versions": machine.versions(),
        "sqlite": sqlite3.sqlite_version,
        "sizes": [asdict(size) for size in sizes],
    }
    (options.output / "growth.json").write_text(json.dumps(content, indent=1) + "\n")
    (options.output / "growth.md").write_text(table.in_markdown() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
