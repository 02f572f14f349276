"""The tail of a table, read in the order of saving, so that nothing is missed that commits late.

What is proved by whom: the numbers that are there are read first; then the database is asked who
may have taken one of those that are missing below them; and then the rows are read. Whoever has
ended by the time of the question has rows that are seen afterwards, or none.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table

from synthorg.persistence.log_events import LogEvent, log_event
from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.statements.statement import Parameters
from synthorg.persistence.sql.statements.tails import (
    MOST_OPEN,
    MOST_WRITERS,
    WINDOW,
    Pending,
    Place,
    Range,
    TailQuery,
    beyond,
    gaps_in,
)

logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Horizon:
    """How far the next rows can be read.

    Attributes:
        through: The largest number that is looked at.
        settled: The largest number up to which nothing that is missing can still appear.
        gaps: Ranges of numbers beyond what was seen that were missing.
        is_last: Whether there was nothing beyond it.
    """

    through: int
    settled: int
    gaps: Sequence[Range]
    is_last: bool


class Tail:
    """Reads rows in the order of saving, from a place on.

    Args:
        executor: What runs the statements, each of which sees what was committed before.
        table: The table.
        query: The statements.
    """

    def __init__(self, executor: Executor, table: Table, query: TailQuery) -> None:
        self._executor = executor
        self._table = table
        self._query = query

    async def newest(self) -> Place:
        """Find the place after all that is saved."""
        newest = await self._newest()
        place = Place(max(0, newest - WINDOW))
        numbers = [each for each in await self._numbers(place.seen) if each <= newest]
        gaps = gaps_in(numbers, place.seen)[-MOST_OPEN:]
        if gaps:
            gaps = beyond(gaps, await self._settle(place, gaps, newest, patiently=False))
        place.move(newest, gaps)
        return place

    async def rows(
        self, place: Place, filters: Parameters, limit: int
    ) -> AsyncIterator[Sequence[Any]]:
        """Yield rows, and move the place along with them.

        Args:
            place: Where to begin; afterwards, where to go on.
            filters: What the rows are narrowed by.
            limit: How many of them at most.
        """
        while limit > 0:
            horizon = await self._horizon(place)
            if horizon is None:
                return
            for first, last in list(place.open):
                async for row in self._between(filters, first - 1, last, limit):
                    place.take(row[-1], ())
                    limit -= 1
                    yield row
                if limit == 0:
                    return
            place.settle(horizon.settled)
            gaps = beyond(horizon.gaps, horizon.settled)
            async for row in self._between(filters, place.seen, horizon.through, limit):
                place.take(row[-1], gaps)
                limit -= 1
                yield row
            if limit == 0:
                return
            place.move(horizon.through, gaps)
            if horizon.is_last:
                return

    async def _between(
        self, filters: Parameters, after: int, through: int, limit: int
    ) -> AsyncIterator[Sequence[Any]]:
        if limit == 0 or after >= through:
            return
        statement, parameters = self._query.between(filters, after, through, limit)
        for row in await self._executor.fetch(statement, parameters):
            yield row

    async def _horizon(self, place: Place) -> Horizon | None:
        """Find how far to read; None where nothing is new."""
        numbers = await self._numbers(place.seen)
        if not numbers and not place.open:
            return None
        gaps = gaps_in(numbers, place.seen)
        through = numbers[-1] if numbers else place.seen
        if not gaps and not place.open and len(numbers) < WINDOW:
            return Horizon(through, through, (), is_last=True)
        is_far = len(numbers) == WINDOW
        newest = await self._newest() if is_far else through
        settled = await self._settle(place, [*place.open, *gaps], newest, patiently=False)
        if settled < newest and len(place.open) + len(gaps) > MOST_OPEN:
            settled = await self._settle(place, [*place.open, *gaps], newest, patiently=True)
        if settled >= newest:  # then nothing has to be looked at in between
            return Horizon(newest, newest, (), is_last=True)
        return self._unsettled(place, gaps, Horizon(through, settled, gaps, is_last=not is_far))

    def _unsettled(self, place: Place, gaps: Sequence[Range], horizon: Horizon) -> Horizon:
        """Go no further than a cursor can tell what is open."""
        room = MOST_OPEN - len(beyond(place.open, horizon.settled))
        still = beyond(gaps, horizon.settled)
        if len(still) <= room:
            return horizon
        log_event(logger, LogEvent.TAIL_HELD_UP, table=self._table.name, ranges=len(still))
        through = still[max(room, 0)][0] - 1
        return Horizon(max(through, place.seen), horizon.settled, gaps, is_last=True)

    async def _settle(
        self, place: Place, gaps: Sequence[Range], newest: int, *, patiently: bool
    ) -> int:
        """Find up to which number nothing that is missing can still appear.

        Args:
            place: The place, which remembers who has to end before more is settled.
            gaps: What is missing.
            newest: The largest number that was there before.
            patiently: Whether to wait for others, or to have them wait, for a moment.
        """
        writers = await self._executor.find_writers(self._table, patiently=patiently)
        if writers is not None and not writers:
            place.pending = None
            return newest
        settled = 0
        if place.pending is not None and writers is not None:
            left = tuple(each for each in place.pending.writers if each in writers)
            if left:
                place.pending = Pending(place.pending.through, left)
            else:
                settled = place.pending.through
                place.pending = None
        if place.pending is None and writers is not None and len(writers) <= MOST_WRITERS:
            place.pending = Pending(newest, tuple(sorted(writers)))
        return settled if gaps else newest

    async def _numbers(self, after: int) -> list[int]:
        rows = await self._executor.fetch(*self._query.numbers(after))
        return [row[0] for row in rows]

    async def _newest(self) -> int:
        rows = await self._executor.fetch(self._query.newest, {})
        return int(rows[0][0])
