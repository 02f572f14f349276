"""Whatever can be stored goes through every kind of database and comes back the same."""

import asyncio
import os
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from hypothesis import given, settings

from synthorg.persistence import PersistenceConfig
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import COST_RECORDS, KINDS
from synthorg.persistence.transfer import compare_databases, export_database, import_database
from tests.extensions.conftest import EXTENSIONS, backend_at
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.sqlite import SQLiteFiles
from tests.transfer.conftest import MakeDatabase, copy, files_of

ROUTE: Final = (SQLiteFiles, PostgreSQL, MariaDB, SQLiteFiles)
RECORDS: Final = int(os.environ.get("TEST_TRANSFER_RECORDS", "8"))
"""How many records of each kind are drawn."""


def drawn(kind: Kind) -> list[Any]:
    """Draw records of a kind, each an example of its own, so that none is small for the others."""
    records: list[Any] = []

    @settings(max_examples=RECORDS, deadline=None, database=None)
    @given(kind.strategy)
    def collect(record: Any) -> None:
        records.append(record)

    collect()
    return records


async def save(url: str, records: dict[Kind, list[Any]]) -> None:
    async with backend_at(url) as backend:
        await backend.migrate()
        for kind, drawn_of_it in records.items():
            for record in drawn_of_it:
                await kind.store(backend, record if kind is COST_RECORDS else kind.fresh(record))


def test_generated_records_of_every_kind_come_back_the_same(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    urls = [make_database(kind) for kind in ROUTE]
    asyncio.run(save(urls[0], {kind: drawn(kind) for kind in KINDS}))

    reports = [copy(before, after) for before, after in pairwise(urls)]

    first, *others = [
        {table.name: (table.rows, table.digest) for table in report.tables} for report in reports
    ]
    assert others == [first, first]
    assert all(first[kind.repository][0] >= RECORDS for kind in KINDS)
    ends = [PersistenceConfig.from_url(url) for url in (urls[0], urls[-1])]
    assert not asyncio.run(compare_databases(*ends, extensions=EXTENSIONS)).differences

    folders = [tmp_path / "first", tmp_path / "last"]
    for end, folder in zip(ends, folders, strict=True):
        asyncio.run(export_database(end, folder, extensions=EXTENSIONS))
    assert files_of(folders[0]) == files_of(folders[1])

    imported = PersistenceConfig.from_url(make_database(PostgreSQL))
    asyncio.run(import_database(folders[0], imported, extensions=EXTENSIONS))
    assert not asyncio.run(compare_databases(ends[0], imported, extensions=EXTENSIONS)).differences
