"""Records written into files before they are removed, each once.

A part has the records of one batch, as JSON Lines, compressed. It is written, read back and durable
before its records are removed, and called pending until that is committed. Whoever dies in between
leaves a pending part, of which the next one finds out by its keys whether its records are gone.
"""

import asyncio
import gzip
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json
from sqlalchemy import Column, Table, func, select

from synthorg.persistence.errors import QueryError, UsageError
from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.pruning.kinds import Key, PrunableKind
from synthorg.persistence.sql.statements.statement import KeysStatement
from synthorg.persistence.sql.transfer.canonical import CanonicalRows
from synthorg.persistence.sql.transfer.lines import RecordLines

PART: Final = ".jsonl.gz"
PENDING: Final = ".pending"
LOCK: Final = ".lock"


@dataclass(frozen=True)
class ArchivedPart:
    """Some records in the archive.

    Attributes:
        name: The name of their file.
        digest: The SHA-256 of their lines.
    """

    name: str
    digest: str


class Archive:
    """The parts of one kind of records, in a folder of its own.

    Args:
        folder: The folder of the archive.
        kind: The kind.

    Raises:
        UsageError: If the kind has a key of several columns.
    """

    def __init__(self, folder: Path, kind: PrunableKind) -> None:
        if len(kind.key) != 1:
            raise UsageError(
                f"cannot archive {kind.table.name}: its key has several columns; prune it alone"
            )
        self._kind = kind
        self._folder = folder / kind.table.name
        self._pending: Path | None = None

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            QueryError: If it cannot be made.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise QueryError(f"cannot archive in {self._folder}: {error.strerror}") from None

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep other processes from the archive, which the death of this one ends as well."""
        descriptor = os.open(self._folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            await asyncio.to_thread(_lock, descriptor)
            yield
        finally:
            os.close(descriptor)

    async def recover(self, executor: Executor) -> None:
        """Settle what those have left who died: keep parts whose records are gone, and only those.

        Args:
            executor: What runs the statements.
        """
        for pending in sorted(self._folder.glob(f"*{PENDING}")):
            keys = _keys_in(pending, self._key.name)
            if keys and not await self._are_there(executor, keys):
                _finish(pending)
            else:
                pending.unlink()

    async def write(self, executor: Executor, keys: Sequence[Key]) -> ArchivedPart:
        """Write a pending part of records that the same transaction removes.

        Args:
            executor: The transaction.
            keys: Their keys.

        Returns:
            The part, under the name that it gets when they are gone.

        Raises:
            QueryError: If it cannot be written, or is not read back as it was.
        """
        self.discard()  # that of an attempt which met another transaction
        statement, parameters = _rows(self._kind.table).of([key for (key,) in keys])
        rows = await executor.fetch(statement, parameters)
        lines = [RecordLines(self._kind.table).write(row) for row in rows]
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        path = self._folder / f"{moment}-{secrets.token_hex(4)}{PART}{PENDING}"
        try:
            digest = await asyncio.to_thread(_write, path, lines)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise QueryError(
                f"cannot archive {self._kind.table.name} in {path}: {error.strerror}; nothing was "
                "removed"
            ) from None
        self._pending = path
        return ArchivedPart(path.name.removesuffix(PENDING), digest)

    def finish(self) -> None:
        """Give the pending part its name, for its records are gone."""
        if self._pending is not None:
            _finish(self._pending)
            self._pending = None

    def discard(self) -> None:
        """Remove the pending part, for its records are still there."""
        if self._pending is not None:
            self._pending.unlink(missing_ok=True)
            self._pending = None

    @property
    def _key(self) -> Column[Any]:
        return self._kind.key[0]

    async def _are_there(self, executor: Executor, keys: Sequence[object]) -> bool:
        statement, parameters = _number(self._kind.table).of(keys)
        return bool((await executor.fetch(statement, parameters))[0][0])


@lru_cache
def _rows(table: Table) -> KeysStatement:
    columns = CanonicalRows(table).expressions
    return KeysStatement("list", table, lambda condition: select(*columns).where(condition))


@lru_cache
def _number(table: Table) -> KeysStatement:
    count = select(func.count()).select_from(table)
    return KeysStatement("count", table, count.where)


def _lock(descriptor: int) -> None:
    try:
        import fcntl  # noqa: PLC0415 (POSIX alone has it)
    except ImportError:
        raise UsageError("archiving needs a system with POSIX locks; prune without it") from None
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _write(path: Path, lines: Sequence[bytes]) -> str:
    content = b"".join(line + b"\n" for line in lines)
    with path.open("xb") as file:
        file.write(gzip.compress(content, mtime=0))
        file.flush()
        os.fsync(file.fileno())
    digest = sha256(content).hexdigest()
    if sha256(gzip.decompress(path.read_bytes())).hexdigest() != digest:
        raise QueryError(f"cannot archive in {path}: it is not read back as it was written")
    _flush(path.parent)
    return digest


def _finish(pending: Path) -> None:
    pending.rename(pending.with_name(pending.name.removesuffix(PENDING)))
    _flush(pending.parent)


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keys_in(path: Path, name: str) -> list[object]:
    """Read the keys in a part; none where it was not written to its end."""
    try:
        lines = gzip.decompress(path.read_bytes()).splitlines()
        return [from_json(line)[name] for line in lines]
    except (OSError, EOFError, ValueError, KeyError):
        return []
