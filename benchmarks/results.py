"""What was measured, and how contenders compare in it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Self

from benchmarks.contenders import AGAIN, CONTENDERS


@dataclass(frozen=True)
class Spread:
    """Values of several rounds: the middle one, and the two ends."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Find the spread of values."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Measurement:
    """One contender in one workload.

    Attributes:
        workload: The name of the workload.
        contender: The name of the contender.
        units: How many units each round did.
        seconds: How long each round took.
    """

    workload: str
    contender: str
    units: int
    seconds: Sequence[float]

    @property
    def rates(self) -> Spread:
        """The units in a second."""
        return Spread.of([self.units / each for each in self.seconds])

    def ratio_to(self, other: "Measurement") -> Spread:
        """Tell how many times as fast it is as another one, compared round by round.

        Args:
            other: The other one, in the same rounds.
        """
        pairs = zip(self.seconds, other.seconds, strict=True)
        return Spread.of([theirs / own for own, theirs in pairs])


@dataclass(frozen=True)
class DatabaseResults:
    """All contenders on one kind of database.

    Attributes:
        database: The name of the kind.
        settings: The version, and what decides about durability.
        problems: What went wrong, or could not be run.
        measurements: One for each workload and contender.
    """

    database: str
    settings: Mapping[str, str]
    problems: Sequence[str]
    measurements: Sequence[Measurement]

    def of(self, workload: str) -> dict[str, Measurement]:
        """Give the measurements of a workload by contender, in the order of the contenders."""
        found = {each.contender: each for each in self.measurements if each.workload == workload}
        return {name: found[name] for name in sorted(found, key=rank)}

    def workloads(self) -> list[str]:
        """Name the workloads, in the order in which they were first measured."""
        return list(dict.fromkeys(each.workload for each in self.measurements))

    def as_json(self) -> dict[str, Any]:
        """Give everything as plain values."""
        return asdict(self)


def rank(name: str) -> tuple[int, bool]:
    """Order contenders as they are listed, a second instance behind the first.

    Args:
        name: The name of a contender.
    """
    return list(CONTENDERS).index(name.removesuffix(AGAIN)), name.endswith(AGAIN)
