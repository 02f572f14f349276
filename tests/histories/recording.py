"""Runs units that append to lists and read them, and writes down what came of each."""

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

from synthorg.persistence import (
    OutcomeUnknownError,
    PersistenceConnectionError,
    PersistenceError,
    TransactionalBackend,
    TransactionConflictError,
    UnitOfWork,
)
from tests.histories.checker import anomalies_of
from tests.histories.history import Append, History, Outcome, Read, Step, Unit

SECONDS: Final = float(os.environ.get("TEST_HISTORY_SECONDS", "2"))
"""For how long units are run."""

CALLERS: Final = 10
LISTS: Final = 6
"""How many lists are in use at the same time."""
LONGEST: Final = 40
"""How many values are added to a list before another one takes its place."""
READ_ONLY: Final = 0.15
"""Which part of the units is read-only."""

NAMESPACE: Final = "lists"
MOMENT: Final = "2026-01-01T00:00:00+00:00"


class Recorder:
    """Callers that run units on backends, each list being the JSON of a setting.

    Args:
        backends: The backends, of one database; each unit runs on any of them.
    """

    def __init__(self, backends: Sequence[TransactionalBackend]) -> None:
        self._backends = backends
        self._units: list[Unit] = []
        self._numbers = count(1)
        self._values = count(1)
        self._is_over = False
        self._appended: Counter[str] = Counter()
        self._names = [f"{number}.0" for number in range(LISTS)]
        self.errors: Counter[str] = Counter()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run units until the block ends."""
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(self._call(self._backends[number % len(self._backends)]))
            try:
                yield
            finally:
                self._is_over = True

    async def history(self, backend: TransactionalBackend) -> History:
        """Give what was done and what there is, once all has ended.

        Args:
            backend: Where the lists are read.
        """
        found = {key: value for key, value, _ in await backend.settings.get_namespace(NAMESPACE)}
        keys = {step.key for unit in self._units for step in unit.steps}
        return History(self._units, {key: _values_of(found.get(key)) for key in keys})

    def summary(self) -> str:
        """Say how many units came to which end."""
        outcomes = Counter(unit.outcome.name.lower() for unit in self._units)
        return f"{dict(outcomes)}, raised {dict(self.errors)}"

    async def _call(self, backend: TransactionalBackend) -> None:
        while not self._is_over:
            if random.random() < READ_ONLY:
                await self._read(backend)
            else:
                await self._write(backend)

    async def _write(self, backend: TransactionalBackend) -> None:
        """Run a unit, of which each attempt but the last one has been rolled back."""
        plan = [
            (random.randrange(LISTS), random.random() < 0.5) for _ in range(random.randint(1, 4))
        ]
        attempts: list[_Attempt] = []

        async def work(unit: UnitOfWork) -> None:
            attempt = _Attempt()
            attempts.append(attempt)
            for place, appends in plan:
                await self._step(unit, attempt, place, appends=appends)

        outcome = Outcome.COMMITTED
        try:
            await backend.run_in_transaction(work)
        except OutcomeUnknownError:
            outcome = Outcome.UNKNOWN
            self.errors["OutcomeUnknownError"] += 1
        except PersistenceError as error:
            outcome = Outcome.ABORTED
            self._note(error)
            await asyncio.sleep(0.01)
        for attempt in attempts[:-1]:
            self._add(attempt, Outcome.ABORTED)
        if attempts:
            self._add(attempts[-1], outcome)

    async def _step(
        self, unit: UnitOfWork, attempt: "_Attempt", place: int, *, appends: bool
    ) -> None:
        key = self._names[place]
        found = await unit.settings.get(NAMESPACE, key)
        values = _values_of(None if found is None else found[0])
        attempt.steps.append(Read(key, values))
        if not appends:
            return
        value = next(self._values)
        attempt.steps.append(Append(key, value))
        self._appended[key] += 1
        if self._appended[key] == LONGEST:
            self._names[place] = f"{place}.{value}"
        await unit.settings.set(NAMESPACE, key, json.dumps([*values, value]), MOMENT)

    async def _read(self, backend: TransactionalBackend) -> None:
        attempt = _Attempt()
        try:
            async with backend.transaction(read_only=True) as unit:
                for place in random.sample(range(LISTS), 3):
                    await self._step(unit, attempt, place, appends=False)
        except PersistenceError as error:
            self._note(error)
            await asyncio.sleep(0.01)
        else:
            self._add(attempt, Outcome.COMMITTED, reads_only=True)

    def _note(self, error: PersistenceError) -> None:
        self.errors[type(error).__name__] += 1
        # In a long time, among so many on so few lists, a unit may conflict in each attempt.
        if not isinstance(error, PersistenceConnectionError | TransactionConflictError):
            raise error

    def _add(self, attempt: "_Attempt", outcome: Outcome, *, reads_only: bool = False) -> None:
        self._units.append(
            Unit(
                next(self._numbers),
                tuple(attempt.steps),
                outcome,
                attempt.began,
                time.monotonic(),
                reads_only,
            )
        )


class _Attempt:
    """What one attempt at a unit did."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.steps: list[Step] = []


def _values_of(text: str | None) -> tuple[int, ...]:
    return () if text is None else tuple(json.loads(text))


async def record(backends: Sequence[TransactionalBackend], seconds: float = SECONDS) -> Recorder:
    """Run units for a time.

    Args:
        backends: The backends, of one database.
        seconds: For how long.
    """
    recorder = Recorder(backends)
    async with recorder.running():
        await asyncio.sleep(seconds)
    return recorder


async def check(recorder: Recorder, backend: TransactionalBackend, least: int = 20) -> str:
    """Fail if there is anything in a history that no order of its units explains.

    Args:
        recorder: Who has recorded it.
        backend: Where the lists are read in the end.
        least: How many units have to be in it.

    Returns:
        What was recorded.
    """
    history = await recorder.history(backend)
    assert len(history.units) >= least, recorder.summary()
    found = anomalies_of(history)
    assert not found, f"{found[:5]}, {len(found)} in all; {recorder.summary()}"
    return recorder.summary()
