"""Fixtures: databases of every kind with nothing in them, and revisions made up by a test."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import dedent, indent

import pytest

from synthorg.persistence.sql.owned_tables import LIBRARY
from tests.conftest import SERVERS, ServerPool
from tests.migrations.support import Site, migrated_site, site_at
from tests.servers.base import Server
from tests.servers.sqlite import SQLiteMemory

SHARED_SERVERS = tuple(kind for kind in SERVERS if kind is not SQLiteMemory)
"""Where several backends can use one database; one in memory belongs to its connection."""

REVISION = '''\
"""A revision made up by a test.

Revision: {name}
Revises: {after}
"""

import sqlalchemy as sa
from alembic import op

from synthorg.persistence.sql import types
from synthorg.persistence.sql.migrations import operations

revision = {name!r}
down_revision = {after!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
{upgrade}


def downgrade() -> None:
{downgrade}
'''


class Revisions:
    """A copy of the migrations, which a test may add to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = [path.stem for path in (folder / "versions").glob("*.py")]
        self.first, self.head = min(names), max(names)

    def add(self, name: str, upgrade: str, downgrade: str = "pass") -> None:
        """Add a revision after all others.

        Args:
            name: Its identifier.
            upgrade: The body of its `upgrade`.
            downgrade: The body of its `downgrade`.
        """
        self._write(name, self.head, upgrade, downgrade)
        self.head = name

    def replace(self, name: str, after: str | None, upgrade: str) -> None:
        """Write a revision anew."""
        self._write(name, after, upgrade, "pass")

    def _write(self, name: str, after: str | None, upgrade: str, downgrade: str) -> None:
        source = REVISION.format(
            name=name,
            after=after,
            upgrade=indent(dedent(upgrade), "    "),
            downgrade=indent(dedent(downgrade), "    "),
        )
        (self.folder / "versions" / f"{name}.py").write_text(source)


@pytest.fixture
def revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Revisions:
    """The library's migrations, copied and used in place of the originals."""
    folder = tmp_path / "migrations"
    shutil.copytree(LIBRARY.find_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setitem(vars(LIBRARY), "find_folder", lambda: folder)  # past its being frozen
    return Revisions(folder)


@pytest.fixture
async def empty_site(empty_url: str) -> AsyncIterator[Site]:
    """A database of every kind in turn, without tables."""
    async with site_at(empty_url) as site:
        yield site


@pytest.fixture
async def site(server: Server) -> AsyncIterator[Site]:
    """A database of every kind in turn, at the head revision."""
    async with migrated_site(server) as site:
        yield site


@pytest.fixture(params=SHARED_SERVERS, ids=lambda kind: kind.name)
def shared_server(request: pytest.FixtureRequest, server_pool: ServerPool) -> Server:
    """Every kind of database that several backends and processes can use, in turn."""
    return server_pool.get(request.param)
