"""Makes the test asset of the head revision: a database with data in every table, as SQL.

Run it once when a revision is added, as `python -m tests.migrations.make_assets`, and keep what it
writes: the assets of earlier revisions can no longer be made, since the code that filled such
databases is gone.
"""

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from synthorg.persistence import PersistenceBackend, PersistenceConfig, create_backend
from synthorg.persistence.retention import RetentionPolicy, prune
from synthorg.persistence.rollups import roll_up_costs
from synthorg.persistence.sql.migrations.revisions import known_revisions
from synthorg.persistence.testing.kinds import AUDIT_ENTRIES, KINDS

ASSETS: Final = Path(__file__).parent / "assets"
EARLIER: Final = datetime(2020, 1, 1, tzinfo=UTC)
AWKWARD_KEYS: Final = ("it's", "Ünïcödé 🙂", "100% :of {it}\\")


async def fill(backend: PersistenceBackend) -> None:
    """Store some records of every kind, the same every time."""
    for kind in KINDS:
        await kind.store(backend, kind.example, *map(kind.keyed, AWKWARD_KEYS))
    await roll_up_costs(backend)
    oldest = AUDIT_ENTRIES.altered(AUDIT_ENTRIES.keyed("removed"), timestamp=EARLIER)
    await backend.audit_entries.save(oldest)
    with tempfile.TemporaryDirectory() as folder:
        policy = RetentionPolicy.of({"audit_entries": {"newest": 1 + len(AWKWARD_KEYS)}})
        await prune(backend, policy, archive=folder, removed_by="nobody")


async def make_database(path: Path) -> None:
    """Make a database at the head revision, with data in every table."""
    backend = create_backend(PersistenceConfig.from_url(f"sqlite:///{path}"))
    await backend.connect()
    try:
        await backend.migrate()
        await fill(backend)
    finally:
        await backend.disconnect()


def make_asset() -> tuple[str, str]:
    """Make the asset of the head revision.

    Returns:
        The revision, and the SQL.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "asset.db"
        asyncio.run(make_database(path))
        with closing(sqlite3.connect(path)) as connection:
            sql = "\n".join(connection.iterdump())
    revision = known_revisions().get_current_head()
    assert revision is not None
    return revision, f"{sql}\n"


def main() -> None:
    """Write the asset of the head revision."""
    revision, sql = make_asset()
    ASSETS.mkdir(exist_ok=True)
    (ASSETS / f"{revision}.sql").write_text(sql, encoding="utf-8")


if __name__ == "__main__":
    main()
