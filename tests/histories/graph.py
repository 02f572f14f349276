"""Which unit comes before which, and whether any comes before itself."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple


class Edge(NamedTuple):
    """One unit comes before another one.

    Attributes:
        before: The one.
        sort: Why: the other one overwrites it ("ww"), reads it ("wr"), or overwrites what it has
            read ("rw").
        after: The other one.
    """

    before: int
    sort: str
    after: int


class Graph:
    """What follows each unit, by edges of some sorts.

    Args:
        edges: All edges.
        sorts: The sorts that count.
    """

    def __init__(self, edges: Iterable[Edge], sorts: Collection[str]) -> None:
        self.after: dict[int, set[int]] = defaultdict(set)
        for edge in edges:
            if edge.sort in sorts:
                self.after[edge.before].add(edge.after)


def cycle_in(graph: Graph) -> list[int] | None:
    """Find a shortest circle through the first unit that is on any, or None.

    Args:
        graph: The graph.
    """
    for start in on_circles(graph):
        for following in graph.after[start]:
            path = path_between(graph, following, start)
            if path is not None:
                return [start, *path]
    return None


def path_between(graph: Graph, start: int, end: int) -> list[int] | None:
    """Find a shortest way from one unit to another, with both, or None.

    Args:
        graph: The graph.
        start: The one.
        end: The other.
    """
    came_from = {start: start}
    waiting = deque([start])
    while waiting:
        unit = waiting.popleft()
        if unit == end:
            path = [unit]
            while path[-1] != start:
                path.append(came_from[path[-1]])
            return path[::-1]
        for following in graph.after.get(unit, ()):
            if following not in came_from:
                came_from[following] = unit
                waiting.append(following)
    return None


def on_circles(graph: Graph) -> set[int]:
    """Find the units that are on circles, or on ways from one circle to another.

    Args:
        graph: The graph.
    """
    before: dict[int, set[int]] = defaultdict(set)
    for unit, following in graph.after.items():
        for each in following:
            before[each].add(unit)
    left = {*graph.after, *before}
    for one, other in ((before, graph.after), (graph.after, before)):
        _take_away_ends(left, one, other)
    return left


def _take_away_ends(
    left: set[int], before: Mapping[int, set[int]], after: Mapping[int, set[int]]
) -> None:
    """Take away, again and again, whatever nothing that is left comes before."""
    counts = {unit: len(before.get(unit, set()) & left) for unit in left}
    ends = [unit for unit in left if not counts[unit]]
    while ends:
        end = ends.pop()
        left.discard(end)
        for unit in after.get(end, ()):
            if unit in left:
                counts[unit] -= 1
                if not counts[unit]:
                    ends.append(unit)
