"""Fixtures: empty databases of each kind, and records of every kind to copy."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from synthorg.persistence import ManagedBackend, PersistenceConfig
from synthorg.persistence.testing.kinds import API_KEYS, COST_RECORDS, KINDS
from synthorg.persistence.transfer import CopyReport, Progress, copy_database
from tests.conftest import ServerPool, on_route
from tests.extensions.conftest import EXTENSIONS, approval, backend_at, task
from tests.extensions.ledger import (
    ApprovalRepository,
    Decision,
    DecisionRepository,
    Plan,
    PlanRepository,
    Spending,
    SpendingRepository,
)
from tests.extensions.office import Note, NoteRepository
from tests.servers.base import Server
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.sqlite import SQLiteFiles

MakeDatabase = Callable[[type[Server]], str]

LASTING: tuple[type[Server], ...] = (SQLiteFiles, PostgreSQL, MariaDB)


@pytest.fixture
def make_database(server_pool: ServerPool) -> Iterator[MakeDatabase]:
    """Make an empty database of a kind, and drop it afterwards."""
    with ExitStack() as stack:

        def make(kind: type[Server]) -> str:
            database: AbstractContextManager[str] = server_pool.get(kind).empty_database()
            return on_route(stack.enter_context(database))

        yield make


@pytest.fixture(params=LASTING, ids=lambda kind: kind.name)
def target(request: pytest.FixtureRequest, make_database: MakeDatabase) -> str:
    """An empty database of each kind in turn."""
    return make_database(request.param)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A SQLite file that is not there yet, where the kind of target does not matter."""
    return f"sqlite:///{tmp_path / 'target.db'}"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with some records of every kind, also of extensions."""
    path = tmp_path_factory.mktemp("filled") / "source.db"
    run(f"sqlite:///{path}", fill)
    return path


@pytest.fixture
def source(filled: Path, tmp_path: Path) -> str:
    """The same, for one test alone."""
    return f"sqlite:///{shutil.copy(filled, tmp_path)}"


def run(url: str, work: Callable[[ManagedBackend], Awaitable[None]]) -> None:
    """Do something with a database that has the tables of all extensions."""

    async def connect() -> None:
        async with backend_at(url) as backend:
            await backend.migrate()
            await work(backend)

    asyncio.run(connect())


async def fill(backend: ManagedBackend) -> None:
    """Save some records of every kind."""
    for number in range(3):
        for kind in KINDS:
            record = kind.make() if kind is COST_RECORDS else kind.keyed(f"{kind} {number}")
            await kind.store(backend, record)
    await API_KEYS.store(backend, API_KEYS.keyed("of nobody else"))
    await backend.tasks.save(task())
    await backend.repository(ApprovalRepository).save(approval(reasons=("ß", "🦊")))
    await backend.repository(SpendingRepository).add(Spending(project="p", calls=1, amount=0.1))
    await backend.repository(DecisionRepository).save(Decision(id="decision", text="yes"))
    await backend.repository(PlanRepository).save(Plan(id="plan", version=1))
    await backend.repository(NoteRepository).save(Note(id="note", approval_id="approval"))


def copy(
    source: str, target: str, *, progress: Progress | None = None, skip_unreadable: bool = False
) -> CopyReport:
    """Copy a database with the tables of all extensions."""
    return asyncio.run(
        copy_database(
            PersistenceConfig.from_url(source),
            PersistenceConfig.from_url(target),
            extensions=EXTENSIONS,
            progress=progress,
            skip_unreadable=skip_unreadable,
        )
    )


def files_of(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder."""
    return {each.name: each.read_bytes() for each in folder.iterdir()}
