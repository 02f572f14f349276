"""What is recorded of a session: when what happened, and what Prometheus answers to a dashboard."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

DASHBOARD: Final = Path(__file__).parents[1] / "docs" / "operators" / "observing-dashboard.json"
OUTPUT: Final = DASHBOARD.parent / "slow-call"

RATE_SECONDS: Final = 10
"""Grafana's `$__rate_interval`: some times the seconds between two looks."""
PHASES: Final = {"release": 60.0, "index": 150.0}
SECONDS: Final = 220.0
PICTURES: Final = {"during": PHASES["index"] - RATE_SECONDS, "after": SECONDS}
"""By name, up to which second they show the session."""

LABEL: Final = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class Series:
    """One line of a panel.

    Attributes:
        name: As the panel's legend has it.
        points: Seconds since the beginning, and values.
    """

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Recording:
    """What Prometheus answered to each query of a dashboard, and what happened meanwhile.

    Attributes:
        answers: By query, the lines.
        marks: By what happened, the seconds since the beginning.
        seconds: How long it took in all.
        log: What the library logged of slow calls, in this order.
    """

    answers: Mapping[str, Sequence[Series]]
    marks: Mapping[str, float]
    seconds: float
    log: Sequence[str]

    def save(self, path: Path) -> None:
        """Write it to a file."""
        path.write_text(json.dumps(asdict(self), indent=None, separators=(",", ":")) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read it from a file."""
        found = json.loads(path.read_text())
        answers = {
            query: [
                Series(each["name"], [(at, value) for at, value in each["points"]])
                for each in series
            ]
            for query, series in found.pop("answers").items()
        }
        return cls(answers=answers, **found)


def name_of(legend: str, labels: Mapping[str, str]) -> str:
    """Name a line as Grafana does: with the values of labels in place of their names."""
    return LABEL.sub(lambda found: labels.get(found[1], ""), legend).strip()
