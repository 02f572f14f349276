"""What may be stored, as far as those know who have written it."""

import asyncio
from collections.abc import Awaitable, Hashable
from enum import Enum, auto
from typing import TypeVar

from synthorg.persistence import (
    OutcomeUnknownError,
    PersistenceConnectionError,
    TransactionConflictError,
)

Key = tuple[str, str]
"""A kind of record, and the name of one."""

State = Hashable
"""What is stored under a key; None for nothing."""

Result = TypeVar("Result")


class Told(Enum):
    """What a call has said about its outcome."""

    DONE = auto()
    NOT_DONE = auto()
    UNKNOWN = auto()


class Ledger:
    """By key: every state that what was told allows.

    A call whose outcome is unknown may still be under way when it has ended, so that a state stays
    possible until another one is written.
    """

    def __init__(self) -> None:
        self._possible: dict[Key, frozenset[State]] = {}
        self.counts = dict.fromkeys(Told, 0)
        self.errors: set[str] = set()

    def possible(self, key: Key) -> frozenset[State]:
        """Give the states that a record may have."""
        return self._possible.get(key, frozenset({None}))

    def written(self) -> list[Key]:
        """List the records that were ever written."""
        return list(self._possible)

    def write(self, key: Key, state: State, told: Told) -> None:
        """Note that a state was written, or was meant to be."""
        before = self.possible(key)
        self._possible[key] = {
            Told.DONE: frozenset({state}),
            Told.NOT_DONE: before,
            Told.UNKNOWN: before | {state},
        }[told]

    def exclude(self, key: Key, state: State) -> None:
        """Note that a record does not have a state."""
        left = self.possible(key) - {state}
        assert left, f"{key} can have no state any more, as it was said not to be {state!r}"
        self._possible[key] = left

    def check(self, key: Key, state: State) -> None:
        """Compare what was read with what is possible."""
        assert state in self.possible(key), f"{key} is {state!r}, not one of {self.possible(key)}"

    async def told(self, call: Awaitable[Result]) -> tuple[Told, Result | None]:
        """Await a call, and find out what it says of its outcome; any other error comes out."""
        outcome, result = Told.DONE, None
        try:
            result = await call
        except (OutcomeUnknownError, asyncio.CancelledError) as error:
            outcome = Told.UNKNOWN
            self.errors.add(type(error).__name__)
        except (PersistenceConnectionError, TransactionConflictError) as error:
            outcome = Told.NOT_DONE
            self.errors.add(type(error).__name__)
        self.counts[outcome] += 1
        return outcome, result
