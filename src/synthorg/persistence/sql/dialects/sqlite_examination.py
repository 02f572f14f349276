"""What an operator should know of a SQLite file."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from synthorg.persistence.sql.dialects.base import LARGE_LOG
from synthorg.persistence.sql.dialects.findings import Finding, note, warning

MUCH_UNUSED: Final = 64 * 2**20
MANY_ROWS_OF_PAGES: Final = 1_000


def examine(connection: Connection, path: Path | None, synchronous: str) -> Iterator[Finding]:
    """Look at a file.

    Args:
        connection: A connection to it.
        path: Where it is; None in memory.
        synchronous: The setting with which this library would open it.
    """
    pages, size, unused = (
        int(connection.execute(text(f"PRAGMA {name}")).scalar_one())
        for name in ("page_count", "page_size", "freelist_count")
    )
    if unused * size > MUCH_UNUSED and unused * 4 > pages:
        yield note(
            "space",
            f"{unused * size / 2**20:,.0f} MiB of the file are unused",
            "run VACUUM while nobody else uses it, if the disk needs the space",
        )
    has_statistics = connection.execute(
        text("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat1'")
    ).scalar_one()
    if pages > MANY_ROWS_OF_PAGES and not has_statistics:
        yield note("statistics", "the database was never analyzed", "run ANALYZE")
    if synchronous != "full":
        yield note(
            "durability",
            f"synchronous is {synchronous}: the last transactions that were acknowledged are lost "
            "at a loss of power",
            "leave synchronous=full unless that does not matter",
        )
    if path is None:
        return
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size > LARGE_LOG:
        yield warning(
            "log",
            f"the log {log.name} has {log.stat().st_size / 2**20:,.0f} MiB",
            "find out which process reads for so long that it cannot be written back, and end that",
        )
    free = shutil.disk_usage(path.parent).free
    if free < pages * size:
        yield warning(
            "space",
            f"the disk has {free / 2**20:,.0f} MiB free, less than the database takes",
            "make room: neither a migration that rebuilds a table nor a backup may fit",
        )
