"""Finds what no order of whole units explains, after the checker Elle and Adya's phenomena.

They are in https://github.com/jepsen-io/elle and https://pmg.csail.mit.edu/papers/icde00.pdf.
Lists to which values are only ever appended tell the order of all writes by themselves, so that
which unit depends on which is known, not guessed.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tests.histories.graph import Edge, Graph, cycle_in, on_circles, path_between
from tests.histories.history import History, Outcome, Read, Unit

KINDS: Final = (
    "internal",  # a unit does not see what it has itself read and written
    "garbage",  # a value was read that nobody has appended
    "duplicate",  # a value is in a list twice
    "order",  # two reads of a list do not agree about its order
    "lost",  # an acknowledged value is not there in the end
    "future",  # a value was read before its unit began
    "torn",  # of a unit, some values are there and others are not
    "G0",  # units have overwritten each other in a circle
    "G1a",  # what was rolled back was read
    "G1b",  # what a unit wrote in between was read
    "G1c",  # units have read what others wrote in a circle
    "G-single",  # a circle with one unit that has not seen what another one wrote
    "G2",  # a circle with several such
)


@dataclass(frozen=True)
class Anomaly:
    """Something that must not be.

    Attributes:
        kind: One of `KINDS`.
        text: What was found.
        units: The numbers of the units that it is about.
    """

    kind: str
    text: str
    units: tuple[int, ...] = ()


def anomalies_of(history: History) -> list[Anomaly]:
    """Find what is wrong with a history.

    Args:
        history: The history.
    """
    return [*_Checker(history).anomalies()]


class _Checker:
    def __init__(self, history: History) -> None:
        self._history = history
        self._units = {unit.number: unit for unit in history.units}
        self._writer = {
            (append.key, append.value): unit.number
            for unit in history.units
            for append in unit.appends
        }
        self._order = self._longest_lists()
        seen = {
            self._writer.get((key, value)) for key, order in self._order.items() for value in order
        }
        self._committed = [
            unit
            for unit in history.units
            if unit.outcome is Outcome.COMMITTED
            or (unit.outcome is Outcome.UNKNOWN and unit.number in seen)
        ]

    def anomalies(self) -> Iterator[Anomaly]:
        yield from self._inside_of_units()
        yield from self._lists()
        yield from self._reads()
        yield from self._lost()
        yield from self._cycles()

    def _all_reads(self) -> Iterator[tuple[Unit | None, Read]]:
        for key, values in self._history.final.items():
            yield None, Read(key, values)
        for unit in self._history.units:
            for read in unit.reads:
                yield unit, self._from_outside(unit, read)

    def _from_outside(self, unit: Unit, read: Read) -> Read:
        """Leave out the unit's own values at the end of what it has read."""
        own = {append.value for append in unit.appends if append.key == read.key}
        values = read.values
        while values and values[-1] in own:
            values = values[:-1]
        return Read(read.key, values)

    def _longest_lists(self) -> Mapping[str, tuple[int, ...]]:
        longest: dict[str, tuple[int, ...]] = {}
        for _, read in self._all_reads():
            if len(read.values) > len(longest.get(read.key, ())):
                longest[read.key] = read.values
        return longest

    def _inside_of_units(self) -> Iterator[Anomaly]:
        for unit in self._history.units:
            expected: dict[str, tuple[int, ...]] = {}
            suffix: dict[str, tuple[int, ...]] = defaultdict(tuple)
            for step in unit.steps:
                if not isinstance(step, Read):
                    suffix[step.key] += (step.value,)
                    if step.key in expected:
                        expected[step.key] += (step.value,)
                    continue
                own = suffix[step.key]
                fits = step.values == expected.get(step.key, step.values)
                if not fits or (own and step.values[-len(own) :] != own):
                    yield Anomaly("internal", f"unit {unit.number}: {step}", (unit.number,))
                expected[step.key] = step.values

    def _lists(self) -> Iterator[Anomaly]:
        for unit, read in self._all_reads():
            numbers = () if unit is None else (unit.number,)
            for value, count in Counter(read.values).items():
                if count > 1:
                    yield Anomaly("duplicate", f"{value} is {count} times in {read}", numbers)
                if (read.key, value) not in self._writer:
                    yield Anomaly("garbage", f"nobody has appended {value} to {read}", numbers)
            longest = self._order[read.key] if read.values else ()
            if longest[: len(read.values)] != read.values:
                yield Anomaly("order", f"{read} is no beginning of {longest}", numbers)

    def _reads(self) -> Iterator[Anomaly]:
        for reader, read in self._all_reads():
            for place, value in enumerate(read.values):
                number = self._writer.get((read.key, value))
                if number is None or (reader is not None and number == reader.number):
                    continue
                writer = self._units[number]
                numbers = (number,) if reader is None else (number, reader.number)
                if writer.outcome is Outcome.ABORTED:
                    yield Anomaly("G1a", f"{read} has what unit {number} rolled back", numbers)
                if reader is not None and writer.began > reader.ended:
                    yield Anomaly("future", f"{read} was read before unit {number}", numbers)
                is_last = place == len(read.values) - 1
                own = [each.value for each in writer.appends if each.key == read.key]
                if is_last and value != own[-1]:
                    yield Anomaly("G1b", f"{read} is in the midst of unit {number}", numbers)

    def _lost(self) -> Iterator[Anomaly]:
        final = {(key, each) for key, values in self._history.final.items() for each in values}
        for unit in self._history.units:
            there = [(each.key, each.value) in final for each in unit.appends]
            if unit.outcome is Outcome.COMMITTED and not all(there):
                yield Anomaly("lost", f"what unit {unit.number} committed", (unit.number,))
            elif unit.outcome is Outcome.UNKNOWN and any(there) and not all(there):
                yield Anomaly("torn", f"a part of unit {unit.number}", (unit.number,))

    def _edges(self) -> Iterator[Edge]:
        for key, values in self._order.items():
            writers = [self._writer.get((key, value)) for value in values]
            for earlier, later in pairwise(writers):
                yield from _edge(earlier, "ww", later)
        for unit in self._committed:
            for read in unit.reads:
                seen = self._from_outside(unit, read)
                if seen.values:
                    yield from _edge(
                        self._writer.get((read.key, seen.values[-1])), "wr", unit.number
                    )
                rest = self._order.get(read.key, ())[len(seen.values) :]
                if rest:
                    yield from _edge(unit.number, "rw", self._writer.get((read.key, rest[0])))

    def _cycles(self) -> Iterator[Anomaly]:
        numbers = {unit.number for unit in self._committed}
        edges = [edge for edge in self._edges() if edge.before in numbers and edge.after in numbers]
        for kind, sorts in (("G0", {"ww"}), ("G1c", {"ww", "wr"})):
            cycle = cycle_in(Graph(edges, sorts))
            if cycle:
                yield _circle(kind, cycle)
                return
        circular = on_circles(Graph(edges, {"ww", "wr", "rw"}))
        edges = _among(edges, circular)
        graph = Graph(edges, {"ww", "wr"})
        for edge in edges:
            if edge.sort == "rw":
                path = path_between(graph, edge.after, edge.before)
                if path is not None:
                    yield _circle("G-single", [edge.before, *path])
                    return
        serial = {unit.number for unit in self._committed if not unit.reads_only}
        cycle = cycle_in(Graph(_among(edges, serial), {"ww", "wr", "rw"}))
        if cycle:
            yield _circle("G2", cycle)


def _edge(before: int | None, sort: str, after: int | None) -> Iterator[Edge]:
    if before is not None and after is not None and before != after:
        yield Edge(before, sort, after)


def _among(edges: Iterable[Edge], numbers: Collection[int]) -> list[Edge]:
    return [edge for edge in edges if edge.before in numbers and edge.after in numbers]


def _circle(kind: str, numbers: list[int]) -> Anomaly:
    return Anomaly(kind, " -> ".join(map(str, numbers)), tuple(numbers))
