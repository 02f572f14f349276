"""Every contender does the same work, for otherwise it would be no comparison."""

import gc
import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.contenders import (
    CONTENDERS,
    REFERENCES,
    CannotRun,
    competing,
    find,
    takes_part,
)
from benchmarks.contenders.rows import COSTS, MESSAGES, TASKS
from benchmarks.data import Volume
from benchmarks.databases import fill
from benchmarks.worker import Order, perform
from benchmarks.workloads import WORKLOADS
from synthorg.persistence import PersistenceConfig, create_backend
from tests.conftest import ServerPool
from tests.servers.base import Server
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.sqlite import SQLiteFiles

VOLUME = Volume(rows=100)
UNITS = 10
COMPLETE = [name for name, entry in CONTENDERS.items() if entry.workloads is None]
KEYS = {TASKS: "id", MESSAGES: "id", COSTS: "sequence_number"}


@pytest.fixture(params=[SQLiteFiles, PostgreSQL, MariaDB], ids=lambda kind: kind.name)
def server(request: pytest.FixtureRequest, server_pool: ServerPool) -> Server:
    return server_pool.get(request.param)


@pytest.fixture
def quick_collection() -> Iterator[None]:
    """Keep what this process holds already out of the collection before each workload."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def files(server_pool: ServerPool) -> Server:
    return server_pool.get(SQLiteFiles)


# Not of this library: Advanced Alchemy uses a decorator that SQLAlchemy 2.1 gives up.
@pytest.mark.usefixtures("quick_collection")
@pytest.mark.filterwarnings("ignore:The declarative_mixin decorator")
async def test_all_contenders_read_and_store_the_same_records(server: Server) -> None:
    read: dict[str, dict[str, str]] = {}
    stored: dict[str, list[Any]] = {}
    for name in competing(COMPLETE, server.name, WORKLOADS):
        try:
            read[name], stored[name] = await work_of(name, server, WORKLOADS)
        except CannotRun:
            continue

    assert {"synthorg", "synthorg-public", REFERENCES[server.name], "core"} <= read.keys()
    for name, fingerprints in read.items():
        assert fingerprints == read["synthorg"], f"{name} has read other records"
        assert stored[name] == stored["synthorg"], f"{name} has stored other rows"


@pytest.mark.parametrize("name", [name for name in CONTENDERS if name not in COMPLETE])
async def test_who_takes_part_in_some_workloads_reads_and_stores_the_same_there(
    name: str, files: Server
) -> None:
    workloads = [workload for workload in WORKLOADS if takes_part(name, workload)]

    assert workloads
    assert await work_of(name, files, workloads) == await work_of("synthorg", files, workloads)


async def work_of(
    name: str, server: Server, workloads: Iterable[str]
) -> tuple[dict[str, str], list[Any]]:
    """Give what a contender reads in some workloads, condensed, and all rows after them."""
    with server.migrated_database() as url:
        await fill(url, VOLUME)
        read = await everything_read_by(name, url, workloads)
        return read, await everything_stored_at(url)


async def everything_read_by(name: str, url: str, workloads: Iterable[str]) -> dict[str, str]:
    """Do a little of each workload, and give what was read, condensed."""
    contender = find(name)(PersistenceConfig.from_url(url))
    await contender.open()
    try:
        return {
            workload: (await perform(contender, VOLUME, Order(workload, UNITS, 0))).fingerprint
            for workload in workloads
        }
    finally:
        await contender.close()


async def everything_stored_at(url: str) -> list[Any]:
    """Read all rows as they are, but for the white space in JSON."""
    backend = create_backend(PersistenceConfig.from_url(url))
    await backend.connect()
    try:
        engine = backend.get_db()
        return [row for layout in KEYS for row in await rows_of(engine, layout)]
    finally:
        await backend.disconnect()


async def rows_of(engine: AsyncEngine, layout: Any) -> list[dict[str, Any]]:
    """Read the rows of a table in a fixed order."""
    statement = text(f"SELECT * FROM {layout.table} ORDER BY {KEYS[layout]}")
    async with engine.connect() as connection:
        rows = [dict(row) for row in (await connection.execute(statement)).mappings()]
    for row in rows:
        row.update({name: json.loads(row[name]) for name in layout.json_columns})
    return rows
