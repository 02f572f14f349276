"""A process of its own for each contender, as an application that uses it would be."""

import asyncio
import gc
import time
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Self

from benchmarks import contenders
from benchmarks.contenders.base import Contender
from benchmarks.data import Volume
from benchmarks.workloads import WORKLOADS, Supply, carry_out, fingerprint
from synthorg.persistence import PersistenceConfig


@dataclass(frozen=True)
class Order:
    """What to do next.

    Attributes:
        workload: The name of the workload.
        units: How much of it.
        round_number: The round, counted from 0.
    """

    workload: str
    units: int
    round_number: int


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        seconds: How long it took.
        fingerprint: What was read, condensed.
    """

    seconds: float
    fingerprint: str


@dataclass(frozen=True)
class Failure:
    """What went wrong instead."""

    reason: str


async def perform(contender: Contender, volume: Volume, order: Order) -> Outcome:
    """Do what is ordered, and time it.

    Args:
        contender: By whom.
        volume: What is stored from the start.
        order: What.
    """
    workload = WORKLOADS[order.workload]
    place = tuple(WORKLOADS).index(order.workload)
    supply = Supply(volume, order.workload, order.round_number, place)
    operations = workload.prepare(supply, order.units)
    gc.collect()
    start = time.perf_counter()
    results = await carry_out(operations, contender, workload.width)
    seconds = time.perf_counter() - start
    return Outcome(seconds, fingerprint(results))


class Worker:
    """A process that runs one contender.

    Args:
        name: The contender.
        url: Its database.
        volume: What is stored there from the start.
    """

    def __init__(self, name: str, url: str, volume: Volume) -> None:
        self.name = name
        processes = get_context("spawn")
        self._orders, theirs = processes.Pipe()
        self._process = processes.Process(
            target=_live, args=(name, url, volume, theirs), name=name, daemon=True
        )
        self._process.start()
        theirs.close()
        self._receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._orders.close()
        self._process.join(timeout=30)
        if self._process.is_alive():
            self._process.kill()

    def perform(self, order: Order) -> Outcome:
        """Do what is ordered.

        Args:
            order: What to do.

        Raises:
            WorkerError: If the contender fails.
        """
        self._orders.send(order)
        outcome = self._receive()
        assert isinstance(outcome, Outcome)
        return outcome

    def _receive(self) -> Outcome | None:
        try:
            answer: Outcome | Failure | None = self._orders.recv()
        except EOFError:
            raise WorkerError(self.name, "its process ended") from None
        if isinstance(answer, Failure):
            raise WorkerError(self.name, answer.reason)
        return answer


class WorkerError(Exception):
    """A contender failed.

    Args:
        name: Which one.
        reason: How.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")


def _live(name: str, url: str, volume: Volume, orders: Connection) -> None:
    asyncio.run(_serve(name, url, volume, orders))


async def _serve(name: str, url: str, volume: Volume, orders: Connection) -> None:
    # Nothing else runs on this loop between two orders, so that blocking it harms nobody.
    contender: Contender | None = None
    try:
        config = PersistenceConfig.from_url(url)
        contender = contenders.find(name)(config)
        await contender.open()
        gc.freeze()
        orders.send(None)
        while True:
            orders.send(await perform(contender, volume, orders.recv()))
    except EOFError:
        pass
    except Exception as error:  # noqa: BLE001 (whatever it is, the report names it)
        orders.send(Failure(f"{type(error).__name__}: {error}"[:500]))
    finally:
        if contender is not None:
            await contender.close()
