"""Other programs read exports with the right types, times and texts."""

import asyncio
import gzip
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest

from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.testing.kinds import MESSAGES
from synthorg.persistence.transfer import FileFormat, export_database

FORMATS = get_args(FileFormat)
MOMENTS = (
    datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
)
CONTENTS = ("„ß🦊\", \n'quoted'", "NULL")
COLUMNS = ("sender", "timestamp", "content")

Rows = list[tuple[Any, ...]]


def module(name: str) -> Any:
    if not os.environ.get("TEST_FORMATS"):
        return pytest.importorskip(name)
    return import_module(name)


def by_pandas(path: Path, file_format: FileFormat) -> Rows:
    pandas = module("pandas")
    if file_format == "parquet":
        frame = pandas.read_parquet(path)
    elif file_format == "csv":
        frame = pandas.read_csv(path, parse_dates=["timestamp"], keep_default_na=False)
    else:
        frame = pandas.read_json(path, lines=True, dtype=False)
        frame["timestamp"] = pandas.to_datetime(frame["timestamp"])
    assert str(frame["timestamp"].dtype.tz) == "UTC"
    rows = frame[list(COLUMNS)].itertuples(index=False)
    return [(row[0], row[1].to_pydatetime(), row[2]) for row in rows]


def by_polars(path: Path, file_format: FileFormat) -> Rows:
    polars = module("polars")
    if file_format == "parquet":
        frame = polars.read_parquet(path)
    elif file_format == "csv":
        frame = polars.read_csv(path, try_parse_dates=True)
    else:
        with gzip.open(path) as file:
            frame = polars.read_ndjson(file.read())
        frame = frame.with_columns(polars.col("timestamp").str.to_datetime(time_zone="UTC"))
    assert frame.schema["timestamp"].time_zone == "UTC"
    rows: Rows = frame.select(COLUMNS).rows()
    return rows


def by_duckdb(path: Path, file_format: FileFormat) -> Rows:
    function = {"jsonl": "read_json", "parquet": "read_parquet", "csv": "read_csv"}[file_format]
    with module("duckdb").connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(
            f"SELECT sender, timestamp::TIMESTAMPTZ, content FROM {function}(?)", [str(path)]
        )
        rows: Sequence[tuple[Any, ...]] = found.fetchall()
    return [(sender, time.astimezone(UTC), content) for sender, time, content in rows]


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("read", [by_pandas, by_polars, by_duckdb])
def test_messages_are_read_with_their_times_and_texts(
    read: Callable[[Path, FileFormat], Rows], file_format: FileFormat, tmp_path: Path
) -> None:
    config = PersistenceConfig.from_url(f"sqlite:///{tmp_path / 'synthorg.db'}")

    async def export() -> str:
        async with create_backend(config) as backend:
            await backend.migrate()
            for moment, content in zip(MOMENTS, CONTENTS, strict=True):
                await backend.messages.save(
                    MESSAGES.altered(MESSAGES.keyed(content), timestamp=moment, content=content)
                )
        report = await export_database(config, tmp_path / "export", file_format=file_format)
        return report.manifest.kinds["messages"].file

    file = tmp_path / "export" / asyncio.run(export())
    expected = [
        (MESSAGES.example.sender, moment, content)
        for moment, content in zip(MOMENTS, CONTENTS, strict=True)
    ]
    assert sorted(read(file, file_format)) == sorted(expected)
