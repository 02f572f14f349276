"""Commits of SQLite that fail, and transactions that it rolls back by itself, shared or not."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from synthorg.persistence import (
    DuplicateRecordError,
    PersistenceConnectionError,
    PersistenceError,
    TransactionalBackend,
    TransactionConflictError,
)
from synthorg.persistence.testing.kinds import COST_RECORDS, TASKS
from tests.dialects.places import connected

BAD: Final = "bad"
ROLLS_BACK: Final = (
    "CREATE TRIGGER rolls_back BEFORE INSERT ON cost_records "
    f"WHEN NEW.agent_id = '{BAD}' BEGIN SELECT RAISE(ROLLBACK, 'no'); END"
)


def stored(database: Path, question: str) -> list[str]:
    """Read what others see."""
    with closing(sqlite3.connect(database)) as connection:
        return [name for (name,) in connection.execute(question)]


async def save_at_once(backend: TransactionalBackend, names: list[str]) -> list[str]:
    """Save tasks in a shared transaction, and name those of which it was said that they are."""
    results = await asyncio.gather(
        *[backend.tasks.save(TASKS.keyed(name)) for name in names], return_exceptions=True
    )
    for result in results:
        # Who waits behind others is told that they kept the database for too long.
        refused = isinstance(result, TransactionConflictError | PersistenceConnectionError)
        assert result is None or refused, result
    return [name for name, result in zip(names, results, strict=True) if result is None]


@pytest.mark.parametrize("prepared", ["true", "false"])
async def test_a_commit_that_a_reader_holds_up_has_written_nothing(
    sqlite_file: Path, prepared: str
) -> None:
    """Without a WAL, a commit waits for readers, and leaves the transaction open if in vain."""
    with closing(sqlite3.connect(sqlite_file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    url = f"sqlite:///{sqlite_file}"
    options = {"wal_mode": "false", "busy_timeout_seconds": 0.1, "prepared_statements": prepared}
    async with connected(url, **options) as backend:
        with closing(sqlite3.connect(sqlite_file)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM tasks").fetchall()
            told = await save_at_once(backend, ["one", "two", "three", "four"])
            assert told == []
            try:
                async with backend.transaction() as unit:
                    await unit.tasks.save(TASKS.keyed("five"))
            except TransactionConflictError:
                pass
            else:
                raise AssertionError("the commit has succeeded")
        assert stored(sqlite_file, "SELECT id FROM tasks") == []
        told = await save_at_once(backend, ["six", "seven", "eight"])
        assert told == ["six", "seven", "eight"]
        assert set(stored(sqlite_file, "SELECT id FROM tasks")) == set(told)


async def test_what_shared_a_transaction_that_was_rolled_back_is_stored_once_as_told(
    sqlite_file: Path,
) -> None:
    with closing(sqlite3.connect(sqlite_file)) as connection:
        connection.execute(ROLLS_BACK)
    names = ["one", "two", "three", BAD, "four", "five"]
    async with connected(f"sqlite:///{sqlite_file}") as backend:
        results = await asyncio.gather(
            *[backend.cost_records.save(COST_RECORDS.make(agent_id=name)) for name in names],
            return_exceptions=True,
        )
        refused = [name for name, result in zip(names, results, strict=True) if result is not None]
        assert refused == [BAD]
        assert isinstance(results[names.index(BAD)], PersistenceError)
        assert not isinstance(results[0], DuplicateRecordError)
        found = stored(sqlite_file, "SELECT agent_id FROM cost_records")
        assert sorted(found) == sorted(set(names) - {BAD})
