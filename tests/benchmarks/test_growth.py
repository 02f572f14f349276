"""Tables that are made large quickly are like those that the library fills."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from benchmarks.data import FIRST_MOMENT, Volume
from benchmarks.databases import fill
from benchmarks.growth import ACTIVE, RECORDS_OF_AN_AGENT, STALE, enlarge
from synthorg.persistence import PersistenceConfig, create_backend

PATTERN = 1_000
ROWS = 5 * PATTERN


async def test_enlarged_tables_have_the_librarys_schema_and_rows_that_it_reads(
    tmp_path: Path,
) -> None:
    file, untouched = tmp_path / "large.db", tmp_path / "empty.db"
    await fill(f"sqlite:///{file}", Volume(PATTERN))
    await fill(f"sqlite:///{untouched}", Volume(0))

    enlarge(file, ROWS, PATTERN)

    assert schema(file) == schema(untouched)
    backend = create_backend(PersistenceConfig.from_url(f"sqlite:///{file}"))
    await backend.connect()
    try:
        assert len(await backend.tasks.list_tasks()) == ROWS
        assert len(await backend.messages.get_history("channel-03")) == ROWS // 20
        costs = await backend.cost_records.query(agent_id="agent-000001")
        assert len(costs) == RECORDS_OF_AN_AGENT
        stale = await backend.heartbeats.get_stale(FIRST_MOMENT + timedelta(seconds=STALE))
        assert len(stale) == STALE
        assert len(await backend.agent_states.get_active()) == ACTIVE
    finally:
        await backend.disconnect()


def schema(file: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(
            "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
        ).fetchall()
