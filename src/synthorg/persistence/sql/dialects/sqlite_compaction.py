"""A SQLite file written anew without its unused pages."""

import shutil
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from synthorg.persistence.errors import QueryError

COPIES: Final = 2
"""How many times its size a database needs: once as a copy, and once more in the log.
https://www.sqlite.org/lang_vacuum.html"""


def compact_file(connection: Connection, path: Path) -> None:
    """Write a database anew.

    Args:
        connection: A connection to it, with no transaction begun.
        path: Where it is.

    Raises:
        QueryError: If the disk has no room for it.
    """
    # Straight to the driver: SQLAlchemy would begin a transaction, and VACUUM refuses one.
    with closing(connection.connection.cursor()) as cursor:
        sizes: list[int] = []
        for name in ("page_count", "freelist_count", "page_size"):
            cursor.execute(f"PRAGMA {name}")
            sizes += [int(row[0]) for row in cursor.fetchall()]
        pages, unused, size = sizes
        needed = COPIES * (pages - unused) * size
        free = shutil.disk_usage(path.parent).free
        if free < needed:
            raise QueryError(
                f"cannot compact {path}: it needs {needed / 2**20:,.0f} MiB, and the disk has "
                f"{free / 2**20:,.0f} MiB free; nothing was changed"
            )
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
