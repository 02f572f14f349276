"""A history: what units of work did, in which order each of them, and what they were told."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class Outcome(enum.Enum):
    """What is known of a unit, to the one who ran it."""

    COMMITTED = enum.auto()
    ABORTED = enum.auto()
    """Nothing of it may ever be seen."""
    UNKNOWN = enum.auto()
    """It is all or nothing."""


@dataclass(frozen=True)
class Append:
    """A value, which nothing else appends, was added to the end of a list."""

    key: str
    value: int


@dataclass(frozen=True)
class Read:
    """A list was read."""

    key: str
    values: tuple[int, ...]


Step = Append | Read


@dataclass(frozen=True)
class Unit:
    """One attempt at a unit of work.

    Attributes:
        number: Which it is.
        steps: What it did, in order.
        outcome: What came of it.
        began: When it began, by any clock.
        ended: When its outcome was known.
        reads_only: Whether it was promised no more than one state, not a place in the order of all.
    """

    number: int
    steps: tuple[Step, ...]
    outcome: Outcome = Outcome.COMMITTED
    began: float = 0.0
    ended: float = float("inf")
    reads_only: bool = False

    @property
    def reads(self) -> Sequence[Read]:
        """The lists that it read."""
        return [step for step in self.steps if isinstance(step, Read)]

    @property
    def appends(self) -> Sequence[Append]:
        """The values that it added."""
        return [step for step in self.steps if isinstance(step, Append)]


@dataclass(frozen=True)
class History:
    """What was done, and what was there in the end.

    Attributes:
        units: All attempts, in any order.
        final: Each list, read after all of them had ended.
    """

    units: Sequence[Unit]
    final: Mapping[str, tuple[int, ...]]
