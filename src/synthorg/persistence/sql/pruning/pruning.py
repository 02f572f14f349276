"""The loop that removes what is old, in transactions short enough for others not to notice."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from synthorg.persistence.errors import OutcomeUnknownError, UsageError
from synthorg.persistence.sql.execution.database import Database
from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.pruning.archive import Archive
from synthorg.persistence.sql.pruning.kinds import PrunableKind
from synthorg.persistence.sql.pruning.selection import Selection, newest_beyond, remove
from synthorg.persistence.sql.repositories.audit_removals import remove_entries

SMALLEST_BATCH: Final = 8
SMALLEST_PART: Final = 512
"""How many records of a batch are archived at least, so that there are not too many files."""
LARGEST_BATCH: Final = 1_024
SHORTEST_PAUSE_SECONDS: Final = 0.004
LONGEST_PAUSE_SECONDS: Final = 0.25

Progress = Callable[[str, int, int], None]
"""Who is told how many records of which kind are removed, and of how many."""


@dataclass(frozen=True)
class Rule:
    """Which records of a kind are kept: of so long, or so many of the newest."""

    kind: PrunableKind
    max_age: timedelta | None = None
    newest: int | None = None


@dataclass(frozen=True)
class PrunedKind:
    """What became of a kind.

    Attributes:
        name: The name of its table.
        removed: How many records were removed.
        remaining: How many were left that the policy does not keep, since there was no time.
    """

    name: str
    removed: int
    remaining: int


async def prune(
    database: Database,
    rules: Sequence[Rule],
    *,
    budget: timedelta | None,
    dry_run: bool,
    everything: bool,
    archive: Path | None,
    removed_by: str,
    progress: Progress | None,
) -> tuple[PrunedKind, ...]:
    """Remove what rules do not keep, kind by kind.

    Args:
        database: The database.
        rules: The rules.
        budget: How long it may take.
        dry_run: Whether to count alone.
        everything: Whether all records of a kind may be removed.
        archive: The folder into which records are written before they are removed.
        removed_by: Who is recorded to have removed entries of the audit trail.
        progress: Who is told how far it is.

    Raises:
        UsageError: If all records of a kind would be removed, and may not, or a kind needs an
            archive.
    """
    for rule in rules:
        if rule.kind.is_recorded and archive is None and not dry_run:
            raise UsageError(
                f"cannot prune {rule.kind.table.name} without an archive; name its folder "
                "(--archive)"
            )
    now = datetime.now(UTC)
    archives = [None if archive is None else Archive(archive, rule.kind) for rule in rules]
    selections = [await _selection(database, rule, now) for rule in rules]
    totals = [await _total(database, each) for each in selections]
    if not (everything or dry_run):
        for selection, total in zip(selections, totals, strict=True):
            if total and selection is not None and not await selection.spares_any(database):
                raise UsageError(
                    f"the policy would remove all {total} records of {selection.kind.table.name}; "
                    "say that everything may go if that is what you want (--yes)"
                )
    deadline = None if budget is None else time.monotonic() + budget.total_seconds()
    found = []
    for rule, selection, total, parts in zip(rules, selections, totals, archives, strict=True):
        name = rule.kind.table.name
        if selection is None or dry_run:
            found.append(PrunedKind(name, 0, total))
            continue
        tell = None if progress is None else partial(progress, name)
        removal = _Removal(database, selection, parts, removed_by)
        removed, is_done = await _prune_kind(removal, total, deadline, tell)
        remaining = 0 if is_done else await selection.count(database)
        found.append(PrunedKind(name, removed, remaining))
    return tuple(found)


async def _selection(database: Database, rule: Rule, now: datetime) -> Selection | None:
    kind = rule.kind
    if rule.max_age is not None:
        return Selection(kind, kind.rounded(now - rule.max_age))
    assert rule.newest is not None
    boundary: tuple[Any, ...] | None = await newest_beyond(database, kind, rule.newest)
    if boundary is None:
        return None
    rounded = kind.rounded(boundary[0])
    return Selection(kind, boundary if rounded == boundary[0] else rounded)


async def _total(database: Database, selection: Selection | None) -> int:
    return 0 if selection is None else await selection.count(database)


class _Removal:
    """Removes the records of one kind, batch by batch.

    Args:
        database: The database.
        selection: Which they are.
        archive: Where they are written before.
        removed_by: Who removes them.
    """

    def __init__(
        self, database: Database, selection: Selection, archive: Archive | None, removed_by: str
    ) -> None:
        self.unnoticed = database.dialect.unnoticed_seconds
        self.smallest = SMALLEST_BATCH if archive is None else SMALLEST_PART
        self._database = database
        self._selection = selection
        self._archive = archive
        self._removed_by = removed_by
        if archive is not None:
            archive.prepare()

    async def next_batch(self, size: int) -> int:
        """Remove the oldest.

        Args:
            size: How many at most.

        Returns:
            How many there were.
        """
        archive = self._archive
        if archive is None:
            return await self._remove(size)
        async with archive.held():
            await archive.recover(self._database)
            try:
                number = await self._remove(size)
            except OutcomeUnknownError:
                raise  # whoever comes next finds out what has become of the records
            except BaseException:
                archive.discard()
                raise
            archive.finish()
            return number

    async def _remove(self, size: int) -> int:
        async def work(executor: Executor) -> int:
            keys = await self._selection.choose(executor, size)
            if not keys:
                return 0
            part = None if self._archive is None else await self._archive.write(executor, keys)
            if part is not None and self._selection.kind.is_recorded:
                await remove_entries(
                    executor,
                    [key for (key,) in keys],
                    removed_by=self._removed_by,
                    digest=part.digest,
                    archive=part.name,
                )
            else:
                await remove(executor, self._selection.kind, keys)
            return len(keys)

        return await self._database.atomically(work, repeatable=True)


async def _prune_kind(
    removal: _Removal,
    total: int,
    deadline: float | None,
    tell: Callable[[int, int], None] | None,
) -> tuple[int, bool]:
    """Remove batch by batch, with as much time for others in between as each has taken.

    Returns:
        How many were removed, and whether that is all.
    """
    size, removed = removal.smallest, 0
    while deadline is None or time.monotonic() < deadline:
        began = time.monotonic()
        number = await removal.next_batch(size)
        took = time.monotonic() - began
        removed += number
        if tell is not None:
            tell(removed, max(total, removed))
        if number < size:
            return removed, True
        if took > removal.unnoticed:
            size = max(removal.smallest, size // 2)
        elif took < removal.unnoticed / 2:
            size = min(LARGEST_BATCH, size * 2)
        await asyncio.sleep(min(max(took, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS))
    return removed, False
