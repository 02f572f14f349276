"""Rounds in random order, in which every contender does the same work."""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import contenders
from benchmarks.contenders import CannotRun
from benchmarks.data import SEED, Volume
from benchmarks.databases import SITES, Site
from benchmarks.results import DatabaseResults, Measurement
from benchmarks.worker import Order, Outcome, Worker, WorkerError
from benchmarks.workloads import WORKLOADS

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to measure, and how thoroughly.

    Attributes:
        contenders: Names of contenders, also of second instances.
        workloads: Names of workloads.
        rounds: How many rounds count; one more goes before them to warm up.
        volume: What is stored from the start.
        quick: Whether the rounds are short.
        folder: Where files go.
    """

    contenders: Sequence[str]
    workloads: Sequence[str]
    rounds: int
    volume: Volume
    quick: bool
    folder: Path

    def units(self, workload: str) -> int:
        """Tell how many units a round of a workload has."""
        chosen = WORKLOADS[workload]
        return chosen.quick_units if self.quick else chosen.units


@dataclass
class Race:
    """The contenders that are still in it, and what was measured of them.

    Attributes:
        workers: By the name of the contender.
        urls: Of their databases, by the name of the contender.
        seconds: By workload and contender, one for each round.
        problems: What went wrong, for people.
    """

    workers: dict[str, Worker]
    urls: dict[str, str] = field(default_factory=dict)
    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def record(self, order: Order, outcomes: dict[str, Outcome]) -> None:
        """Keep the times of one round of one workload, if all have read the same.

        Args:
            order: What was done.
            outcomes: What came of it, by contender.

        Raises:
            DisagreementError: If contenders have read different records.
        """
        read = {name: outcome.fingerprint for name, outcome in outcomes.items()}
        if len(set(read.values())) > 1:
            raise DisagreementError(order, read)
        if order.round_number == 0:
            return
        for name, outcome in outcomes.items():
            self.seconds.setdefault((order.workload, name), []).append(outcome.seconds)


class DisagreementError(Exception):
    """Contenders that were given the same work have read different records.

    Args:
        order: The work.
        read: What each has read, condensed.
    """

    def __init__(self, order: Order, read: dict[str, str]) -> None:
        groups = sorted(read, key=lambda name: read[name])
        listed = ", ".join(f"{name} {read[name][:6]}" for name in groups)
        super().__init__(f"{order.workload}, round {order.round_number}: {listed}")


def measure(database: str, plan: Plan, tell: Tell) -> DatabaseResults:
    """Measure all contenders on one kind of database.

    Args:
        database: Its name among the sites.
        plan: What to measure.
        tell: Told how far it is.

    Raises:
        Unavailable: If there is no such database here.
    """
    tell(f"{database}: filling the tables")
    with SITES[database].open(plan.volume, plan.folder) as site, ExitStack() as stack:
        race = Race({})
        for name, url in _databases(site, plan, race.problems):
            tell(f"{database}: starting {name}")
            race.urls[name] = url
            try:
                race.workers[name] = stack.enter_context(Worker(name, url, plan.volume))
            except WorkerError as error:
                race.problems.append(str(error))
        _run(database, site, race, plan, tell)
        return DatabaseResults(
            database, dict(site.settings()), race.problems, list(_measurements(race, plan))
        )


def _databases(site: Site, plan: Plan, problems: list[str]) -> Iterator[tuple[str, str]]:
    for name in contenders.competing(plan.contenders, site.backend, plan.workloads):
        try:
            contenders.find(name)
        except CannotRun as reason:
            problems.append(f"{name}: {reason}")
        else:
            yield name, site.copy()


def _run(database: str, site: Site, race: Race, plan: Plan, tell: Tell) -> None:
    choose = random.Random(SEED)
    for round_number in range(plan.rounds + 1):
        which = f"round {round_number} of {plan.rounds}" if round_number else "warming up"
        for workload in choose.sample(plan.workloads, k=len(plan.workloads)):
            tell(f"{database}: {which}, {workload}")
            order = Order(workload, plan.units(workload), round_number)
            names = [name for name in race.workers if contenders.takes_part(name, workload)]
            names = choose.sample(sorted(names), k=len(names))
            race.record(order, dict(_outcomes(site, race, order, names)))


def _outcomes(
    site: Site, race: Race, order: Order, names: Sequence[str]
) -> Iterator[tuple[str, Outcome]]:
    for name in names:
        # Nobody pays for what others have left to be written, or have pushed out of memory.
        os.sync()
        site.warm(race.urls[name])
        try:
            yield name, race.workers[name].perform(order)
        except WorkerError as error:
            race.problems.append(f"{error} (in {order.workload}, round {order.round_number})")
            del race.workers[name]


def _measurements(race: Race, plan: Plan) -> Iterator[Measurement]:
    for (workload, name), seconds in race.seconds.items():
        if name in race.workers:
            yield Measurement(workload, name, plan.units(workload), seconds)
