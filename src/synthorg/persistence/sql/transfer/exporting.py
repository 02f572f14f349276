"""The records of a database written into files of a folder that other programs can read."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table

from synthorg.persistence.errors import QueryError, UsageError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.sqlite_backup import flush, flush_folder
from synthorg.persistence.sql.migrations.revisions import known_revisions
from synthorg.persistence.sql.owned_tables import OwnedTables
from synthorg.persistence.sql.tables import cost_records, cost_rollup_state, cost_rollups
from synthorg.persistence.sql.transfer import manifest
from synthorg.persistence.sql.transfer.comparing import Counter, Progress, in_order
from synthorg.persistence.sql.transfer.fitness import PassedOver
from synthorg.persistence.sql.transfer.lines import RecordLines
from synthorg.persistence.sql.transfer.manifest import ExportedKind, FileFormat, Manifest
from synthorg.persistence.sql.transfer.preparing import refuse_memory
from synthorg.persistence.sql.transfer.reader import TableReader
from synthorg.persistence.sql.transfer.record_files import WRITERS, arrow
from synthorg.persistence.sql.transfer.snapshot import Snapshot, snapshot_of
from synthorg.persistence.sql.transfer.windows import Window

EXPORTING: Final = "exporting"

ROLLUPS: Final = (cost_rollups, cost_rollup_state)
"""What goes with all costs or not at all: alone they would say that other costs are counted."""


@dataclass(frozen=True)
class ExportReport:
    """What was exported.

    Attributes:
        database: The database, in words.
        folder: The export.
        manifest: What it says of itself.
    """

    database: str
    folder: str
    manifest: Manifest

    @property
    def rows(self) -> int:
        """How many records there are in all."""
        return sum(each.rows for each in self.manifest.kinds.values())

    @property
    def skipped(self) -> int:
        """How many were left out."""
        return sum(each.skipped for each in self.manifest.kinds.values())

    def as_json(self) -> dict[str, Any]:
        """Give the report in the form of a JSON document."""
        return {
            "database": self.database,
            "folder": self.folder,
            "rows": self.rows,
            "skipped": self.skipped,
            **self.manifest.model_dump(mode="json"),
        }


async def export(
    source: Dialect,
    folder: Path,
    every: Sequence[OwnedTables],
    *,
    kinds: Collection[str] | None,
    window: Window,
    file_format: FileFormat,
    skip_unreadable: bool,
    progress: Progress | None,
) -> ExportReport:
    """Write one state of a database into a folder, which gets its name when it is whole.

    Args:
        source: The database.
        folder: The export.
        every: The tables of each owner.
        kinds: The kinds that are exported; without them, all.
        window: The span of time of those that have a time of their own.
        file_format: The format of the files.
        skip_unreadable: Whether to leave out what no entity can be made of.
        progress: Who is told how far it is.
    """
    refuse_memory(source, "export")
    chosen = chosen_tables(every, kinds, window)
    if file_format not in WRITERS:
        raise UsageError(f"cannot export as {file_format}; what can be is {', '.join(WRITERS)}")
    if file_format != "jsonl":
        arrow()
    owners = {table.metadata for table in chosen}
    concerned = [owned for owned in every if owned.metadata in owners]
    async with snapshot_of(source) as snapshot:
        for owned in concerned:
            await snapshot.refuse_other_schema(owned)
        with _unfinished(folder) as path:
            work = _Export(snapshot, path, window, file_format, skip_unreadable=skip_unreadable)
            made = Manifest(
                format=file_format,
                revisions={owned.version_table: _revision_of(owned) for owned in concerned},
                since=window.since,
                until=window.until,
                kinds=await work.run(chosen, progress),
            )
            made.write(path)
            flush(path / manifest.NAME)
            flush_folder(path / manifest.NAME)
    return ExportReport(source.description, str(folder), made)


def chosen_tables(
    every: Sequence[OwnedTables], kinds: Collection[str] | None, window: Window
) -> list[Table]:
    """Find the tables of some kinds, each after those that it refers to.

    Args:
        every: The tables of each owner.
        kinds: The names of the kinds; without them, all.
        window: The span of time of those that have a time of their own.

    Raises:
        UsageError: If there is no such kind.
    """
    there = in_order(every)
    names = [table.name for table in there if table not in ROLLUPS]
    unknown = sorted(set(kinds or ()) - set(names))
    if unknown:
        raise UsageError(f"there is no kind {unknown[0]}; there are {', '.join(names)}")
    wanted = {table.name for table in there} if kinds is None else {*kinds}
    if window.is_everything and cost_records.name in wanted:
        wanted |= {each.name for each in ROLLUPS}
    else:
        wanted -= {each.name for each in ROLLUPS}
    return [table for table in there if table.name in wanted]


async def export_records(
    source: Dialect, every: Sequence[OwnedTables], kind: str, window: Window
) -> AsyncGenerator[Mapping[str, Any], None]:
    """Read the records of one kind, in one state of the database.

    Args:
        source: The database.
        every: The tables of each owner.
        kind: The kind.
        window: The span of time that they are of, if they have a time of their own.

    Yields:
        The values of each by column.
    """
    refuse_memory(source, "export")
    table = next(each for each in chosen_tables(every, [kind], window) if each.name == kind)
    lines = RecordLines(table)
    async with snapshot_of(source) as snapshot:
        for owned in every:
            if owned.metadata is table.metadata:
                await snapshot.refuse_other_schema(owned)
        reader = TableReader(snapshot, table, checks=True, where=window.conditions(table))
        async for chunk in reader.chunks():
            for row in chunk.rows:
                yield lines.values(row)


class _Export:
    """One run of an export."""

    def __init__(
        self,
        snapshot: Snapshot,
        folder: Path,
        window: Window,
        file_format: FileFormat,
        *,
        skip_unreadable: bool,
    ) -> None:
        self._snapshot = snapshot
        self._folder = folder
        self._window = window
        self._format = file_format
        self._passed_over = PassedOver() if skip_unreadable else None

    async def run(
        self, chosen: Sequence[Table], progress: Progress | None
    ) -> Mapping[str, ExportedKind]:
        """Write a file for each table.

        Args:
            chosen: The tables.
            progress: Who is told how far it is.
        """
        readers = [self._reader(table) for table in chosen]
        counter = Counter(sum([await reader.count() for reader in readers]), progress)
        return {reader.table.name: await self._write(reader, counter) for reader in readers}

    def _reader(self, table: Table) -> TableReader:
        return TableReader(
            self._snapshot,
            table,
            checks=True,
            passed_over=self._passed_over,
            where=self._window.conditions(table),
        )

    async def _write(self, reader: TableReader, counter: Counter) -> ExportedKind:
        rows = 0
        try:
            writer = WRITERS[self._format](self._folder / reader.table.name, reader.table)
            with closing(writer):
                async for chunk in reader.chunks():
                    await asyncio.to_thread(writer.write, chunk.rows)
                    rows += len(chunk.rows)
                    counter.add(EXPORTING, reader.table, len(chunk.rows))
                await asyncio.to_thread(writer.finish)
        except OSError as error:
            raise QueryError(
                f"cannot export {reader.table.name} into {self._folder}: {error.strerror or error}"
            ) from None
        digest = await asyncio.to_thread(manifest.digest_of_file, writer.path)
        return ExportedKind(file=writer.path.name, rows=rows, skipped=reader.skipped, sha256=digest)


def _revision_of(owned: OwnedTables) -> str:
    return str(known_revisions(owned).get_current_head())


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """Give a folder beside another one, which gets its name in the end, or is removed."""
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} is there already; choose another name")
        folder.parent.mkdir(parents=True, exist_ok=True)
        path = Path(
            tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".unfinished", dir=folder.parent)
        )
    except OSError as error:
        raise QueryError(f"cannot export into {folder}: {error.strerror}") from None
    try:
        yield path
        path.rename(folder)  # also over an empty folder
        flush_folder(folder)
    except OSError as error:
        raise QueryError(f"cannot export into {folder}: {error.strerror}") from None
    finally:
        shutil.rmtree(path, ignore_errors=True)
